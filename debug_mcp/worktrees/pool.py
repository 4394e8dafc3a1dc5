"""Prepared trees on disk: checked out from a mirror, never entered by a command, given away once.

A tree's name says all that is known of it: ``<commit>-<KiB>-<number>``. One that is being made or
switched carries its maker's name instead, ``<number>.<instance>``, so that what a dead server left
can be told from what a living one works on. Who renames a tree has it; whoever else tried finds it
gone. Everything here blocks: call it in a thread.
"""

import os
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from debug_mcp.folders import delete_tree, each_folder

_READY = re.compile(r"(?P<commit>[0-9a-f]{40,64})-(?P<kib>\d+)-[0-9a-f]+")
_MAKING = re.compile(r"[0-9a-f]+\.(?P<instance>[0-9a-f]+)(?:\.git)?")
_BLOCK = 512  # of st_blocks, whatever the file system's own blocks are


@dataclass(frozen=True, slots=True)
class Prepared:
    """One tree that is ready: at which commit, how large, and when it was made."""

    path: Path
    commit: str
    size: int
    made_ns: int


class Shelf:
    """The prepared trees of one repository."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def ready(self) -> list[Prepared]:
        """Return what can be taken, newest first."""
        found = []
        for name in _names(self.folder):
            if match := _READY.fullmatch(name):
                path = self.folder / name
                try:
                    made = path.stat().st_mtime_ns
                except FileNotFoundError:
                    continue  # taken since
                found.append(Prepared(path, match["commit"], int(match["kib"]) * 1024, made))
        return sorted(found, key=lambda tree: tree.made_ns, reverse=True)

    def take(self, commit: str, target: Path) -> str | None:
        """Move a tree to ``target``, one at ``commit`` if there is; return at which it is.

        Returns None when there is none.
        """
        trees = self.ready()
        for tree in sorted(trees, key=lambda tree: tree.commit != commit):
            if _moved(tree.path, target):
                return tree.commit
        return None

    def begin(self, instance: str) -> Path:
        """Return where a server makes a new tree."""
        path = self.folder / f"{secrets.token_hex(4)}.{instance}"
        path.mkdir(mode=0o700, parents=True)
        return path

    def begin_with(self, tree: Prepared, instance: str) -> Path | None:
        """Take a tree to switch it to another commit; None when somebody was quicker."""
        path = self.folder / f"{secrets.token_hex(4)}.{instance}"
        return path if _moved(tree.path, path) else None

    def offer(self, tree: Path, commit: str) -> None:
        """Let a tree that is made be taken."""
        tree.rename(self.folder / f"{commit}-{_kib(tree)}-{secrets.token_hex(4)}")

    def discard(self, tree: Prepared, instance: str) -> None:
        """Remove a tree, unless somebody took it meanwhile."""
        gone = self.begin_with(tree, instance)
        if gone is not None:
            delete_tree(gone)

    def sweep(self, lives: Callable[[str], bool]) -> None:
        """Remove what servers that are gone were making."""
        for name in _names(self.folder):
            match = _MAKING.fullmatch(name)
            if match and not lives(match["instance"]):
                delete_tree(self.folder / name)


def shelves(folder: Path) -> Iterator[Shelf]:
    """Yield the shelf of each repository that has one."""
    for name in _names(folder):
        if (folder / name).is_dir() and not name.startswith("."):
            yield Shelf(folder / name)


def _names(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        return []


def _moved(source: Path, target: Path) -> bool:
    try:
        source.rename(target)
    except FileNotFoundError:
        return False
    return True


def _kib(tree: Path) -> int:
    """Return what a tree takes on disk."""
    blocks = 0
    for folder, entries in each_folder(tree):
        blocks += os.lstat(folder).st_blocks
        blocks += sum(
            entry.stat(follow_symlinks=False).st_blocks
            for entry in entries
            if not entry.is_dir(follow_symlinks=False)
        )
    return blocks * _BLOCK // 1024
