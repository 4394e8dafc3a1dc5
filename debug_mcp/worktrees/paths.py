"""Paths in a session's tree: what a caller may name, and what it may have meant."""

import contextlib
import errno
import itertools
import os
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from debug_mcp.alike import closest
from debug_mcp.beneath import Refused, opened_beneath
from debug_mcp.errors import InvalidInput, NotFound

_CANDIDATES = 5
_LOOKED_AT = 20_000
_CUTOFF = 0.6
# Where names are many and never meant.
_SKIPPED = frozenset({".git", "node_modules", "__pycache__", ".venv", ".tox"})
# As file systems without case, and those with short names, spell it.
_GIT_NAMES = frozenset({".git", "git~1"})


def relative(path: str, roots: Sequence[str], field: str) -> str:
    """Return a path relative to the tree's root, ``.`` for the root itself.

    Args:
        path: As the caller wrote it; models write the whole path as they see it.
        roots: Where the tree's root is, as commands and as the host see it.
        field: The argument that the path came in.

    Raises:
        InvalidInput: It leads out of the tree.
    """
    for root in roots:
        if path == root or path.startswith(f"{root}/"):
            path = path[len(root) :].lstrip("/") or "."
            break
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if path.startswith(("/", "~")) or ".." in parts or "\0" in path:
        raise InvalidInput(
            f"{path!r} is not in the tree: name it relative to the tree's root, without ..; other "
            "files are reached with command_run",
            field=field,
        )
    return "/".join(parts) or "."


def is_in_git_directory(path: str) -> bool:
    """Return whether a path leads into a git directory, of the tree or of one within it."""
    return any(part.casefold() in _GIT_NAMES for part in path.split("/"))


def link_in(root: int, path: str) -> tuple[str, str] | None:
    """Return the first symbolic link on a path, and where the path leads if that is in the tree.

    The second is empty when it is not. Only to tell it to the caller: nothing is opened by it.
    """
    parts = path.split("/")
    for index in range(len(parts)):
        name = "/".join(parts[: index + 1])
        with contextlib.suppress(OSError):
            target = os.readlink(name, dir_fd=root)
            into = os.path.normpath(f"{PurePosixPath(name).parent}/{target}")
            rest = "/".join([into, *parts[index + 1 :]])
            inside = not target.startswith("/") and not into.startswith("..")
            return name, rest if inside else ""
    return None


def refusal(root: int, path: str, error: Refused) -> InvalidInput | NotFound:
    """Return why a path could not be opened, and what would do instead."""
    link = link_in(root, path)
    if error.code == errno.ELOOP and link is not None:
        name, target = link
        return InvalidInput(
            f"{name} is a symbolic link, which is not followed"
            + ("; name the file behind it" if target else "; it leads out of the tree"),
            field="path",
            candidates=[target] if target else [],
        )
    if error.code in (errno.ENOENT, errno.ENOTDIR):
        return missing(root, path)
    return InvalidInput(f"{path} cannot be opened: {error}", field="path")


def missing(root: int, path: str) -> NotFound:
    """Return the error that names paths like one that is not there."""
    return NotFound(f"no file {path!r} in the tree", field="path", candidates=near(root, path))


def near(root: int, path: str) -> list[str]:
    """Return paths that somebody who named one that is not there may have meant.

    The same file name elsewhere first, then similar ones. Bounded by what is looked at.
    """
    wanted = PurePosixPath(path).name
    paths = list(itertools.islice(_walk(root), _LOOKED_AT))
    same = [found for found in paths if PurePosixPath(found).name == wanted]
    alike = closest(path, paths, _CANDIDATES, _CUTOFF) if not same else []
    nearest = sorted(same, key=lambda found: -_shared(found, path))
    return (nearest + alike)[:_CANDIDATES]


def _shared(found: str, path: str) -> int:
    """Return how many last parts two paths have in common."""
    pairs = zip(reversed(found.split("/")), reversed(path.split("/")), strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def _walk(root: int) -> Iterator[str]:
    """Yield the paths in a tree, the upper ones first."""
    waiting = deque(["."])
    while waiting:
        folder = waiting.popleft()
        with (
            contextlib.suppress(Refused, OSError),
            opened_beneath(root, folder) as fd,
            os.scandir(fd) as entries,
        ):
            for entry in itertools.islice(entries, _LOOKED_AT):
                path = entry.name if folder == "." else f"{folder}/{entry.name}"
                with contextlib.suppress(UnicodeEncodeError):
                    path.encode()
                    yield path
                if entry.is_dir(follow_symlinks=False) and entry.name not in _SKIPPED:
                    waiting.append(path)
