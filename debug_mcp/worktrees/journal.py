"""Changing several files of a session's tree, all or none, also when the server is killed.

First the new contents are written beside the tree, then a plan; the plan's rename into place
decides. What it says is then done by renames, each of which can be done again: whoever finds a plan
(the next edit, or a server that starts) finishes it. Without a plan nothing was changed. It is the
redo log of databases, with files for records.

The tree may be hostile, and its commands may be running: a folder is entered from descriptor to
descriptor, following no link, and a file that changed since it was read ends the edit. Contents go
in by rename, so a link or another name of a file is never written through. Everything blocks.
"""

import contextlib
import errno
import json
import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from debug_mcp.beneath import opened_root
from debug_mcp.errors import Conflict

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PERMISSIONS = 0o777
_PLAN = "plan"


@dataclass(frozen=True, slots=True)
class Content:
    """What stands, or is to stand, under a name: the bytes of a file, or a link's target."""

    data: bytes
    mode: int | None = None
    is_link: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """Which file was read: enough to tell whether it is still that one, unchanged."""

    device: int
    inode: int
    size: int
    changed_ns: int
    owner: int
    group: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Seen":
        """Return what is remembered of a file."""
        return cls(
            status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns,
            status.st_uid, status.st_gid,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Change:
    """One file: what was there (``seen``, None for nothing) and what is to be (None: nothing)."""

    path: str
    seen: Seen | None
    content: Content | None


class Journal:
    """The edits of one session. ``folder`` is out of the session's reach, on the same disk."""

    def __init__(self, folder: Path, tree: Path) -> None:
        self._folder = folder
        self._tree = tree

    @property
    def is_begun(self) -> bool:
        """Whether an edit is being made, or was when a server was killed."""
        return self._folder.exists()

    def commit(self, changes: Sequence[Change]) -> None:
        """Make all changes.

        Raises:
            Conflict: A running command changed one of the files meanwhile; nothing was changed.
        """
        with contextlib.suppress(Conflict):  # that was told, or could have been, to another caller
            self.finish()
        self._folder.mkdir(mode=0o700)
        with opened_root(self._tree) as root:
            try:
                for number, change in enumerate(changes):
                    self._stage(str(number), change, root)
                for change in changes:
                    _check_unchanged(root, change)
            except BaseException:
                shutil.rmtree(self._folder)
                raise
        steps = [[change.path, change.content is None] for change in changes]
        plan = self._folder / f"{_PLAN}.new"
        plan.write_text(json.dumps(steps, ensure_ascii=True))
        plan.rename(self._folder / _PLAN)  # from here on it will be done
        self.finish()

    def finish(self) -> None:
        """Do what a plan says that was left by a killed server; drop what has no plan.

        Raises:
            Conflict: A running command put something in the way of a step.
        """
        plan = self._folder / _PLAN
        try:
            if plan.exists():
                with opened_root(self._tree) as root, opened_root(self._folder) as staged:
                    _carry_out(root, staged, json.loads(plan.read_text()))
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _stage(self, name: str, change: Change, root: int) -> None:
        """Write a new content beside the tree, with the mode and owner that it is to have."""
        if change.content is None:
            return
        path = self._folder / name
        owner = change.seen or Seen.of(os.fstat(root))
        if change.content.is_link:
            path.symlink_to(os.fsdecode(change.content.data))
            if os.geteuid() == 0:
                os.lchown(path, owner.owner, owner.group)
            return
        # The mode of a new file is cut by the umask, as for any program.
        fd = os.open(path, _NEW, 0o666)
        with os.fdopen(fd, "wb") as file:
            file.write(change.content.data)
            if os.geteuid() == 0:
                os.fchown(fd, owner.owner, owner.group)
            if change.content.mode is not None:
                os.fchmod(fd, change.content.mode & _PERMISSIONS)


def _carry_out(root: int, staged: int, steps: list[tuple[str, bool]]) -> None:
    """Do each step, or find it done. Removals first: a folder may come where a file was.

    Where a command meanwhile put something in the way, that one step is left undone: the others
    were promised.
    """
    blocked = []
    for path, removes in steps:
        if removes:
            with contextlib.suppress(OSError):
                _remove(root, path)
    for number, (path, removes) in enumerate(steps):
        if not removes:
            try:
                _put(root, staged, str(number), path)
            except OSError as error:
                blocked.append(f"{path} ({os.strerror(error.errno or errno.EIO).lower()})")
    if blocked:
        raise Conflict(
            f"a running command got in the way at {', '.join(blocked)}; the other files were "
            "changed: look at the tree, and end the command before you edit again"
        )


def _remove(root: int, path: str) -> None:
    """Remove a file, and the folders that are empty without it, as git does."""
    with _parent(root, path, create=False) as (folder, name):
        os.unlink(name, dir_fd=folder)
    while "/" in path:
        path = path.rpartition("/")[0]
        with _parent(root, path, create=False) as (folder, name):
            os.rmdir(name, dir_fd=folder)


def _put(root: int, staged: int, source: str, path: str) -> None:
    with _parent(root, path, create=True) as (folder, name):
        try:
            os.rename(source, name, src_dir_fd=staged, dst_dir_fd=folder)
        except FileNotFoundError:
            os.stat(name, dir_fd=folder, follow_symlinks=False)  # it was done before


@contextlib.contextmanager
def _parent(root: int, path: str, *, create: bool) -> Iterator[tuple[int, str]]:
    """Enter the folder of a path, component by component; yield it and the last name."""
    *folders, name = path.split("/")
    current = os.dup(root)
    try:
        for folder in folders:
            inner = _enter(current, folder, create=create)
            os.close(current)
            current = inner
        yield current, name
    finally:
        os.close(current)


def _enter(folder: int, name: str, *, create: bool) -> int:
    try:
        return os.open(name, _FOLDER, dir_fd=folder)
    except FileNotFoundError:
        if not create:
            raise
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, dir_fd=folder)
    inner = os.open(name, _FOLDER, dir_fd=folder)
    if os.geteuid() == 0:
        above = os.fstat(folder)
        os.fchown(inner, above.st_uid, above.st_gid)
    return inner


def _check_unchanged(root: int, change: Change) -> None:
    try:
        with _parent(root, change.path, create=False) as (folder, name):
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        found = None
    else:
        found = Seen.of(status)
        if stat.S_ISDIR(status.st_mode) and change.seen is None:
            return  # emptied by the removals, or in the way: the plan's own steps will tell
    if found != change.seen:
        raise Conflict(
            f"{change.path} was changed meanwhile, by a running command; nothing was changed by "
            "this edit: read it again",
            file=change.path,
        )
