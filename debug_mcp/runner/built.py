"""A built environment: a virtual environment that sessions see read-only, beneath their own.

A console script that pip wrote starts the Python of the environment it was installed into, which
would not see what a session installs besides. So when an environment is sealed, those scripts are
made to start whatever ``python3`` is first on PATH: in a session, the session's own.
"""

import contextlib
import os
import re
import secrets
from pathlib import Path

from debug_mcp.beneath import Refused, opened_beneath, opened_root
from debug_mcp.folders import each_folder

_SCRIPT_BYTES = 1 << 20
_SCRIPTS = 5000
# Without a right to read it, which it may not give.
# As pip writes the first lines where the path is too long for the kernel, or has a space.
_LONG = re.compile(rb"#!/bin/sh\n'''exec' \"?([^\n\"]+)\"? \"\$0\" \"\$@\"\n' '''\n")
_SHORT = re.compile(rb"#!([^\n ]+)\n")


def free_scripts(environment: Path, seen: str) -> None:
    """Make the scripts of an environment start the first Python on PATH; nothing runs in it.

    Args:
        environment: Its folder. A hostile build may have filled it.
        seen: Its path as its own programs saw it.
    """
    with (
        contextlib.suppress(OSError, Refused),
        opened_root(environment) as root,
        opened_beneath(root, "bin") as folder,
    ):
        with os.scandir(folder) as entries:
            names = [entry.name for entry, _ in zip(entries, range(_SCRIPTS), strict=False)]
        for name in names:
            with contextlib.suppress(OSError, Refused):
                _free(folder, name, f"{seen}/bin/python".encode())


def _free(folder: int, name: str, python: bytes) -> None:
    with opened_beneath(folder, name) as fd:
        found = os.fstat(fd)
        content = os.pread(fd, _SCRIPT_BYTES + 1, 0) if found.st_size <= _SCRIPT_BYTES else b""
    first = _LONG.match(content) or _SHORT.match(content)
    if first is None or not first[1].startswith(python):
        return
    # Beside it and then in its place: the file may have another name elsewhere.
    made = f".{secrets.token_hex(8)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(made, flags, 0o755, dir_fd=folder), "wb") as file:
        file.write(b"#!/usr/bin/env python3\n" + content[first.end() :])
    os.rename(made, name, src_dir_fd=folder, dst_dir_fd=folder)


def seal(folder: Path) -> int:
    """Take away the right to write to all that is in a folder; return its bytes on disk.

    At level ``none`` nothing else keeps a program of the same user from changing it by mistake.
    """
    size = 0
    for _, entries in each_folder(folder):
        for entry in entries:
            found = entry.stat(follow_symlinks=False)
            size += found.st_blocks * 512
            if not entry.is_symlink():
                os.chmod(entry.path, found.st_mode & 0o555)  # noqa: PTH101
    folder.chmod(0o555)
    return size
