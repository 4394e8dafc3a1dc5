"""Which folders outside the system's a command needs to read, so that its tools are there.

Binding the folders on PATH is not enough: a pyenv shim dies without its ``libexec``, a virtual
environment without its base interpreter. So each folder on PATH counts with the *prefixes* of what
its programs resolve to. Folders on PATH that the system's own cover are left out.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from debug_mcp.runner.environment import SYSTEM_PATH

# Bound as a whole by the sandbox.
SYSTEM_ROOTS = tuple(Path(root) for root in ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/opt"))

# Where version managers keep what their small launchers start, relative to the home.
MANAGED = (".rustup", ".local/share/uv", ".local/share/mise", ".sdkman")

_BIN_NAMES = frozenset({"bin", "sbin", "shims", "Scripts"})
_PROGRAMS_PER_FOLDER = 2000


@dataclass(frozen=True, slots=True)
class Toolchains:
    """``path`` for the command, the shell on it, and the folders that must be readable for it."""

    path: str
    shell: str
    folders: tuple[Path, ...]


def find_toolchains(path: str, home: Path, extra: tuple[Path, ...] = ()) -> Toolchains:
    """Look at every program on PATH; reads the disk, so call it once and in a thread."""
    search: list[str] = []
    folders: set[Path] = set(extra)
    for name in path.split(":"):
        folder = Path(name)
        if not folder.is_absolute() or name in search or not folder.is_dir():
            continue
        search.append(name)
        if not _within(folder, SYSTEM_ROOTS):
            folders |= _needed(folder, home)
    folders |= {home / name for name in MANAGED if folders and (home / name).is_dir()}
    search += [name for name in SYSTEM_PATH if name not in search]
    return Toolchains(
        path=":".join(search),
        shell="bash" if shutil.which("bash", path=":".join(search)) else "sh",
        folders=_outermost(folders, home),
    )


def _needed(folder: Path, home: Path) -> set[Path]:
    """Return the prefixes of a folder on PATH and of what its programs resolve to."""
    needed = {_prefix(folder, home)}
    with os.scandir(folder) as entries:
        for number, entry in enumerate(entries):
            if number >= _PROGRAMS_PER_FOLDER:
                break
            if entry.is_symlink():
                target = Path(os.path.realpath(entry.path))
                if target.is_file() and not _within(target, SYSTEM_ROOTS):
                    needed.add(_prefix(target.parent, home))
    return needed | {base for prefix in needed if (base := _base_interpreter(prefix, home))}


def _prefix(folder: Path, home: Path) -> Path:
    """Return what ``bin`` stands in, unless that is a person's whole home or the whole disk."""
    parent = folder.parent
    shared = {home, home / ".local", Path("/"), Path("/usr")}
    return parent if folder.name in _BIN_NAMES and parent not in shared else folder


def _base_interpreter(prefix: Path, home: Path) -> Path | None:
    """Return the prefix of the interpreter that a virtual environment borrows."""
    try:
        lines = (prefix / "pyvenv.cfg").read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    for line in lines:
        key, _, value = line.partition("=")
        if key.strip() == "home":
            base = Path(value.strip()).resolve()
            return None if _within(base, SYSTEM_ROOTS) else _prefix(base, home)
    return None


def _within(path: Path, roots: tuple[Path, ...]) -> bool:
    return any(path == root or root in path.parents for root in roots)


def _outermost(folders: set[Path], home: Path) -> tuple[Path, ...]:
    """Drop folders inside others, and never hand out a whole home or the whole disk."""
    sane = {folder for folder in folders if folder.is_dir() and folder not in (home, Path("/"))}
    return tuple(
        folder for folder in sorted(sane) if not any(other in folder.parents for other in sane)
    )
