"""What stands around a command: the programs on its PATH, and the files of its session.

The tree and the home are hostile: they are only reached beneath their roots, without following a
link. What cannot be read counts as not there. All of this reads the disk: call it in a thread.
"""

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from debug_mcp.alike import closest
from debug_mcp.beneath import Refused, opened_beneath, opened_root
from debug_mcp.errors import Unavailable

CANDIDATES = 3
FIRST_LINE_BYTES = 256
_NAMES = 5000
_ALIKE = 0.7
# Where projects keep programs that are not on PATH.
_PROGRAM_FOLDERS = (".venv/bin", "venv/bin", "node_modules/.bin", "bin", "scripts", "target/debug")
_VIRTUAL = "venv"
_SYSTEM_KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "folder"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or folder of the tree; ``head`` is the beginning of a file."""

    kind: str
    executable: bool
    head: bytes = b""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The folders on the host: the tree, the home, and those of PATH that a command sees.

    ``scripts`` is that one of PATH which has the programs of the person's Python packages.
    """

    tree: Path
    home: Path
    path: tuple[Path, ...]
    workspace: str = "/workspace"
    scripts: Path | None = None

    def programs(self) -> set[str]:
        """Return the names of programs on PATH."""
        found = set(_names(self.home, f"{_VIRTUAL}/bin"))
        for folder in self.path:
            with contextlib.suppress(OSError):
                found.update(entry.name for entry in islice(folder.iterdir(), _NAMES))
        return found

    def near_programs(self, name: str) -> list[str]:
        """Return programs on PATH with a name like this one, the likest first."""
        return near(name, self.programs())

    def in_project(self, name: str) -> str | None:
        """Return the path, from the tree's root, of a program that is not on PATH."""
        for folder in _PROGRAM_FOLDERS:
            if name in _names(self.tree, folder):
                return f"{folder}/{name}"
        here = self.entry(name)
        return name if here is not None and here.kind == "file" else None

    def has_module(self, name: str) -> bool:
        """Return whether ``python -m NAME`` would find a module of the project or its venv."""
        if not name.isidentifier():
            return False
        if "__main__.py" in _names(self.tree, name):
            return True
        libraries = f"{_VIRTUAL}/lib"
        return any(
            "__main__.py" in _names(self.home, f"{libraries}/{version}/site-packages/{name}")
            for version in _names(self.home, libraries)
        )

    def inside(self, path: str, cwd: str = ".") -> str | None:
        """Return a path relative to the tree's root, or None where it is outside."""
        for root in (self.workspace, str(self.tree)):
            path = "." if path == root else path.removeprefix(f"{root}/")
        if path.startswith("/"):
            return None
        joined = os.path.normpath(f"{cwd}/{path}")
        return None if joined.startswith("..") else joined

    def entry(self, path: str) -> Entry | None:
        """Return what is at a path of the tree, or None when nothing can be told."""
        with contextlib.suppress(OSError, Refused, Unavailable), opened_root(self.tree) as root:
            with opened_beneath(root, path) as fd:
                found = os.fstat(fd)
                kind = _SYSTEM_KINDS.get(stat.S_IFMT(found.st_mode))
                head = os.pread(fd, FIRST_LINE_BYTES, 0) if kind == "file" else b""
            return Entry(kind, bool(found.st_mode & 0o111), head) if kind else None
        return None

    def near_paths(self, path: str) -> list[str]:
        """Return what is in the tree beside a path that is not there, and has a name like it."""
        folder, name = os.path.split(path)
        while folder and self.entry(folder) is None:
            folder, name = os.path.split(folder)
        alike = near(name, _names(self.tree, folder))
        return [f"{folder}/{found}" if folder else found for found in alike]


def near(name: str, names: Iterable[str]) -> list[str]:
    """Return names like this one, the likest first."""
    return closest(name, sorted(names), CANDIDATES, _ALIKE)


def _names(root: Path, folder: str) -> list[str]:
    with (
        contextlib.suppress(OSError, Refused, Unavailable),
        opened_root(root) as opened,
        opened_beneath(opened, folder or ".") as fd,
    ):
        return list(_listed(fd))
    return []


def _listed(fd: int) -> Iterator[str]:
    with os.scandir(fd) as entries:
        for entry in islice(entries, _NAMES):
            yield entry.name
