"""Keeping files of a tree that a hostile program made."""

import os
import stat
from pathlib import Path

import pytest

from debug_mcp.artifacts.collect import Bounds, Collection, Files
from debug_mcp.artifacts.kinds import kind_of, media_type_of
from debug_mcp.models.artifacts import ArtifactKind

LIMIT = 10_000


ELF = b"\x7fELF" + bytes(12)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    return folder


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "artifacts")


def names(found: Collection) -> list[str]:
    return [kept.name for kept in found.kept]


def put(tree: Path, *paths: str) -> None:
    for path in paths:
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(path)


@pytest.mark.parametrize(
    ("glob", "expected"),
    [
        ("a.xml", ["a.xml"]),
        ("*.xml", ["a.xml"]),
        ("./*.xml", ["a.xml"]),
        ("**/*.xml", ["a.xml", "b/c.xml", "b/d/e.xml"]),
        ("b/*.xml", ["b/c.xml"]),
        ("b/**", ["b/c.xml", "b/d/e.xml"]),
        ("b/**/e.xml", ["b/d/e.xml"]),
        ("?.txt", ["f.txt"]),
        ("[fg].txt", ["f.txt"]),
        ("*", ["a.xml", "f.txt"]),
    ],
)
def test_a_star_stays_within_a_folder_and_two_do_not(
    files: Files, tree: Path, glob: str, expected: list[str]
) -> None:
    put(tree, "a.xml", "b/c.xml", "b/d/e.xml", "f.txt")
    assert names(files.collect(tree, [glob], LIMIT)) == expected


def test_what_is_kept_is_the_content_under_its_sha256(files: Files, tree: Path) -> None:
    put(tree, "one")
    [kept] = files.collect(tree, ["*"], LIMIT).kept
    assert files.path(kept.sha256).read_text() == "one"
    (tree / "one").write_text("changed")
    [changed] = files.collect(tree, ["*"], LIMIT).kept
    assert changed.sha256 != kept.sha256
    assert files.path(kept.sha256).read_text() == "one"


