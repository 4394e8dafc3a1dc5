"""What every client is told before its first call, and in which form answers come."""

import json
from typing import Any

import pytest

from debug_mcp import errors
from debug_mcp.errors import Conflict, DebugMcpError, InvalidInput
from debug_mcp.interfaces.errors import TABLE, error_facts, error_text
from debug_mcp.interfaces.render import render
from debug_mcp.interfaces.server import INSTRUCTIONS
from debug_mcp.interfaces.tools import Tools
from debug_mcp.operations.catalogue import CORE

TOOLS = Tools(CORE).listing
# Measured on peers: one fits 28 tools in 20,537 characters, another takes 56,675 for 26.
LIST_CHARACTERS = 18_000
CORE_CHARACTERS = 12_900
CORE_NOUNS = {"repository", "session", "file", "command", "artifact", "server"}
DESCRIPTION_CHARACTERS = 600
INSTRUCTIONS_CHARACTERS = 2_000


def _told(tools: list[Any]) -> int:
    """Return how many characters a model reads of tools before its first call."""
    told = [[tool.name, tool.description, tool.input_schema] for tool in tools]
    return len(json.dumps(told, separators=(",", ":")))


def test_the_list_of_tools_is_within_its_budgets() -> None:
    core = [tool for tool in TOOLS if tool.name.split("_")[0] in CORE_NOUNS]
    assert len(core) == 19
    assert _told(core) < CORE_CHARACTERS
    assert _told(TOOLS) < LIST_CHARACTERS
    assert len(INSTRUCTIONS) < INSTRUCTIONS_CHARACTERS


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_a_tool_is_described_in_a_few_sentences_and_a_slim_schema(tool: Any) -> None:
    assert 0 < len(tool.description) < DESCRIPTION_CHARACTERS
    assert tool.input_schema["additionalProperties"] is False
    told = json.dumps(tool.input_schema)
    for noise in ('"title"', '"null"', '"$ref"', '"$defs"', "patternProperties"):
        assert noise not in told


def test_names_are_a_noun_and_a_verb_and_none_comes_twice() -> None:
    names = [tool.name for tool in TOOLS]
    assert len(set(names)) == len(names)
    assert all(name.count("_") == 1 and name.islower() for name in names)


def test_only_what_changes_nothing_says_so() -> None:
    reading = {tool.name for tool in TOOLS if tool.annotations and tool.annotations.read_only_hint}
    assert reading == {
        "session_get",
        "session_diff",
        "file_read",
        "repository_list",
        "command_wait",
        "command_list",
        "command_output",
        "artifact_read",
        "server_info",
        "debug_postmortem",
    }


def test_every_error_stands_in_the_table_and_has_a_code_of_its_own() -> None:
    kinds = {
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, DebugMcpError) and kind is not DebugMcpError
    }
    assert set(TABLE) == kinds
    assert len({kind.code for kind in kinds}) == len(kinds)


def test_the_facts_of_an_error_stand_in_its_text_too() -> None:
    error = Conflict(
        "it does not apply",
        field="patch",
        candidates=["a", "b"],
        next_call={"tool": "session_create", "arguments": {"ref": "main"}},
        file="x.py",
        line=3,
    )
    assert error_facts(error) == {
        "error": {
            "code": "conflict",
            "message": "it does not apply",
            "field": "patch",
            "candidates": ["a", "b"],
            "file": "x.py",
            "line": 3,
        },
        "next": {"tool": "session_create", "arguments": {"ref": "main"}},
    }
    assert error_text(error).splitlines() == [
        "conflict: it does not apply",
        "field: patch",
        "candidates: a, b",
        "file: x.py",
        "line: 3",
        'next: session_create {"ref": "main"}',
    ]


def test_an_error_without_further_facts_is_one_line() -> None:
    assert error_text(InvalidInput("which repository?")) == "invalid_input: which repository?"


def test_a_text_block_says_what_the_structure_says() -> None:
    facts = {
        "command_id": "c_1",
        "exit_code": 0,
        "network": False,
        "output": {"text": "one\n\ntwo\n", "total_bytes": 9, "omitted": [3, 5]},
        "head": {"ref": "main", "commit": "abc"},
        "files": ["a.py", "b c.py"],
        "artifacts": [{"name": "a b", "size": 1}],
        "hint": "a hint",
        "next": {"tool": "command_wait", "arguments": {"command_id": "c_1"}},
    }
    assert render(facts).splitlines() == [
        "command_id: c_1",
        "exit_code: 0",
        "network: false",
        "output: total_bytes=9 omitted=[3, 5]",
        "  | one",
        "  | ",
        "  | two",
        "head: ref=main commit=abc",
        "files: a.py, b c.py",
        "artifacts:",
        '  - name="a b" size=1',
        "hint: a hint",
        'next: command_wait {"command_id": "c_1"}',
    ]
