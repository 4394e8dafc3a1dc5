"""What a command means to a debugger."""

import pytest

from debug_mcp.debuggers.invocation import (
    NativeProgram,
    NotDebuggable,
    PythonProgram,
    program_of,
    words_of,
)

FILES = {
    "./build/app": b"\x7fELF\x02",
    "tool": b"#!/usr/bin/env python3\nprint()",
    "script.py": b"print()",
    "run.sh": b"#!/bin/sh\n",
}


def find(name: str) -> tuple[str, bytes] | None:
    return (f"/seen/{name}", FILES[name]) if name in FILES else None


@pytest.mark.parametrize(
    ("words", "program"),
    [
        (["python", "a.py", "-v"], PythonProgram(("python",), ("-v",), program="a.py")),
        (["python3.12", "-m", "pkg", "x"], PythonProgram(("python3.12",), ("x",), module="pkg")),
        (["python3", "-c", "x = 1"], PythonProgram(("python3",), (), code="x = 1")),
        (
            ["python3", "-W", "error", "-X", "dev", "-u", "a.py"],
            PythonProgram(("python3", "-W", "error", "-X", "dev", "-u"), (), program="a.py"),
        ),
        (["pytest", "-q"], PythonProgram(("python3",), ("-q",), module="pytest")),
        (["tool", "-m"], PythonProgram(("python3",), ("-m",), program="/seen/tool")),
        (["script.py"], PythonProgram(("python3",), (), program="/seen/script.py")),
        (["./build/app", "1"], NativeProgram("/seen/./build/app", ("1",))),
    ],
)
def test_a_command_is_a_program_of_a_kind(words: list[str], program: object) -> None:
    assert program_of(words, find) == program


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["python3"], "python without a program"),
        (["python3", "-"], "python without a program"),
        (["python3", "-m"], "-m names nothing"),
        (["nothing"], "no program 'nothing'"),
        (["run.sh"], "neither a Python program nor one of machine code"),
    ],
)
def test_what_no_debugger_can_run_is_refused_with_the_reason(words: list[str], why: str) -> None:
    with pytest.raises(NotDebuggable, match=why):
        program_of(words, find)


def test_a_text_is_cut_into_words_and_the_variables_before_them() -> None:
    words, variables = words_of("A=1 B='x y' python3 'my prog.py' --name=z")
    assert words == ["python3", "my prog.py", "--name=z"]
    assert variables == {"A": "1", "B": "x y"}


@pytest.mark.parametrize("text", ["make && ./app", "a | b", "cd x", "a; b", "a > out", "'open"])
def test_what_needs_a_shell_is_refused(text: str) -> None:
    with pytest.raises(NotDebuggable):
        words_of(text)


def test_a_list_is_taken_as_it_is() -> None:
    assert words_of(["./app", "&&", "A=1"]) == (["./app", "&&", "A=1"], {})


def test_a_command_without_a_program_is_refused() -> None:
    with pytest.raises(NotDebuggable, match="no program"):
        words_of("A=1")
