"""Lines that look like errors, and those that only sound like them."""

from pathlib import Path

import pytest

from debug_mcp.runner.faults import faults, grouped


def found(tmp_path: Path, written: str) -> list[tuple[str, str]]:
    path = tmp_path / "output"
    path.write_text(written)
    return [(fault.kind, fault.text) for fault in grouped(faults(path))]


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("compiler", "src/main.c:3:5: error: 'x' undeclared"),
        ("compiler", "main.cpp:12:10: fatal error: x.h: No such file or directory"),
        ("compiler", "app.py:3: error: Incompatible types  [assignment]"),
        ("compiler", "src/a.ts(3,5): error TS2304: Cannot find name 'x'."),
        ("compiler", "./main.go:5:2: undefined: y"),
        ("compiler", "error[E0308]: mismatched types"),
        ("compiler", "collect2: error: ld returned 1 exit status"),
        ("compiler", "/usr/bin/ld: main.o: undefined reference to `f'"),
        ("test", "FAILED tests/test_x.py::test_a[1-2] - assert 1 == 2"),
        ("test", "ERROR tests/test_x.py - ImportError: no module"),
        ("test", "FAIL: test_a (tests.test_x.Case.test_a)"),
        ("test", "--- FAIL: TestAdd (0.00s)"),
        ("test", "test tests::adds ... FAILED"),
        ("test", "not ok 3 - adds"),
        ("exception", "E       AssertionError: assert 1 == 2"),
        ("exception", "TypeError: x is not a function"),
        ("exception", 'Exception in thread "main" java.lang.NullPointerException'),
        ("exception", "Caused by: java.io.IOException: closed"),
        ("panic", "thread 'main' panicked at src/main.rs:2:5:"),
        ("panic", "panic: runtime error: index out of range"),
        ("panic", "==12==ERROR: AddressSanitizer: heap-use-after-free"),
        ("panic", "bash: line 1:    12 Segmentation fault      (core dumped) ./x"),
        ("npm", "npm ERR! code E404"),
        ("npm", "npm error code E404"),
        ("build", "make[1]: *** [Makefile:3: all] Error 1"),
        ("build", "CMake Error at CMakeLists.txt:3 (add_executable):"),
        ("build", "[ERROR] Failed to execute goal"),
        ("build", "ERROR: Could not find a version that satisfies the requirement x"),
        ("build", "fatal: not a git repository"),
        ("shell", "bash: line 1: pytst: command not found"),
        ("shell", "sh: 1: pytst: not found"),
    ],
)
def test_what_tools_print_of_errors_is_found(tmp_path: Path, kind: str, line: str) -> None:
    assert found(tmp_path, f"before\n{line}\nafter\n") == [(kind, line)]


@pytest.mark.parametrize(
    "line",
    [
        "0 errors, 3 warnings",
        "no error: all good",
        "test_error_handling PASSED",
        "main.c:3:5: warning: unused variable 'error'",
        "tests/test_x.py::test_fails_on_error PASSED",
        "Installing error-prone 1.0",
        "12:30:01 INFO handled ValueError in 3 ms",
        "ok 3 - not ok is told",
        "Compiling thiserror v1.0",
        "except ValueError as error:",
    ],
)
def test_what_only_sounds_like_an_error_is_not_taken_for_one(tmp_path: Path, line: str) -> None:
    assert found(tmp_path, f"{line}\n") == []


def test_of_a_traceback_the_last_line_and_the_last_place_are_told(tmp_path: Path) -> None:
    path = tmp_path / "output"
    path.write_text(
        "start\nTraceback (most recent call last):\n"
        '  File "/workspace/a.py", line 3, in <module>\n    f()\n'
        '  File "/workspace/b.py", line 7, in f\n    raise ValueError("bad")\n'
        "ValueError: bad\nend\nValueError: another\n"
    )
    first, second = faults(path)
    assert (first.kind, first.text, first.place) == (
        "traceback",
        "ValueError: bad",
        "/workspace/b.py:7",
    )
    assert (first.offset, first.line) == (6, 2)
    assert (second.kind, second.text) == ("exception", "ValueError: another")


def test_a_traceback_that_was_cut_off_is_told_as_far_as_it_goes(tmp_path: Path) -> None:
    assert found(tmp_path, "Traceback (most recent call last):\n  File") == [
        ("traceback", "Traceback (most recent call last):")
    ]


def test_lines_that_say_the_same_are_told_once_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "output"
    path.write_text("a.c:1:1: error: x\nnpm ERR! one\na.c:1:1: error: x\nnpm ERR! two\n")
    assert [(fault.text, fault.count, fault.offset) for fault in grouped(faults(path))] == [
        ("a.c:1:1: error: x", 2, 0),
        ("npm ERR! one", 2, 18),
    ]
