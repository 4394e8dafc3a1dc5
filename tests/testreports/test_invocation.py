"""Which command lines ask for nothing but the verdict of pytest."""

import pytest

from debug_mcp.testreports.invocation import runs_only_pytest


@pytest.mark.parametrize(
    "command",
    [
        "pytest",
        "pytest -q",
        "pytest -qx tests/test_a.py::test_b[1-2]",
        "python -m pytest -q --tb=short --maxfail 3",
        "PYTHONPATH=src .venv/bin/python3.12 -m pytest -k 'a and (b | c)'",
        "uv run pytest -n 4",
        "pytest --junit-xml=build/junit.xml -p no:cacheprovider",
        ["pytest", "-q", "tests/test_it.py::test_it[a; b && c]"],
    ],
)
def test_a_plain_run_is_told(command: str | list[str]) -> None:
    assert runs_only_pytest(command)


@pytest.mark.parametrize(
    "command",
    [
        "",
        "ls",
        "pytest -q; cat log.txt",
        "pytest -q && ./deploy",
        "pytest | tee log",
        "pytest\ncat log",
        "cat log.txt\npytest",
        "pytest $(cat list)",
        "cd sub && pytest",
        "pytest -s",
        "pytest -v",
        "pytest -rA",
        "pytest -qs",
        "pytest --durations=5",
        "pytest --cov=src",
        "pytest --collect-only",
        "pytest --fixtures",
        "pytest --version",
        "pytest 'open",
        "python pytest.py",
        "python -m unittest",
        "make test",
        [],
    ],
)
def test_whatever_may_print_something_else_is_not(command: str | list[str]) -> None:
    assert not runs_only_pytest(command)
