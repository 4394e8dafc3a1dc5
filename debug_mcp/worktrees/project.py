"""How a tree says that it is tested and which Python it wants: from the files that say so.

Only what stands in a file counts, never its name alone. The tree may be hostile: each file is
opened beneath the root, is small, and what cannot be parsed says nothing.
"""

import configparser
import itertools
import json
import os
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from debug_mcp.beneath import Refused, check_regular, open_beneath, opened_beneath, opened_root

FILE_BYTES = 256 * 1024
_PYTEST = "pytest -q"
_UNITTEST = "python -m unittest"
# Of the folders where tests stand by custom, as many files as say what kind they are.
_FOLDERS = ("tests", "test", ".")
_FILES_READ = 5
_NAMES_READ = 1000
_TEST_FILE = re.compile(r"test_.*\.py|.*_test\.py")
_IMPORTS_PYTEST = re.compile(r"^\s*(?:import|from)\s+pytest\b", re.MULTILINE)
_IMPORTS_UNITTEST = re.compile(r"^\s*(?:import|from)\s+unittest\b", re.MULTILINE)
_TEST_FUNCTION = re.compile(r"^(?:async )?def test_", re.MULTILINE)
_PYTEST_NAME = re.compile(r"pytest(?![\w-])", re.IGNORECASE)
_TARGET = re.compile(r"^(test|check)[ \t]*:(?!=)", re.MULTILINE)
_SPECIFIER_CHARACTERS = 200
# What `npm init` writes where there are no tests.
_NO_TESTS = "no test specified"


class Project(NamedTuple):
    """The command that tests the tree, and its ``requires-python``; None where nothing says so."""

    tests: str | None
    requires_python: str | None


def look_at(tree: Path) -> Project:
    """Return what a tree says of itself. It reads a few small files: call it in a thread."""
    try:
        with opened_root(tree) as root:
            files = _Files(root)
            found = (look(files) for look in _LOOKS)
            tests = next((command for command in found if command), None)
            return Project(tests, _requires_python(files))
    except OSError:
        return Project(None, None)


class _Files:
    """The files of a tree, as far as they can be read."""

    def __init__(self, root: int) -> None:
        self._root = root

    def text(self, path: str) -> str:
        """Return a file's text; nothing when there is none to read."""
        try:
            fd = open_beneath(self._root, path)
        except Refused:
            return ""
        with os.fdopen(fd, "rb") as file:
            try:
                check_regular(fd, FILE_BYTES)
            except Refused:
                return ""
            return file.read(FILE_BYTES).decode("utf-8", "replace")

    def names(self, folder: str) -> list[str]:
        """Return some names of a folder, sorted."""
        try:
            with opened_beneath(self._root, folder) as fd, os.scandir(fd) as entries:
                return sorted(entry.name for entry in itertools.islice(entries, _NAMES_READ))
        except (Refused, NotADirectoryError):
            return []

    def toml(self, path: str) -> dict[str, Any]:
        try:
            return tomllib.loads(self.text(path))
        except (ValueError, RecursionError):
            return {}

    def json(self, path: str) -> dict[str, Any]:
        try:
            value = json.loads(self.text(path) or "{}")
        except (ValueError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}

    def ini(self, path: str) -> configparser.ConfigParser:
        parser = configparser.ConfigParser(interpolation=None, strict=False)
        try:
            parser.read_string(self.text(path))
        except configparser.Error:
            parser.clear()
        return parser


def _member(value: object, *keys: str) -> object:
    """Return a member of nested tables, or None; what stands there may be anything."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _configured_pytest(files: _Files) -> str | None:
    pyproject = _member(files.toml("pyproject.toml"), "tool", "pytest")
    sections = [
        *(files.ini(name).has_section("pytest") for name in ("pytest.ini", ".pytest.ini")),
        files.ini("tox.ini").has_section("pytest"),
        files.ini("setup.cfg").has_section("tool:pytest"),
    ]
    return _PYTEST if pyproject is not None or any(sections) else None


def _wanted_pytest(files: _Files) -> str | None:
    """Look for pytest among what the tests need."""
    pyproject = files.toml("pyproject.toml")
    needs = (
        _member(pyproject, "dependency-groups"),
        _member(pyproject, "project", "optional-dependencies"),
        _member(pyproject, "tool", "poetry", "group"),
        _member(pyproject, "tool", "poetry", "dev-dependencies"),
    )
    tox = files.ini("tox.ini")
    commands = [tox.get(section, "commands", fallback="") for section in tox.sections()]
    return _PYTEST if _PYTEST_NAME.search(f"{needs} {commands}") else None


def _python_tests(files: _Files) -> str | None:
    for folder in _FOLDERS:
        names = [name for name in files.names(folder) if _TEST_FILE.fullmatch(name)]
        texts = [files.text(f"{folder}/{name}") for name in names[:_FILES_READ]]
        if "conftest.py" in files.names(folder):
            texts.append(files.text(f"{folder}/conftest.py"))
        if any(_IMPORTS_PYTEST.search(text) or _TEST_FUNCTION.search(text) for text in texts):
            return _PYTEST
        if any(_IMPORTS_UNITTEST.search(text) for text in texts):
            return _UNITTEST if folder == "." else f"{_UNITTEST} discover -s {folder}"
    return None


def _cargo(files: _Files) -> str | None:
    manifest = files.toml("Cargo.toml")
    return "cargo test" if {"package", "workspace"} & manifest.keys() else None


def _go(files: _Files) -> str | None:
    return "go test ./..." if re.search(r"^module\s", files.text("go.mod"), re.MULTILINE) else None


def _npm(files: _Files) -> str | None:
    script = _member(files.json("package.json"), "scripts", "test")
    known = isinstance(script, str) and script.strip() and _NO_TESTS not in script
    return "npm test" if known else None


def _make(files: _Files) -> str | None:
    for name in ("GNUmakefile", "makefile", "Makefile"):
        if target := _TARGET.search(files.text(name)):
            return f"make {target[1]}"
    return None


def _tox(files: _Files) -> str | None:
    return "tox" if files.ini("tox.ini").has_section("testenv") else None


# What is named first is believed first.
_LOOKS: tuple[Callable[[_Files], str | None], ...] = (
    _configured_pytest, _wanted_pytest, _cargo, _go, _npm, _python_tests, _make, _tox,
)  # fmt: skip


def _requires_python(files: _Files) -> str | None:
    said = _member(files.toml("pyproject.toml"), "project", "requires-python")
    if said is None:
        said = files.ini("setup.cfg").get("options", "python_requires", fallback=None)
    if not isinstance(said, str) or len(said) > _SPECIFIER_CHARACTERS:
        return None
    return said.strip() or None
