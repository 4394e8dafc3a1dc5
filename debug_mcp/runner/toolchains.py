"""Which folders outside the system's a command needs to read, so that its tools are there.

Binding the folders on PATH is not enough: a pyenv shim dies without its ``libexec``, a virtual
environment without its base interpreter. So each folder on PATH counts with the *prefixes* of what
its programs resolve to, where such a prefix looks like an installation. Of a project's folder, only
the programs count: its secrets lie beside them. Folders that the system's own cover are left out.
"""

import contextlib
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from debug_mcp.runner.environment import SYSTEM_PATH

# Bound as a whole by the sandbox.
SYSTEM_ROOTS = tuple(Path(root) for root in ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/opt"))

# Where version managers keep what their small launchers start, relative to the home, and the
# variable that tells the launcher so: in a session the home is another.
MANAGERS = {
    ".pyenv": "PYENV_ROOT",
    ".rbenv": "RBENV_ROOT",
    ".nvm": "NVM_DIR",
    ".asdf": "ASDF_DATA_DIR",
    ".local/share/mise": "MISE_DATA_DIR",
    ".local/share/uv": None,
    ".rustup": "RUSTUP_HOME",
    ".sdkman": "SDKMAN_DIR",
    ".volta": "VOLTA_HOME",
}
# The same for those that have one place on every machine.
SHARED_ROOTS = (Path("/nix/store"), Path("/home/linuxbrew/.linuxbrew"))
# Where these point, a toolchain stands that need not be on PATH.
POINTERS = ("JAVA_HOME", "GOROOT")

# A ``bin`` here is not a toolchain's.
_SHARED = frozenset(Path(name) for name in ("/", "/usr", "/tmp", "/home", "/mnt", "/srv", "/var"))  # noqa: S108
_BIN_NAMES = frozenset({"bin", "sbin", "shims", "Scripts"})
_INSTALLED = frozenset({"lib", "lib64", "libexec", "share", "include", "jre", "specifications"})
_ENVIRONMENT = frozenset({"pyvenv.cfg", "conda-meta"})
_PROJECT = frozenset({
    ".git", ".hg", ".svn", ".env", "pyproject.toml", "setup.py", "package.json", "Cargo.toml",
    "go.mod", "Makefile", "CMakeLists.txt", "pom.xml", "build.gradle", "Gemfile",
})  # fmt: skip
_PROGRAMS_PER_FOLDER = 2000
_SCRIPTS_PER_FOLDER = 300
_FIRST_LINE_BYTES = 256
_LINKS = 40  # as many as the kernel follows


@dataclass(frozen=True, slots=True)
class Toolchains:
    """``path`` for the command, the shell on it, and what must be readable for it.

    ``variables`` tell version managers where they are.
    """

    path: str
    shell: str
    folders: tuple[Path, ...]
    variables: Mapping[str, str] = field(default_factory=dict)


def find_toolchains(
    path: str,
    home: Path,
    extra: Iterable[Path] = (),
    environment: Mapping[str, str] | None = None,
) -> Toolchains:
    """Look at every program on PATH; reads the disk, so call it once and in a thread.

    Args:
        path: The person's PATH.
        home: The person's home.
        extra: Further folders, from the settings.
        environment: The person's variables; of them only those that name a toolchain count.
    """
    search: list[str] = []
    places: set[Path] = set(extra)
    for name in path.split(":"):
        folder = Path(name)
        if not folder.is_absolute() or name in search or not _is_folder(folder):
            continue
        search.append(name)
        if not _within(folder, SYSTEM_ROOTS):
            places |= _needed(folder, home)
    managed, variables = _managed(home, environment or {})
    search += [name for name in SYSTEM_PATH if name not in search]
    return Toolchains(
        path=":".join(search),
        shell="bash" if shutil.which("bash", path=":".join(search)) else "sh",
        folders=_outermost(places | managed, home),
        variables=variables,
    )


def with_folders(toolchains: Toolchains, folders: Iterable[Path], home: Path) -> Toolchains:
    """Return toolchains for which these must be readable too."""
    more = {folder for folder in folders if not _within(folder, SYSTEM_ROOTS)}
    return Toolchains(
        toolchains.path,
        toolchains.shell,
        _outermost({*toolchains.folders, *more}, home),
        toolchains.variables,
    )


def _managed(home: Path, environment: Mapping[str, str]) -> tuple[set[Path], dict[str, str]]:
    """Return the version managers that are there, and the variables by which they find it."""
    places = {root for root in SHARED_ROOTS if _is_folder(root)}
    variables: dict[str, str] = {}
    for name, variable in MANAGERS.items():
        root = Path(environment.get(variable or "", "") or home / name)
        if root.is_absolute() and _is_folder(root) and not _holds(root, home):
            places.add(root)
            if variable is not None:
                variables[variable] = str(root)
    for variable in POINTERS:
        root = Path(environment.get(variable, ""))
        if root.is_absolute() and _is_folder(root) and not _is_project(_names(root)):
            places |= set() if _within(root, SYSTEM_ROOTS) else {root}
            variables[variable] = str(root)
    return places, variables


def _needed(folder: Path, home: Path) -> set[Path]:
    """Return what a folder on PATH and its programs need, itself among them."""
    bins = {folder, folder.resolve()}
    files: set[Path] = set()
    try:
        with os.scandir(folder) as entries:
            programs = [Path(entry.path) for entry in islice(entries, _PROGRAMS_PER_FOLDER)]
    except OSError:
        programs = []  # a folder that may not be read holds nothing that could be started
    scripts = _SCRIPTS_PER_FOLDER
    for program in programs:
        with contextlib.suppress(OSError):
            if program.is_symlink():
                files |= {*_hops(program), Path(os.path.realpath(program))}
            elif scripts > 0 and _is_file(program):
                scripts -= 1
                files |= _interpreter(program)
    found = {_place(file, home) for file in files if _is_file(file)}
    found |= {place for bin_folder in bins for place in _exposed(bin_folder, home, programs)}
    found = {place for place in found if not _within(place, SYSTEM_ROOTS)}
    return found.union(*(_base_interpreter(place, home) for place in found))


def _exposed(folder: Path, home: Path, programs: Iterable[Path]) -> set[Path]:
    """Return what is shown of a folder on PATH: its prefix, itself, or only its programs."""
    if not _is_project(_names(folder)) and not _holds(folder, home):
        return {_prefix(folder, home)}
    return {program for program in programs if _is_file(program) and os.access(program, os.X_OK)}


def _place(file: Path, home: Path) -> Path:
    """Return what is shown for a program that something on PATH leads to."""
    folder = file.parent
    if folder.name in _BIN_NAMES:
        return _prefix(folder, home)
    if _is_project(_names(folder)) or _holds(folder, home) or folder in _SHARED:
        return file
    return folder


def _prefix(folder: Path, home: Path) -> Path:
    """Return what ``bin`` stands in, where that is an installation and no more than that."""
    parent = folder.parent
    if folder.name not in _BIN_NAMES or parent in _SHARED or _holds(parent, home):
        return folder
    if parent.resolve() == (home / ".local").resolve():
        return folder
    names = _names(parent)
    installed = bool(names & (_INSTALLED | _ENVIRONMENT)) or parent.name == "vendor"
    return parent if installed and not _is_project(names) else folder


def _is_project(names: frozenset[str]) -> bool:
    return bool(names & _PROJECT) and not names & _ENVIRONMENT


def _names(folder: Path) -> frozenset[str]:
    try:
        return frozenset(os.listdir(folder))  # noqa: PTH208
    except OSError:
        return frozenset()


def _hops(link: Path) -> list[Path]:
    """Return where a chain of links leads, step by step: each must be there to be followed."""
    found: list[Path] = []
    while link.is_symlink() and len(found) < _LINKS:
        link = Path(os.path.normpath(link.parent / link.readlink()))
        found.append(link)
    return found


def _interpreter(script: Path) -> set[Path]:
    """Return what the first line of a script names, by all its names."""
    with script.open("rb") as file:
        first = file.readline(_FIRST_LINE_BYTES)
    words = first.removeprefix(b"#!").split()
    if not first.startswith(b"#!") or not words[:1] or not words[0].startswith(b"/"):
        return set()
    named = Path(os.fsdecode(words[0]))
    return {named, *_hops(named), Path(os.path.realpath(named))}


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


def _is_file(path: Path) -> bool:
    return os.path.isfile(path)  # noqa: PTH113


def _is_folder(path: Path) -> bool:
    """Unlike ``Path.is_dir``, False also where a folder above must not be entered."""
    return os.path.isdir(path)  # noqa: PTH112


def _within(path: Path, roots: tuple[Path, ...]) -> bool:
    return any(path == root or root in path.parents for root in roots)


def _holds(folder: Path, home: Path) -> bool:
    """Return whether a folder is the home or holds it, by whatever name."""
    return home.resolve().is_relative_to(folder.resolve())


def _outermost(places: set[Path], home: Path) -> tuple[Path, ...]:
    """Drop what lies inside others, and never hand out a whole home or the whole disk."""
    sane = {place for place in places if os.path.lexists(place) and not _holds(place, home)}
    return tuple(
        place for place in sorted(sane) if not any(other in place.parents for other in sane)
    )
