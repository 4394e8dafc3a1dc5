"""Named files and folders of a tree: told apart by their content, copied out, copied in.

A tree may hold links that lead anywhere, so everything is reached beneath its root by descriptor.
What is no file, folder or (in an output) link is left out.
"""

import contextlib
import fcntl
import hashlib
import itertools
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from debug_mcp.beneath import Refused, open_beneath, opened_root
from debug_mcp.folders import delete_tree, each_folder

_CHUNK = 1 << 20
# Of Linux: the blocks of a file become another's, too, until one of them is written to.
_FICLONE = 0x40049409
_SMALL = 4096  # such a file is copied as soon as it is shared


def contents(tree: Path, names: Sequence[str]) -> list[tuple[str, str]]:
    """Return every file under these names, with what stands for its content.

    A name that is not there, or that is a link, has no content.
    """
    with opened_root(tree) as root:
        return [
            (path, "" if fd is None else _digest(fd))
            for name in names
            for path, fd in _files(root, name)
        ]


def copy_out(tree: Path, names: Sequence[str], target: Path) -> None:
    """Copy the files under these names to a folder that is not there yet."""
    target.mkdir(mode=0o700, parents=True)
    with opened_root(tree) as root:
        for name in names:
            for path, fd in _files(root, name):
                if fd is not None:
                    copied = target / path
                    _make(copied.parent)
                    with open(fd, "rb", closefd=False) as source, copied.open("xb") as file:
                        shutil.copyfileobj(source, file, _CHUNK)
                    copied.chmod(os.fstat(fd).st_mode & 0o755 | 0o600)


def _make(folder: Path) -> None:
    """Make a folder and those above it; ``Path.mkdir`` calls itself for each of them."""
    missing = itertools.takewhile(lambda each: not each.exists(), (folder, *folder.parents))
    for each in reversed(list(missing)):
        each.mkdir(mode=0o700)


def take_out(tree: Path, names: Sequence[str], target: Path) -> str | None:
    """Move what is under these names to a folder on the same disk.

    Returns the first that is not there; one that was moved before is.
    """
    for name in names:
        if os.path.lexists(target / name):
            continue
        (target / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with opened_root(tree) as root, contextlib.ExitStack() as stack:
            try:
                folder = open_beneath(root, os.path.dirname(name) or ".")  # noqa: PTH120
                stack.callback(os.close, folder)
                os.rename(os.path.basename(name), target / name, src_dir_fd=folder)  # noqa: PTH119
            except (Refused, OSError):
                return name
    return None


def put_in(source: Path, names: Sequence[str], tree: Path, scratch: Path) -> None:
    """Copy what is under these names into a tree, where nothing of that name is.

    Nothing that is written to the copy reaches what it was copied from: it is a copy of its own,
    made by reference where the disk can.

    Args:
        source: A folder that nobody writes to.
        names: What to copy.
        tree: A session's tree.
        scratch: A folder on the tree's disk that the session's commands cannot reach.
    """
    for name in names:
        made = Path(tempfile.mkdtemp(dir=scratch, prefix="output."))
        try:
            _copy(source / name, made / "copy")
            _move_in(made / "copy", tree, name)
        finally:
            delete_tree(made)


def _move_in(copy: Path, tree: Path, name: str) -> None:
    """Move a copy to its place; leave it where something is there, or a link is on the way."""
    parent, _, last = name.rpartition("/")
    if not os.path.lexists(copy):
        return
    with opened_root(tree) as root, contextlib.ExitStack() as stack:
        folder = os.dup(root)
        stack.callback(os.close, folder)
        for part in parent.split("/") if parent else ():
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, 0o755, dir_fd=folder)
            try:
                folder = open_beneath(folder, part)
            except Refused:
                return
            stack.callback(os.close, folder)
        try:
            os.stat(last, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            with contextlib.suppress(OSError):  # another command was faster
                os.rename(copy, last, dst_dir_fd=folder)


def _copy(source: Path, target: Path) -> None:
    """Copy a file, a link or a folder with all that is in it; writable by its owner.

    A folder of packages has very many small files: so no call to the system is made in vain.
    """
    if source.is_symlink():
        target.symlink_to(source.readlink())
    elif source.is_dir():
        _copy_folder(str(source), str(target))
    elif source.is_file():
        _copy_file(str(source), str(target))


def _copy_folder(source: str, target: str) -> None:
    for folder, entries in each_folder(Path(source)):
        beneath = target + folder.removeprefix(source)
        os.mkdir(beneath, 0o755)  # noqa: PTH102
        for entry in entries:
            copied = f"{beneath}/{entry.name}"
            if entry.is_symlink():
                os.symlink(os.readlink(entry.path), copied)  # noqa: PTH115, PTH211
            elif entry.is_file(follow_symlinks=False):
                _copy_file(entry.path, copied)


def _copy_file(source: str, target: str) -> None:
    read = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        said = os.fstat(read)
        mode = 0o755 if said.st_mode & 0o100 else 0o644
        written = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            _copy_bytes(read, written, said.st_size)
        finally:
            os.close(written)
    finally:
        os.close(read)


def _copy_bytes(read: int, written: int, size: int) -> None:
    if size > _SMALL:
        with contextlib.suppress(OSError):  # not on this disk
            fcntl.ioctl(written, _FICLONE, read)
            return
    while data := os.read(read, _CHUNK):
        for_now = memoryview(data)
        while for_now:
            for_now = for_now[os.write(written, for_now) :]


def _files(root: int, name: str) -> Iterator[tuple[str, int | None]]:
    """Yield the paths of files, each with an open descriptor; None where there is no file."""
    waiting = [name]
    while waiting:
        path = waiting.pop()
        try:
            fd = open_beneath(root, path)
        except Refused:
            yield path, None
            continue
        try:
            mode = os.fstat(fd).st_mode
            if stat.S_ISREG(mode):
                yield path, fd
            elif stat.S_ISDIR(mode):
                with os.scandir(fd) as entries:
                    names = sorted((entry.name for entry in entries), reverse=True)
                waiting += [f"{path}/{inner}" for inner in names]
        finally:
            os.close(fd)


def _digest(fd: int) -> str:
    with open(fd, "rb", closefd=False) as file:
        executable = os.fstat(fd).st_mode & 0o100
        return hashlib.file_digest(file, "sha256").hexdigest() + ("x" if executable else "")
