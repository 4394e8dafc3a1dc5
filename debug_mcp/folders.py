"""Walking through and deleting a folder that a hostile program filled, however deep it is.

``shutil.rmtree``, ``os.walk`` and ``os.fwalk`` call themselves for each folder in a folder, some of
them up to Python 3.12: a thousand levels, which a loop makes in an instant and a git repository may
hold, end them with ``RecursionError``. Here nothing calls itself. To delete, what is deep is
brought up: the folders in a folder are moved beside it before it goes, so that nothing is ever
more than two levels away, and two descriptors are enough.
"""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NAMED = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def each_folder(folder: Path) -> Iterator[tuple[str, list[os.DirEntry[str]]]]:
    """Yield the path of each folder, the upper ones first, with what is in it, sorted by name.

    No link is followed. What cannot be read, such as a path over the kernel's 4096 bytes, is left
    out. Blocks.
    """
    waiting = [str(folder)]
    while waiting:
        path = waiting.pop()
        try:
            with os.scandir(path) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError:
            continue
        yield path, found
        waiting += [entry.path for entry in reversed(found) if entry.is_dir(follow_symlinks=False)]


def delete_tree(folder: Path) -> None:
    """Delete a folder with all that is in it, as far as that is allowed. Blocks.

    No link is followed; the folder's own path must be out of reach of whoever filled it. What
    cannot be deleted stays, and no error is raised.
    """
    with contextlib.suppress(OSError):
        top = os.open(folder, _FOLDER)
        try:
            _empty(top)
        finally:
            os.close(top)
        folder.rmdir()


def _empty(top: int) -> None:
    kept: set[str] = set()
    while waiting := [name for name in _clear(top) if name not in kept]:
        for name in waiting:
            try:
                _take_apart(top, name)
            except OSError:
                kept.add(name)


def _take_apart(top: int, name: str) -> None:
    """Delete one folder; the folders in it come to stand beside it."""
    _allow(top, name)
    inner = os.open(name, _FOLDER, dir_fd=top)
    try:
        for below in _clear(inner):
            _allow(inner, below)
            os.rename(below, secrets.token_hex(16), src_dir_fd=inner, dst_dir_fd=top)
    finally:
        os.close(inner)
    os.rmdir(name, dir_fd=top)


def _clear(folder: int) -> list[str]:
    """Delete what is no folder; return the names of those."""
    folders = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
            else:
                with contextlib.suppress(OSError):
                    os.unlink(entry.name, dir_fd=folder)
    return folders


def _allow(parent: int, name: str) -> None:
    """Give ourselves all rights in a folder: whoever made it may have taken them away."""
    with contextlib.suppress(OSError):
        fd = os.open(name, _NAMED, dir_fd=parent)
        try:
            # By the descriptor, so that it cannot be a link; fchmod takes none of this kind.
            os.chmod(f"/proc/self/fd/{fd}", 0o700)  # noqa: PTH101
        finally:
            os.close(fd)
