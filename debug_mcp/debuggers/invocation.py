"""What a command means to a debugger: a Python program, or a native one; no shell stands between.

A shell would be the program that is debugged, so a text is only cut into words.
"""

import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePath

_PYTHON = re.compile(r"(python|pypy)(\d(\.\d+)?)?")
_VARIABLE = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)
_OPERATORS = {"&&", "||", "|", ";", "&", ">", ">>", "<", "2>&1", "2>", "cd", "source", "."}
# Options of Python that take a word of their own.
_WITH_VALUE = {"-W", "-X", "--check-hash-based-pycs"}
_ELF = b"\x7fELF"


class NotDebuggable(Exception):
    """A command that no debugger can be put under; the message says why, and what can be."""


@dataclass(frozen=True, slots=True)
class PythonProgram:
    """A Python program: one of ``program`` (a path), ``module`` and ``code`` says what runs.

    ``interpreter`` is the program of Python with its options.
    """

    interpreter: tuple[str, ...]
    arguments: tuple[str, ...]
    program: str | None = None
    module: str | None = None
    code: str | None = None

    @property
    def is_pytest(self) -> bool:
        """Whether it runs pytest."""
        return self.module in ("pytest", "py.test")


@dataclass(frozen=True, slots=True)
class NativeProgram:
    """A program of machine code: its path, and its arguments."""

    program: str
    arguments: tuple[str, ...]


Program = PythonProgram | NativeProgram

# Where a program's file is as the command sees it, and its first bytes; None where there is none.
Find = Callable[[str], tuple[str, bytes] | None]


def words_of(command: str | Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Return the words of a command, and the variables that are set before them.

    Raises:
        NotDebuggable: It needs a shell.
    """
    try:
        words = shlex.split(command) if isinstance(command, str) else list(command)
    except ValueError as error:
        raise NotDebuggable(f"the command cannot be cut into words: {error}") from None
    variables = {}
    while isinstance(command, str) and words and _VARIABLE.fullmatch(words[0]):
        name, _, value = words.pop(0).partition("=")
        variables[name] = value
    if not words:
        raise NotDebuggable("there is no program in the command")
    if isinstance(command, str):
        for word in words:
            if word in _OPERATORS or word.endswith(";"):
                raise NotDebuggable(
                    f"{word!r} needs a shell, and a debugger runs one program: prepare with "
                    "command_run, give cwd and env apart, and name only the program here"
                )
    return words, variables


def program_of(words: Sequence[str], find: Find) -> Program:
    """Return what kind of program a command runs.

    Args:
        words: The command.
        find: Finds the file of a program.

    Raises:
        NotDebuggable: There is no such program, or no debugger for its kind.
    """
    name, *rest = words
    if _PYTHON.fullmatch(PurePath(name).name):
        return _python(name, rest)
    if name in ("pytest", "py.test"):
        return PythonProgram(("python3",), tuple(rest), module="pytest")
    found = find(name)
    if found is None:
        raise NotDebuggable(f"there is no program {name!r} in the tree or on PATH")
    path, first = found
    if first.startswith(_ELF):
        return NativeProgram(path, tuple(rest))
    shebang = first.split(b"\n", 1)[0].decode("utf-8", "replace")
    if path.endswith(".py") or (first.startswith(b"#!") and "python" in shebang):
        return PythonProgram(("python3",), tuple(rest), program=path)
    raise NotDebuggable(
        f"{name!r} is neither a Python program nor one of machine code; there is no debugger for it"
    )


def _python(name: str, words: Sequence[str]) -> PythonProgram:
    options: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word in ("-m", "-c"):
            if not rest:
                raise NotDebuggable(f"{word} names nothing to run")
            what, arguments = rest[0], tuple(rest[1:])
            if word == "-m":
                return PythonProgram((name, *options), arguments, module=what)
            return PythonProgram((name, *options), arguments, code=what)
        if not word.startswith("-") or word == "-":
            if word == "-":
                break
            return PythonProgram((name, *options), tuple(rest), program=word)
        options.append(word)
        if word in _WITH_VALUE and rest:
            options.append(rest.pop(0))
    raise NotDebuggable("python without a program: there is nobody to type into it")
