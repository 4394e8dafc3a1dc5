"""Folders that somebody filled who wanted the reader to fail."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from debug_mcp.folders import delete_tree, each_folder
from tests.files import deepen


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    made = tmp_path / "folder"
    made.mkdir()
    yield made
    delete_tree(made)  # pytest itself may not be able to


def test_a_tree_deeper_than_python_can_call_itself_goes(folder: Path) -> None:
    deepen(folder, 3 * sys.getrecursionlimit())
    delete_tree(folder)
    assert not folder.exists()


def test_no_descriptor_is_left_open(folder: Path) -> None:
    deepen(folder, 50)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    delete_tree(folder)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_every_kind_of_file_and_name_goes_and_nothing_behind_a_link(
    folder: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "mine").write_text("mine")
    inner = folder / "inner"
    inner.mkdir()
    for place in (folder, inner):
        (place / "to-folder").symlink_to(outside)
        (place / "to-file").symlink_to(outside / "mine")
        (place / "hard").hardlink_to(outside / "mine")
        os.mkfifo(place / "pipe")
        for name in (b"\xff\xfe", b"a\nb", b"-rf", b"x" * 255):
            (place / os.fsdecode(name)).mkdir()
    delete_tree(folder)
    assert not folder.exists()
    assert (outside / "mine").read_text() == "mine"


def test_a_folder_that_may_not_be_entered_goes_too(folder: Path) -> None:
    locked = folder / "locked" / "in" / "it"
    locked.mkdir(parents=True)
    (locked / "file").write_text("x")
    for place in (locked, locked.parent, locked.parent.parent):
        place.chmod(0)
    delete_tree(folder)
    assert not folder.exists()


def test_a_link_in_its_place_is_left_with_what_it_leads_to(folder: Path, tmp_path: Path) -> None:
    (folder / "mine").write_text("mine")
    (tmp_path / "link").symlink_to(folder)
    delete_tree(tmp_path / "link")
    assert (folder / "mine").read_text() == "mine"
    delete_tree(tmp_path / "nothing")


def test_a_walk_goes_as_deep_as_a_path_can_be_and_follows_no_link(
    folder: Path, tmp_path: Path
) -> None:
    (folder / "link").symlink_to(tmp_path)
    deepen(folder, 3 * sys.getrecursionlimit())
    found = list(each_folder(folder))
    assert len(found) > 1.5 * sys.getrecursionlimit()
    assert max(len(path) for path, _ in found) < os.pathconf("/", "PC_PATH_MAX")
    assert [entry.name for entry in found[0][1]] == ["d", "f", "link"]
    assert {path.strip("/").rsplit("/", 1)[-1] for path, _ in found} == {"folder", "d"}