def test_links_pipes_sockets_and_other_names_are_refused_with_the_reason(
    files: Files, tree: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter2")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "inside").write_text("hunter2")
    (tree / "link").symlink_to(secret)
    (tree / "linked folder").symlink_to(tmp_path / "folder")
    (tree / "magic").symlink_to("/proc/self/environ")
    (tree / "hard").hardlink_to(secret)
    os.mkfifo(tree / "pipe")
    os.mknod(tree / "socket", stat.S_IFSOCK)
    with (tree / "sparse").open("w") as sparse:
        sparse.truncate(1 << 40)
    put(tree, "fine")
    found = files.collect(tree, ["**"], LIMIT)
    assert names(found) == ["fine"]
    refused = dict(found.refused)
    assert refused["link"] == refused["linked folder"] == refused["magic"] == "a symbolic link"
    assert refused["hard"] == "has other names (hard links)"
    assert refused["pipe"] == "not a regular file"
    assert refused["sparse"] == f"{1 << 40} bytes; the limit is {LIMIT}"
    assert "socket" in refused
    kept = [path for path in tmp_path.joinpath("artifacts").rglob("*") if path.is_file()]
    assert [path.read_text() for path in kept] == ["fine"]


def test_a_name_that_is_no_text_is_shown_as_well_as_it_can_be(files: Files, tree: Path) -> None:
    (tree / os.fsdecode(b"\xff\n.log")).write_text("content")
    [kept] = files.collect(tree, ["*.log"], LIMIT).kept
    assert kept.name == "\ufffd\n.log"


def test_the_git_directory_is_not_collected(files: Files, tree: Path) -> None:
    put(tree, ".git/config", "a/.git/config", "fine")
    assert names(files.collect(tree, ["**"], LIMIT)) == ["fine"]


def test_too_many_files_end_the_collection_and_it_says_so(files: Files, tree: Path) -> None:
    put(tree, *(f"{number}.txt" for number in range(5)))
    found = files.collect(tree, ["*"], LIMIT, Bounds(files=3))
    assert len(found.kept) == 3
    assert found.truncated == "more than 3 files match; use a narrower glob"


def test_too_many_entries_end_the_walk_and_it_says_so(files: Files, tree: Path) -> None:
    put(tree, *(f"{number}.txt" for number in range(5)))
    found = files.collect(tree, ["4.txt"], LIMIT, Bounds(entries=3))
    assert found.truncated == "stopped after 3 entries; use a narrower glob"


def test_a_collection_ends_when_its_time_is_over_or_nobody_waits_for_it(
    files: Files, tree: Path
) -> None:
    put(tree, "a.txt", "b.txt")
    late = files.collect(tree, ["*"], LIMIT, Bounds(seconds=-1))
    assert late.kept == ()
    assert late.truncated == "stopped after 0 entries; use a narrower glob"
    assert files.collect(tree, ["*"], LIMIT, given_up=lambda: True).kept == ()


def test_what_did_not_change_is_left_out_whatever_time_it_claims(files: Files, tree: Path) -> None:
    put(tree, "old.txt")
    since = (tree / "old.txt").stat().st_ctime + 0.001
    while not (tree / "new.txt").exists() or (tree / "new.txt").stat().st_ctime < since:
        put(tree, "new.txt")
    os.utime(tree / "new.txt", (0, 0))
    assert names(files.collect(tree, ["*"], LIMIT, since=since)) == ["new.txt"]


def test_a_content_that_is_there_is_not_written_again(files: Files, tree: Path) -> None:
    put(tree, "one")
    [kept] = files.collect(tree, ["*"], LIMIT).kept
    before = files.path(kept.sha256).stat()
    files.collect(tree, ["*"], LIMIT)
    assert files.path(kept.sha256).stat().st_ino == before.st_ino
    assert not list(files.path(kept.sha256).parents[1].glob("tmp*"))


@pytest.mark.parametrize(
    ("name", "first", "kind", "media_type"),
    [
        ("r.xml", b'<?xml version="1.0"?><testsuites>', ArtifactKind.JUNIT, "application/xml"),
        ("r.xml", b"<html>", ArtifactKind.OTHER, "text/plain"),
        ("coverage.xml", b"<coverage version='1'>", ArtifactKind.COVERAGE, "application/xml"),
        ("c.lcov", b"TN:\nSF:a.py\n", ArtifactKind.COVERAGE, "text/plain"),
        (
            "c.json",
            b'{"meta": {"format": 3, "version": "7.1", "branch_coverage": false',
            ArtifactKind.COVERAGE,
            "text/plain",
        ),
        ("r.xml", b"\n<testsuite name='x'>", ArtifactKind.JUNIT, "application/xml"),
        ("r.xml", b"<?xml \0", ArtifactKind.OTHER, "application/octet-stream"),
        ("core.12", ELF + b"\x04\0", ArtifactKind.CORE, "application/octet-stream"),
        ("core-tool", ELF + b"\x03\0", ArtifactKind.OTHER, "application/octet-stream"),
        ("x.patch", b"--- a\n", ArtifactKind.PATCH, "text/plain"),
        ("x.png", b"\x89PNG\r\n\x1a\n", ArtifactKind.OTHER, "image/png"),
        ("page.html", b"\x89PNG\r\n\x1a\n", ArtifactKind.OTHER, "image/png"),
        ("x.txt", "ä".encode() * 3000, ArtifactKind.OTHER, "text/plain"),
        ("x.txt", b"a\0b", ArtifactKind.OTHER, "application/octet-stream"),
        ("x.txt", b"", ArtifactKind.OTHER, "text/plain"),
        ("x.bin", b"\xff\xfe\xfd\xfc", ArtifactKind.OTHER, "application/octet-stream"),
    ],
)
def test_kind_and_type_come_from_what_is_there(
    name: str, first: bytes, kind: ArtifactKind, media_type: str
) -> None:
    assert kind_of(name, first[:4096]) is kind
    assert media_type_of(first[:4096]) == media_type
