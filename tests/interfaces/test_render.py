"""The text block: every fact of the structure, none that could be taken for two."""

import json
from typing import Any

import pytest

from debug_mcp.interfaces.render import render


@pytest.mark.parametrize(
    ("facts", "lines"),
    [
        ({}, [""]),
        ({"a": 0, "b": False, "c": 1.5, "d": "x"}, ["a: 0", "b: false", "c: 1.5", "d: x"]),
        ({"files": ["a, b.py", "c.py"]}, ['files: "a, b.py", c.py']),
        ({"files": ["new\nline", '"q"', ""]}, ['files: "new\\nline", "\\"q\\"", ""']),
        ({"omitted": [1, 2]}, ["omitted: 1, 2"]),
        ({"hint": "x" * 121}, ["hint:", "  | " + "x" * 121]),
        ({"text": "one\n\n"}, ["text:", "  | one", "  | "]),
        ({"head": {"ref": "a b", "commit": "c"}}, ['head: ref="a b" commit=c']),
        ({"output": {"text": "a\nb", "total": 3}}, ["output: total=3", "  | a", "  | b"]),
        ({"output": {"text": "a\nb"}}, ["output:", "  | a", "  | b"]),
        ({"output": {"text": "", "total": 0}}, ['output: text="" total=0']),
        ({"rows": [{"n": "x=y"}, {"n": "z"}]}, ["rows:", '  - n="x=y"', "  - n=z"]),
        ({"rows": [{"n": {"deep": [1]}}]}, ["rows:", '  - n={"deep": [1]}']),
        (
            {"tests": {"failed": 2, "failures": [{"at": "a:1", "error": "E\nF"}, {"at": "b:2"}]}},
            [
                "tests: failed=2",
                "  failures:",
                "    - at=a:1",
                "      | E",
                "      | F",
                "    - at=b:2",
            ],
        ),
        (
            {"next": {"tool": "t", "arguments": {"text": "a\nb", "name": "größe"}}},
            ['next: t {"text": "a\\nb", "name": "größe"}'],
        ),
    ],
)
def test_each_kind_of_fact_has_its_form(facts: dict[str, Any], lines: list[str]) -> None:
    assert render(facts).split("\n") == lines


def test_every_value_of_a_real_answer_stands_in_its_text() -> None:
    facts = {
        "command_id": "c_4tk2",
        "state": "finished",
        "outcome": "timed_out",
        "elapsed_seconds": 20.0,
        "limit": {"name": "timeout_seconds", "value": 20},
        "output": {"text": "....\n", "total_bytes": 135, "omitted": [0, 80]},
        "hint": "it had printed nothing for 12.0 s when its time was over: it may be stuck",
        "next": {"tool": "command_run", "arguments": {"session_id": "s_1", "command": ["a", "b"]}},
    }
    text = render(facts)
    for value in _leaves(facts):
        shown = value if isinstance(value, str) else json.dumps(value)
        assert shown.strip() in text


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for member in value.values() for leaf in _leaves(member)]
    if isinstance(value, list):
        return [leaf for member in value for leaf in _leaves(member)]
    return [value]
