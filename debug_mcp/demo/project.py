"""The demo's own repository: a small library with history, and a bug that its last commit made."""

import difflib
import subprocess
from pathlib import Path

_IGNORED = "build/\n"

_PYPROJECT = """\
[project]
name = "durations"
version = "0.2"

[tool.pytest.ini_options]
testpaths = ["tests"]
pythonpath = ["."]
"""

_PARSE = '''\
"""Durations as people write them: 1h30m, 45s."""

import re

UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}


def parse(text):
    """Return the seconds in a text such as 1h30m."""
    if not re.fullmatch(r"(?:\\d+[dhms])+", text):
        raise ValueError(f"not a duration: {text!r}")
    return sum(int(number) * UNITS[unit] for number, unit in re.findall(r"(\\d+)([dhms])", text))
'''

_SHOW = '''

def show(seconds):
    """Return seconds as a text such as 1h30m."""
    parts = []
    for unit, size in UNITS.items():
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
'''

# The bug: divmod was taken apart, and the remainder got lost on the way.
_SHOW_SHORTER = '''

def show(seconds):
    """Return seconds as a text such as 1h30m."""
    counts = {unit: seconds // size for unit, size in UNITS.items()}
    return "".join(f"{count}{unit}" for unit, count in counts.items() if count) or "0s"
'''

_SHOW_MENDED = _SHOW_SHORTER.replace(
    "    counts = {unit: seconds // size for unit, size in UNITS.items()}\n",
    "    counts = {}\n"
    "    for unit, size in UNITS.items():\n"
    "        counts[unit], seconds = divmod(seconds, size)\n",
)

_TEST_PARSE = """\
import pytest

from durations import parse


@pytest.mark.parametrize(("text", "seconds"), [("45s", 45), ("1h30m", 5400), ("2d", 172800)])
def test_parse(text, seconds):
    assert parse(text) == seconds


def test_parse_refuses_nonsense():
    with pytest.raises(ValueError, match="not a duration"):
        parse("soon")
"""

_TEST_SHOW = """\
import pytest

from durations import parse, show


@pytest.mark.parametrize("text", ["0s", "45s", "1h30m", "2d"])
def test_show_is_the_inverse_of_parse(text):
    assert show(parse(text)) == text
"""

_HISTORY = (
    (
        "Parse durations",
        {
            ".gitignore": _IGNORED,
            "pyproject.toml": _PYPROJECT,
            "durations.py": _PARSE,
            "tests/test_parse.py": _TEST_PARSE,
        },
    ),
    (
        "Show durations",
        {"durations.py": _PARSE + _SHOW, "tests/test_show.py": _TEST_SHOW},
    ),
    ("Make show shorter", {"durations.py": _PARSE + _SHOW_SHORTER}),
)

TEST_COMMAND = "pytest -q --junit-xml=build/junit.xml"
REPORT = "build/junit.xml"
# Where the locals show why the tests fail.
RESULT = 'durations.py:/or "0s"/'

FIX = "".join(
    difflib.unified_diff(
        (_PARSE + _SHOW_SHORTER).splitlines(keepends=True),
        (_PARSE + _SHOW_MENDED).splitlines(keepends=True),
        "a/durations.py",
        "b/durations.py",
    )
)


def build(folder: Path) -> None:
    """Make the repository; the person's own git configuration stays out of it."""
    git(folder, "init", "--quiet", "--initial-branch=main", ".")
    for message, files in _HISTORY:
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(content)
        git(folder, "add", "--all")
        git(folder, "commit", "--quiet", f"--message={message}")


def git(folder: Path, *arguments: str) -> str:
    """Run git in the repository and return what it printed."""
    identity = ("-c", "user.name=demo", "-c", "user.email=demo@localhost")
    plain = ("-c", "commit.gpgSign=false", "-c", "core.hooksPath=/dev/null")
    done = subprocess.run(  # noqa: S603
        ["git", *identity, *plain, *arguments],  # noqa: S607
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()
