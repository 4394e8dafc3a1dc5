"""How a tree says that it is tested: by what stands in its files, and not by their names."""

import os
from pathlib import Path

import pytest

from debug_mcp.worktrees.project import FILE_BYTES, Project, look_at

PYTEST_IN_PYPROJECT = "[tool.pytest.ini_options]\naddopts = ''\n"


@pytest.mark.parametrize(
    ("files", "tests"),
    [
        ({"pyproject.toml": PYTEST_IN_PYPROJECT}, "pytest -q"),
        ({"pytest.ini": "[pytest]\n"}, "pytest -q"),
        ({"tox.ini": "[pytest]\naddopts = %d\n"}, "pytest -q"),
        ({"setup.cfg": "[tool:pytest]\n"}, "pytest -q"),
        ({"pyproject.toml": '[dependency-groups]\ntest = ["pytest>=8"]\n'}, "pytest -q"),
        ({"pyproject.toml": '[project.optional-dependencies]\ndev = ["pytest"]\n'}, "pytest -q"),
        ({"tox.ini": "[testenv]\ncommands = pytest {posargs}\n"}, "pytest -q"),
        ({"tests/test_it.py": "def test_it():\n    pass\n"}, "pytest -q"),
        ({"tests/conftest.py": "import pytest\n"}, "pytest -q"),
        ({"test_it.py": "import unittest\n"}, "python -m unittest"),
        ({"tests/test_it.py": "from unittest import TestCase\n"},
         "python -m unittest discover -s tests"),
        ({"Cargo.toml": "[package]\nname = 'x'\n"}, "cargo test"),
        ({"Cargo.toml": "[workspace]\n"}, "cargo test"),
        ({"go.mod": "// a comment\nmodule example.org/x\n"}, "go test ./..."),
        ({"package.json": '{"scripts": {"test": "vitest"}}'}, "npm test"),
        ({"Makefile": "all:\n\ttrue\n\ntest: all\n\ttrue\n"}, "make test"),
        ({"Makefile": "check:\n\ttrue\n"}, "make check"),
        ({"tox.ini": "[testenv]\ncommands = nose2\n"}, "tox"),
        ({"pytest.ini": "[pytest]\n", "Makefile": "test:\n"}, "pytest -q"),
        ({"package.json": '{"scripts": {"test": "jest"}}', "Makefile": "test:\n"}, "npm test"),
    ],
)  # fmt: skip
def test_the_files_say_how_the_tree_is_tested(
    tmp_path: Path, files: dict[str, str], tests: str
) -> None:
    write(tmp_path, files)
    assert look_at(tmp_path).tests == tests


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"pyproject.toml": "[project]\nname = 'x'\n", "setup.py": "", "tox.ini": "", "go.mod": ""},
        {"pyproject.toml": "[dependency-groups]\ntest = ['pytest-runner']\n"},
        {"package.json": '{"scripts": {"test": "echo \\"Error: no test specified\\" && exit 1"}}'},
        {"package.json": '{"scripts": ["test"]}'},
        {"package.json": "[" * 100_000},
        {"pyproject.toml": "a = " + "[" * 100_000},
        {"pyproject.toml": "tool = 3\n", "Cargo.toml": "package\n"},
        {"Makefile": "test := 1\nlatest: x\n"},
        {"pytest.ini": "addopts without a section\n"},
        {"pytest.ini": "[pytest]\n" + "#" * FILE_BYTES},
        {"tests/test_it.py": "TESTS = []\n"},
        {"tests": "a file\n"},
        {"pytest.ini/inside": "[pytest]\n"},
    ],
)
def test_a_tree_that_does_not_say_it_is_not_guessed_at(
    tmp_path: Path, files: dict[str, str]
) -> None:
    write(tmp_path, files)
    assert look_at(tmp_path) == Project(None, None)


def test_no_link_is_followed_and_nothing_but_a_file_is_read(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    write(outside, {"pytest.ini": "[pytest]\n", "test_it.py": "def test_it(): ...\n"})
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "pytest.ini").symlink_to(outside / "pytest.ini")
    (tree / "tests").symlink_to(outside)
    os.link(outside / "pytest.ini", tree / ".pytest.ini")
    os.mkfifo(tree / "pyproject.toml")
    assert look_at(tree) == Project(None, None)
    assert look_at(tmp_path / "gone") == Project(None, None)


@pytest.mark.parametrize(
    ("files", "requires"),
    [
        ({"pyproject.toml": "[project]\nrequires-python = ' >=3.9 '\n"}, ">=3.9"),
        ({"setup.cfg": "[options]\npython_requires = >=3.8, <4\n"}, ">=3.8, <4"),
        ({"pyproject.toml": "[project]\nrequires-python = 3\n"}, None),
        ({"pyproject.toml": f"[project]\nrequires-python = '{'>' * 201}'\n"}, None),
    ],
)
def test_the_python_that_a_tree_asks_for(
    tmp_path: Path, files: dict[str, str], requires: str | None
) -> None:
    write(tmp_path, files)
    assert look_at(tmp_path).requires_python == requires


def write(folder: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
