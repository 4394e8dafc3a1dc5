"""Trees that change while they are read, and trees that have no end."""

import contextlib
import errno
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from debug_mcp import beneath
from debug_mcp.artifacts import collect
from debug_mcp.artifacts.collect import Bounds, Files
from debug_mcp.beneath import Refused, check_regular, open_beneath, opened_root

LIMIT = 10_000
SECRET = b"of somebody else"
ROUNDS = 2_000


@pytest.fixture(autouse=True, params=["openat2", "walking"])
def opening(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Open as this kernel does, and as those before 5.6 do."""
    monkeypatch.setattr(beneath, "HAS_OPENAT2", request.param == "openat2")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    return folder


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "artifacts")


@pytest.fixture
def root(tree: Path) -> Iterator[int]:
    fd = os.open(tree, os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


@contextlib.contextmanager
def meanwhile(act: Callable[[], None]) -> Iterator[None]:
    """Do something over and over in another thread."""
    stop = threading.Event()

    def loop() -> None:
        while not stop.is_set():
            act()

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize(
    "path", ["../secret", "folder/../../secret", "/etc/passwd", "link", "at/x"]
)
def test_a_way_out_is_no_way(root: int, tree: Path, tmp_path: Path, path: str) -> None:
    (tmp_path / "secret").write_bytes(SECRET)
    (tmp_path / "x").write_bytes(SECRET)
    (tree / "folder").mkdir()
    (tree / "link").symlink_to(tmp_path / "secret")
    (tree / "at").symlink_to(tmp_path)
    with pytest.raises(Refused):
        open_beneath(root, path)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("", errno.ENOENT),
        ("gone", errno.ENOENT),
        ("gone/file", errno.ENOENT),
        ("/", errno.EXDEV),
        ("..", errno.EXDEV),
        ("link", errno.ELOOP),
        ("link/", errno.ELOOP),
        ("loop/file", errno.ELOOP),
        ("folder/link/file", errno.ELOOP),
        ("file/below", errno.ENOTDIR),
        ("file/", errno.ENOTDIR),
        ("n" * 256, errno.ENAMETOOLONG),
        ("folder/file", 0),
        ("folder//./file", 0),
        ("./folder/", 0),
        (".", 0),
        ("pipe", 0),
    ],
)
def test_both_ways_of_opening_give_the_same_answers(
    root: int, tree: Path, path: str, code: int
) -> None:
    (tree / "folder").mkdir()
    for file in (tree / "file", tree / "folder" / "file"):
        file.write_bytes(b"mine")
    for link in (tree / "link", tree / "folder" / "link"):
        link.symlink_to("/")
    (tree / "loop").symlink_to("loop")
    os.mkfifo(tree / "pipe")
    if code:
        with pytest.raises(Refused) as caught:
            open_beneath(root, path)
        assert caught.value.code == code
        return
    fd = open_beneath(root, path)
    assert Path(f"/proc/self/fd/{fd}").resolve() == tree / path
    assert not os.get_inheritable(fd)
    os.close(fd)


def test_another_mount_is_not_entered() -> None:
    with opened_root(Path("/")) as top, pytest.raises(Refused) as caught:
        open_beneath(top, "proc/version")
    assert caught.value.code == errno.EXDEV


def test_no_descriptor_is_left_open(root: int, tree: Path) -> None:
    (tree / "a" / "b").mkdir(parents=True)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for path in ("a/b/c", "a/../..", "a/gone/b"):
        with pytest.raises(Refused):
            open_beneath(root, path)
    os.close(open_beneath(root, "a/b"))
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_device_a_folder_and_a_pipe_are_opened_without_waiting_and_refused(
    root: int, tree: Path
) -> None:
    os.mkfifo(tree / "pipe")
    (tree / "folder").mkdir()
    for name in ("pipe", "folder"):
        fd = open_beneath(root, name)
        with pytest.raises(Refused, match="not a regular file"):
            check_regular(fd, LIMIT)
        os.close(fd)
    device = os.open("/dev/null", os.O_RDONLY)
    with pytest.raises(Refused, match="not a regular file"):
        check_regular(device, LIMIT)
    os.close(device)


def test_a_file_that_is_swapped_for_a_link_is_never_read_through_it(
    root: int, tree: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_bytes(SECRET)
    (tree / "kept").write_bytes(b"mine")
    (tree / "link").symlink_to(tmp_path / "secret")
    seen: set[bytes] = set()

    def swap() -> None:
        (tree / "kept").rename(tree / "other")
        (tree / "link").rename(tree / "kept")
        (tree / "kept").rename(tree / "link")
        (tree / "other").rename(tree / "kept")

    rounds = refused = 0
    with meanwhile(swap):
        # Until both were met, so that the swap is known to have come in between.
        while rounds < ROUNDS or not (seen and refused):
            rounds += 1
            try:
                fd = open_beneath(root, "kept")
            except Refused:
                refused += 1
            else:
                seen.add(os.read(fd, 100))
                os.close(fd)
    assert seen == {b"mine"}


def test_a_folder_that_is_swapped_for_a_link_shows_nothing_of_what_is_behind_it(
    files: Files, tree: Path, tmp_path: Path
) -> None:
    (tmp_path / "outside" / "deep").mkdir(parents=True)
    (tmp_path / "outside" / "deep" / "secret").write_bytes(SECRET)
    (tree / "folder" / "deep").mkdir(parents=True)
    (tree / "folder" / "deep" / "mine").write_bytes(b"mine")
    (tree / "link").symlink_to(tmp_path / "outside")

    def swap() -> None:
        (tree / "folder").rename(tree / "other")
        (tree / "link").rename(tree / "folder")
        (tree / "folder").rename(tree / "link")
        (tree / "other").rename(tree / "folder")

    seen = set()
    with meanwhile(swap):
        for _ in range(ROUNDS // 10):
            found = files.collect(tree, ["**"], LIMIT)
            seen |= {Path(kept.name).name for kept in found.kept}
            seen |= {Path(name).name for name, _ in found.refused}
    assert "secret" not in seen
    assert "mine" in seen


def test_a_file_that_grows_is_kept_up_to_the_limit_or_refused(files: Files, tree: Path) -> None:
    grown = tree / "grows"

    def grow() -> None:
        with grown.open("ab") as file:
            file.write(b"x" * 1000)
        if grown.stat().st_size > 3 * LIMIT:
            grown.write_bytes(b"")

    grow()
    with meanwhile(grow):
        for _ in range(ROUNDS // 10):
            found = files.collect(tree, ["grows"], LIMIT)
            for kept in found.kept:
                assert kept.size == files.path(kept.sha256).stat().st_size <= LIMIT
            for _, why in found.refused:
                assert str(LIMIT) in why
    assert not list((files.path("0" * 64).parent.parent).glob("tmp*"))


def test_one_content_is_stored_once_whatever_its_names(files: Files, tree: Path) -> None:
    for name in ("one", "two", "three"):
        (tree / name).write_text("same")
    found = files.collect(tree, ["*"], LIMIT)
    assert [kept.name for kept in found.kept] == ["one", "three", "two"]
    assert len({kept.sha256 for kept in found.kept}) == 1
    stored = [
        path for path in files.path(found.kept[0].sha256).parents[1].rglob("*") if path.is_file()
    ]
    assert stored == [files.path(found.kept[0].sha256)]
    assert stored[0].stat().st_mode & 0o077 == 0


def test_what_is_not_asked_for_is_not_looked_at(files: Files, tree: Path) -> None:
    (tree / "many").mkdir()
    for number in range(100):
        (tree / "many" / str(number)).touch()
    (tree / "build").mkdir()
    (tree / "build" / "report.xml").write_text("<testsuites/>")
    found = files.collect(tree, ["build/*.xml"], LIMIT, Bounds(entries=10))
    assert [kept.name for kept in found.kept] == ["build/report.xml"]
    assert found.truncated is None


def test_folders_without_a_file_are_counted_too(files: Files, tree: Path) -> None:
    for number in range(11):
        (tree / str(number)).mkdir()
    found = files.collect(tree, ["**/x"], LIMIT, Bounds(entries=10))
    assert found.truncated == "stopped after 10 entries; use a narrower glob"


def test_a_tree_deeper_than_any_build_is_left_at_that_depth(files: Files, tree: Path) -> None:
    folder = tree
    for _ in range(collect.DEPTH + 5):
        folder = folder / "d"
        folder.mkdir()
        (folder / "x").write_text("x")
    assert len(files.collect(tree, ["**/x"], LIMIT).kept) == collect.DEPTH


def test_all_that_is_kept_at_once_has_a_limit(files: Files, tree: Path) -> None:
    for name in ("a", "b", "c"):
        (tree / name).write_bytes(name.encode() * 6)
    found = files.collect(tree, ["*"], LIMIT, Bounds(total_bytes=10))
    assert [kept.name for kept in found.kept] == ["a", "b"]
    assert found.truncated == "more than 10 bytes match; use a narrower glob"


def test_a_folder_that_is_named_says_how_to_ask_for_what_is_in_it(files: Files, tree: Path) -> None:
    (tree / "build").mkdir()
    (tree / "build" / "x").write_text("x")
    found = files.collect(tree, ["build"], LIMIT)
    assert found.refused == (("build", "a folder: end the glob with /** for what is in it"),)
    assert [kept.name for kept in files.collect(tree, ["build/"], LIMIT).kept] == ["build/x"]


def test_what_is_skipped_is_kept_when_it_is_asked_for_by_name(files: Files, tree: Path) -> None:
    (tree / "node_modules" / "p").mkdir(parents=True)
    (tree / "node_modules" / "p" / "report.xml").write_text("x")
    assert files.collect(tree, ["**/*.xml"], LIMIT).kept == ()
    [kept] = files.collect(tree, ["node_modules/**/*.xml"], LIMIT).kept
    assert kept.name == "node_modules/p/report.xml"


def test_a_tree_that_is_a_link_itself_is_not_entered(
    files: Files, tree: Path, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(tree)
    with pytest.raises(NotADirectoryError):
        files.collect(tmp_path / "link", ["**"], LIMIT)
