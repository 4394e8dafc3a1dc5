"""Which folders outside the system's a command needs to read, so that its tools are there.

Binding the folders on PATH is not enough: a pyenv shim dies without its ``libexec``, a virtual
environment without its base interpreter. So each folder on PATH counts with the *prefixes* of what
its programs resolve to. Folders on PATH that the system's own cover are left out.
"""

import contextlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from debug_mcp.runner.environment import SYSTEM_PATH

# Bound as a whole by the sandbox.
SYSTEM_ROOTS = tuple(Path(root) for root in ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/opt"))

# Where version managers keep what their small launchers start, relative to the home.
MANAGED = (".rustup", ".local/share/uv", ".local/share/mise", ".sdkman")

# A ``bin`` here is not a toolchain's.
_SHARED = frozenset(Path(name) for name in ("/", "/usr", "/tmp", "/home", "/mnt", "/srv", "/var"))  # noqa: S108
_BIN_NAMES = frozenset({"bin", "sbin", "shims", "Scripts"})
_PROGRAMS_PER_FOLDER = 2000
_LINKS = 40  # as many as the kernel follows


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
        if not folder.is_absolute() or name in search or not _is_folder(folder):
            continue
        search.append(name)
        if not _within(folder, SYSTEM_ROOTS):
            folders |= _needed(folder, home)
    folders |= {home / name for name in MANAGED if folders and _is_folder(home / name)}
    search += [name for name in SYSTEM_PATH if name not in search]
    return Toolchains(
        path=":".join(search),
        shell="bash" if shutil.which("bash", path=":".join(search)) else "sh",
        folders=_outermost(folders, home),
    )


def _needed(folder: Path, home: Path) -> set[Path]:
    """Return the prefixes of a folder on PATH and of what its programs lead to."""
    bins = {folder, folder.resolve()}
    try:
        with os.scandir(folder) as entries:
            links = [entry for entry in entries if entry.is_symlink()]
    except OSError:
        links = []  # a folder that may not be read holds nothing that could be started
    for link in links[:_PROGRAMS_PER_FOLDER]:
        program = Path(os.path.realpath(link.path))
        with contextlib.suppress(OSError):
            if program.is_file():
                bins |= {hop.parent for hop in (*_hops(Path(link.path)), program)}
    needed = {_prefix(found, home) for found in bins if not _within(found, SYSTEM_ROOTS)}
    return needed.union(*(_base_interpreter(prefix, home) for prefix in needed))


def _hops(link: Path) -> list[Path]:
    """Return where a chain of links leads, step by step: each must be there to be followed."""
    found: list[Path] = []
    while link.is_symlink() and len(found) < _LINKS:
        link = Path(os.path.normpath(link.parent / link.readlink()))
        found.append(link)
    return found


def _prefix(folder: Path, home: Path) -> Path:
    """Return what ``bin`` stands in, unless that is far more than a toolchain."""
    parent = folder.parent
    shared = parent in _SHARED or parent.resolve() == (home / ".local").resolve()
    return (
        parent if folder.name in _BIN_NAMES and not shared and not _holds(parent, home) else folder
    )


def _base_interpreter(prefix: Path, home: Path) -> set[Path]:
    """Return the prefix of the interpreter that a virtual environment borrows, by all its names."""
    try:
        lines = (prefix / "pyvenv.cfg").read_text("utf-8", "replace").splitlines()
    except OSError:
        return set()
    for line in lines:
        key, _, value = line.partition("=")
        if key.strip() == "home":
            named = Path(value.strip())
            bases = {named, named.resolve()}
            return {_prefix(base, home) for base in bases if not _within(base, SYSTEM_ROOTS)}
    return set()


def _is_folder(path: Path) -> bool:
    """Unlike ``Path.is_dir``, False also where a folder above must not be entered."""
    return os.path.isdir(path)  # noqa: PTH112


def _within(path: Path, roots: tuple[Path, ...]) -> bool:
    return any(path == root or root in path.parents for root in roots)


def _holds(folder: Path, home: Path) -> bool:
    """Return whether a folder is the home or holds it, by whatever name."""
    return home.resolve().is_relative_to(folder.resolve())


def _outermost(folders: set[Path], home: Path) -> tuple[Path, ...]:
    """Drop folders inside others, and never hand out a whole home or the whole disk."""
    sane = {folder for folder in folders if _is_folder(folder) and not _holds(folder, home)}
    return tuple(
        folder for folder in sorted(sane) if not any(other in folder.parents for other in sane)
    )
