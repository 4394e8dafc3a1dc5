"""Telling a command line that runs pytest and asks for nothing but its verdict.

The output of such a command repeats its structured results; that of any other may hold something
that its caller wants to read. So what is not known here counts as asking for more.
"""

import re
import shlex
from collections.abc import Sequence
from pathlib import PurePath

_PYTHON = re.compile(r"python(3(\.\d+)?)?$")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_OPERATORS = frozenset(";&|()<>")
# Options of pytest that print nothing of their own, alone or with a value.
_QUIET = re.compile(
    r"-[qx]+$|-[kmnpcoW]|--(maxfail|tb|lf|last-failed|ff|failed-first|nf|new-first|sw|stepwise"
    r"|ignore|ignore-glob|deselect|rootdir|import-mode|color|no-header|no-summary|junit-?xml|dist"
    r"|timeout|strict-markers|strict-config|disable-warnings|runxfail|basetemp|exitfirst)(=|$)"
)


def runs_only_pytest(command: str | Sequence[str]) -> bool:
    """Return whether a command is one plain run of pytest, as text for a shell or as a list."""
    words = _words(command) if isinstance(command, str) else list(command)
    while words and _ASSIGNMENT.match(words[0]):
        del words[0]
    if words[:1] == ["uv"] and words[1:2] == ["run"]:
        del words[:2]
    if words and _PYTHON.match(PurePath(words[0]).name) and words[1:2] == ["-m"]:
        del words[:2]
    if not words or PurePath(words[0]).name != "pytest":
        return False
    return all(_QUIET.match(word) for word in words[1:] if word.startswith("-"))


def _words(command: str) -> list[str]:
    """Return the words of a single plain command, or none."""
    if any(sign in command for sign in ("\n", "`", "$(")):
        return []
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        words = list(lexer)
    except ValueError:
        return []
    return [] if any(word and set(word) <= _OPERATORS for word in words) else words
