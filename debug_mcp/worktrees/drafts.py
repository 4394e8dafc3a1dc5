"""What a set of edits makes of a tree, worked out before anything is changed."""

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from debug_mcp.beneath import Refused, open_beneath, opened_beneath, opened_root
from debug_mcp.errors import Conflict, InvalidInput
from debug_mcp.models.files import FileKind
from debug_mcp.worktrees.files import kind_of
from debug_mcp.worktrees.journal import Change, Content, Seen
from debug_mcp.worktrees.paths import is_in_git_directory, missing, refusal

FILE_BYTES = 16 * 1024 * 1024


class Draft:
    """The files that edits touch: as they are, and as they are to be. Blocks while it reads.

    Args:
        tree: The tree's root on the host.
        links: Take a link that stands where a file could, as patches do, instead of refusing it.
    """

    def __init__(self, tree: Path, *, links: bool = False) -> None:
        self._tree = tree
        self._links = links
        self._before: dict[str, tuple[Seen, Content] | None] = {}
        self._after: dict[str, Content | None] = {}

    def __getitem__(self, path: str) -> Content | None:
        """Return what stands under a path by now, or None.

        Raises:
            InvalidInput: It is nothing that can be edited, or lies behind a link or in ``.git``.
        """
        if path not in self._after:
            with opened_root(self._tree) as root:
                found = self._read(root, path)
            self._before[path] = found
            self._after[path] = found[1] if found else None
        return self._after[path]

    def __setitem__(self, path: str, content: Content | None) -> None:
        """Let something stand under a path, or nothing.

        A file that is there keeps its mode; only whether it is executable can change.
        """
        self[path]
        before = self.before(path)
        if content and before and not content.is_link and before.mode is not None:
            mode = before.mode if content.mode is None else _executable(before.mode, content.mode)
            content = replace(content, mode=mode)
        self._after[path] = content

    def __iter__(self) -> Iterator[str]:
        """Go through the paths that were looked at."""
        return iter(list(self._after))

    def existing(self, path: str) -> Content:
        """Return what stands under a path.

        Raises:
            NotFound: Nothing does; the candidates are paths that may have been meant.
        """
        content = self[path]
        if content is None:
            with opened_root(self._tree) as root:
                raise missing(root, path)
        return content

    def before(self, path: str) -> Content | None:
        """Return what stood under a path at first."""
        found = self._before[path]
        return found[1] if found else None

    def changes(self) -> list[Change]:
        """Return what differs from what was there."""
        changed = []
        for path, content in self._after.items():
            found = self._before[path]
            if content != (found[1] if found else None):
                changed.append(Change(path, found[0] if found else None, content))
        return changed

    def _read(self, root: int, path: str) -> tuple[Seen, Content] | None:
        if is_in_git_directory(path):
            raise InvalidInput(
                f"{path} is in a git directory, which edits leave alone: use git with command_run",
                field="path",
            )
        try:
            fd = open_beneath(root, path)
        except Refused as error:
            if error.code == errno.ENOENT:
                return None
            if error.code == errno.ENOTDIR and self._file_is_removed_above(path):
                return None
            if error.code == errno.ELOOP and self._links and (link := _link(root, path)):
                return link
            raise refusal(root, path, error) from None
        try:
            status = os.fstat(fd)
            if stat.S_ISDIR(status.st_mode) and self._is_emptied(fd, path):
                return None
            check_editable(path, status)
            return Seen.of(status), Content(_whole(fd, path), stat.S_IMODE(status.st_mode))
        finally:
            os.close(fd)

    def _file_is_removed_above(self, path: str) -> bool:
        return any(path.startswith(f"{name}/") for name in self._removed())

    def _is_emptied(self, folder: int, path: str) -> bool:
        """Return whether the edits remove all that is in a folder, so that a file may come."""
        names = {f"{path}/{name}" for name in os.listdir(folder)}
        return bool(names) and names <= self._removed()

    def _removed(self) -> set[str]:
        return {name for name, content in self._after.items() if content is None}


def check_editable(path: str, status: os.stat_result) -> None:
    """Do nothing when an open file is one that can be edited.

    Raises:
        InvalidInput: It is a folder, a pipe, a device, or too large.
    """
    kind = kind_of(status.st_mode)
    if kind is not FileKind.FILE:
        raise InvalidInput(f"{path} is a {kind}, not a file", field="path")
    if status.st_size > FILE_BYTES:
        raise InvalidInput(
            f"{path} has {status.st_size} bytes; files of up to {FILE_BYTES} can be edited here, "
            "others with command_run",
            field="path",
        )


def _link(root: int, path: str) -> tuple[Seen, Content] | None:
    above, _, name = path.rpartition("/")
    try:
        with opened_beneath(root, above or ".") as folder:
            target = os.readlink(name, dir_fd=folder)
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            return Seen.of(status), Content(os.fsencode(target), is_link=True)
    except (Refused, OSError):
        return None


def _executable(mode: int, like: int) -> int:
    """Return a mode that is executable, or not, as another one is; where it can be read."""
    readable = (mode & 0o444) >> 2
    return mode | readable if like & stat.S_IXUSR else mode & ~0o111


def _whole(fd: int, path: str) -> bytes:
    """Read a file to its end; it may grow meanwhile."""
    with os.fdopen(os.dup(fd), "rb") as file:
        data = file.read(FILE_BYTES + 1)
    if len(data) > FILE_BYTES:
        raise Conflict(f"{path} is growing while it is read; nothing was changed", file=path)
    return data
