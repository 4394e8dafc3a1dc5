"""Named files of a tree: told apart, copied out of it and into another."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from debug_mcp.folders import delete_tree
from debug_mcp.worktrees.named import contents, copy_out, put_in, take_out
from tests.files import deepen


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "tree/deps/more").mkdir(parents=True)
    (tmp_path / "tree/lock").write_text("one")
    (tmp_path / "tree/deps/a").write_text("a")
    (tmp_path / "tree/deps/more/b").write_text("b")
    return tmp_path / "tree"


def test_contents_change_with_a_byte_a_name_and_the_right_to_run(tree: Path) -> None:
    names = ["lock", "deps", "absent"]
    seen = [contents(tree, names)]
    (tree / "lock").write_text("two")
    seen.append(contents(tree, names))
    (tree / "deps/a").rename(tree / "deps/c")
    seen.append(contents(tree, names))
    (tree / "deps/c").chmod(0o755)
    seen.append(contents(tree, names))
    (tree / "absent").touch()
    seen.append(contents(tree, names))
    assert len({str(each) for each in seen}) == len(seen)
    (tree / "other").write_text("not named")
    assert contents(tree, names) == seen[-1]


def test_no_link_is_followed_out_of_the_tree(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (tree / "link").symlink_to(tmp_path / "secret")
    (tree / "deps/link").symlink_to(tmp_path)
    os.mkfifo(tree / "deps/fifo")
    assert ("link", "") in contents(tree, ["link", "deps"])
    copy_out(tree, ["link", "deps", "lock"], tmp_path / "copy")
    copied = {str(path.relative_to(tmp_path / "copy")) for path in (tmp_path / "copy").rglob("*")}
    assert copied == {"deps", "deps/a", "deps/more", "deps/more/b", "lock"}


def test_what_is_copied_in_is_a_copy_with_its_links_and_rights(tree: Path, tmp_path: Path) -> None:
    source = tmp_path / "outputs"
    (source / "packages/out").mkdir(parents=True)
    program = source / "packages/out/program"
    program.write_text("run")
    program.chmod(0o555)
    (source / "packages/out/link").symlink_to("program")
    (source / "packages/out").chmod(0o555)
    put_in(source, ["packages/out", "absent"], tree, tmp_path)
    copied = tree / "packages/out/program"
    copied.write_text("changed")
    assert os.access(copied, os.X_OK)
    assert program.read_text() == "run"
    assert (tree / "packages/out/link").readlink() == Path("program")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["outputs", "tree"]


def test_what_stands_in_the_tree_stays_and_no_link_leads_a_copy_out(
    tree: Path, tmp_path: Path
) -> None:
    source, outside = tmp_path / "outputs", tmp_path / "outside"
    (source / "deps").mkdir(parents=True)
    (source / "link").mkdir()
    (source / "link/file").touch()
    outside.mkdir()
    (tree / "link").symlink_to(outside)
    put_in(source, ["deps", "link", "link/file"], tree, tmp_path)
    assert (tree / "deps/a").read_text() == "a"
    assert list(outside.iterdir()) == []


def test_what_is_taken_out_is_gone_from_the_tree_and_taken_once(tree: Path, tmp_path: Path) -> None:
    target = tmp_path / "outputs"
    assert take_out(tree, ["deps/more", "lock"], target) is None
    assert (target / "deps/more/b").read_text() == "b"
    assert not (tree / "lock").exists()
    assert take_out(tree, ["deps/more", "lock"], target) is None
    assert take_out(tree, ["lock", "absent"], target) == "absent"


def test_nothing_is_taken_through_a_link(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").touch()
    (tree / "link").symlink_to(tmp_path / "outside")
    assert take_out(tree, ["link/file"], tmp_path / "outputs") == "link/file"
    assert (tmp_path / "outside/file").exists()


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[Path]:
    """Folders in folders, more than Python can call itself for."""
    folder = tmp_path / "deep"
    (folder / "deps").mkdir(parents=True)
    deepen(folder / "deps", sys.getrecursionlimit() + 100)
    yield folder
    delete_tree(folder)


def test_folders_deeper_than_python_can_call_itself_are_told_apart_and_copied(
    deep: Path, tree: Path, tmp_path: Path
) -> None:
    names = [path for path, _ in contents(deep, ["deps"])]
    assert len(names) == sys.getrecursionlimit() + 100
    copy_out(deep, [max(names, key=len)], tmp_path / "one")
    assert len(contents(tmp_path / "one", ["deps"])) == 1
    copy_out(deep, ["deps"], tmp_path / "out")
    assert contents(tmp_path / "out", ["deps"]) == contents(deep, ["deps"])
    put_in(deep, ["deps/d"], tree, tmp_path)
    assert len(contents(tree, ["deps/d"])) == len(names) - 1
    for folder in (tmp_path / "one", tmp_path / "out", tree):
        delete_tree(folder)
