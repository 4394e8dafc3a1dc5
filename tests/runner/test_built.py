"""Sealing a built environment: its scripts, and who may write."""

import os
import stat
from pathlib import Path

import pytest

from debug_mcp.folders import delete_tree
from debug_mcp.runner.built import free_scripts, seal

CODE = b"import sys\nsys.exit(0)\n"
FREED = b"#!/usr/bin/env python3\n" + CODE


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    (tmp_path / "env/bin").mkdir(parents=True)
    return tmp_path / "env"


def script(environment: Path, first: bytes, name: str = "tool") -> Path:
    path = environment / "bin" / name
    path.write_bytes(first + CODE)
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    "first",
    [
        b"#!/env/bin/python\n",
        b"#!/env/bin/python3.11\n",
        b"#!/bin/sh\n'''exec' /env/bin/python3 \"$0\" \"$@\"\n' '''\n",
        b"#!/bin/sh\n'''exec' \"/env/bin/python3\" \"$0\" \"$@\"\n' '''\n",
    ],
)
def test_a_script_of_the_environments_python_starts_the_first_python_on_the_path(
    environment: Path, first: bytes
) -> None:
    tool = script(environment, first)
    free_scripts(environment, "/env")
    assert tool.read_bytes() == FREED
    assert os.access(tool, os.X_OK)
    assert [path.name for path in tool.parent.iterdir()] == ["tool"]


@pytest.mark.parametrize("first", [b"#!/bin/sh\n", b"#!/usr/bin/python3\n", b"\x7fELF", b"", b"#!"])
def test_other_programs_stay_as_they_are(environment: Path, first: bytes) -> None:
    tool = script(environment, first)
    free_scripts(environment, "/env")
    assert tool.read_bytes() == first + CODE


def test_nothing_outside_is_changed_through_a_link(environment: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    theirs = outside / "tool"
    theirs.write_bytes(b"#!/env/bin/python3\n" + CODE)
    (environment / "bin/link").symlink_to(theirs)
    (environment / "bin/hard").hardlink_to(theirs)
    os.mkfifo(environment / "bin/fifo")
    free_scripts(environment, "/env")
    assert theirs.read_bytes() == b"#!/env/bin/python3\n" + CODE
    (environment / "bin/fifo").unlink()
    delete_tree(environment / "bin")
    (environment / "bin").symlink_to(outside)
    free_scripts(environment, "/env")
    assert theirs.read_bytes() == b"#!/env/bin/python3\n" + CODE


def test_a_sealed_folder_is_written_by_nobody_and_can_be_removed(
    environment: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o500)
    tool = script(environment, b"#!/bin/sh\n")
    (environment / "link").symlink_to(outside)
    assert seal(environment) > 0
    modes = [path.lstat().st_mode for path in (environment, tool.parent, tool)]
    assert [mode & 0o222 for mode in modes] == [0, 0, 0]
    assert stat.S_IMODE(outside.stat().st_mode) == 0o500
    (environment / "bin").chmod(0)
    delete_tree(environment)
    assert not environment.exists()
    assert stat.S_IMODE(outside.stat().st_mode) == 0o500
