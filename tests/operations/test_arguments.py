"""Wrong arguments: what was wrong, what would be valid, and the corrected call."""

from typing import Any

import pytest

from debug_mcp.errors import InvalidInput
from debug_mcp.models.base import Arguments
from debug_mcp.operations.arguments import keys, parse
from debug_mcp.operations.catalogue import REST
from debug_mcp.operations.registry import Operation

OPERATIONS = {operation.name: operation for operation in REST}
VALID: dict[str, dict[str, Any]] = {
    "repository_init": {"url": "/x"},
    "repository_list": {},
    "repository_remove": {"name": "x"},
    "session_create": {},
    "session_get": {},
    "session_diff": {"session_id": "s_1"},
    "session_export": {"session_id": "s_1"},
    "session_close": {"session_id": "s_1"},
    "file_read": {"session_id": "s_1"},
    "file_edit": {"session_id": "s_1", "patch": "x"},
    "command_run": {"session_id": "s_1", "command": "true"},
    "command_wait": {"command_id": "c_1"},
    "command_output": {"command_id": "c_1"},
    "command_input": {"command_id": "c_1"},
    "command_cancel": {"command_id": "c_1"},
    "command_list": {},
    "artifact_list": {"session_id": "s_1"},
    "artifact_read": {"artifact_id": "a_1"},
    "server_info": {},
    "debug_run": {"session_id": "s_1"},
    "debug_control": {"debug_id": "d_1", "action": "pause"},
    "debug_inspect": {"debug_id": "d_1"},
    "debug_postmortem": {"command_id": "c_1"},
    "compare_run": {},
    "flaky_run": {},
    "bisect_run": {},
    "evidence_bundle": {"evidence_id": "x_1"},
    "token_create": {"name": "ci", "scopes": ["admin"]},
    "token_list": {},
    "token_rotate": {"token": "ci"},
    "token_revoke": {"token": "ci"},
    "audit_list": {},
}


def parsed(name: str, /, **raw: Any) -> Arguments:
    return parse(name, OPERATIONS[name].arguments, {**VALID[name], **raw})


def refused(name: str, /, **raw: Any) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        parsed(name, **raw)
    return caught.value


@pytest.mark.parametrize("operation", REST, ids=lambda operation: operation.name)
def test_a_null_is_as_good_as_nothing(operation: Operation) -> None:
    required = VALID[operation.name]
    absent = {key: None for key in keys(operation.arguments) if key not in required}
    assert parsed(operation.name, **absent) == parsed(operation.name)


@pytest.mark.parametrize("operation", REST, ids=lambda operation: operation.name)
def test_an_unknown_key_is_named_with_those_that_there_are(operation: Operation) -> None:
    error = refused(operation.name, zzqq=1)
    assert error.message == "unknown key 'zzqq'"
    assert error.field == "zzqq"
    assert set(error.candidates) == set(keys(operation.arguments))
    # Nothing is like it, so the corrected call does without.
    assert error.next_call == {"tool": operation.name, "arguments": VALID[operation.name]}


@pytest.mark.parametrize("operation", REST, ids=lambda operation: operation.name)
def test_each_key_that_is_needed_is_missed(operation: Operation) -> None:
    for key in VALID[operation.name].keys() - {"patch"}:  # one of two forms of file_edit
        for raw in ({}, {key: None}):
            with pytest.raises(InvalidInput, match=f"{key} is missing") as caught:
                parse(operation.name, operation.arguments, raw)
            assert caught.value.field in VALID[operation.name]


@pytest.mark.parametrize(
    ("name", "raw", "nearest"),
    [
        ("command_run", {"timeout": 5}, "timeout_seconds"),
        ("command_run", {"wait": 5}, "wait_seconds"),
        ("command_run", {"environment": {}}, "env"),
        ("command_wait", {"timeout_seconds": 5}, "wait_seconds"),
        ("session_create", {"repo": "/x"}, "repository"),
        ("artifact_list", {"colect": ["*"]}, "collect"),
    ],
)
def test_the_nearest_key_comes_first_and_makes_the_corrected_call(
    name: str, raw: dict[str, Any], nearest: str
) -> None:
    error = refused(name, **raw)
    assert error.candidates[0] == nearest
    [value] = raw.values()
    assert error.next_call == {"tool": name, "arguments": {**VALID[name], nearest: value}}


@pytest.mark.parametrize(
    ("name", "raw", "arguments"),
    [
        ("command_run", {"wait_seconds": 300}, {"wait_seconds": 50}),
        ("command_run", {"wait_seconds": "51"}, {"wait_seconds": 50}),
        ("command_run", {"wait_seconds": "nan"}, {"wait_seconds": 50}),
        ("command_run", {"timeout_seconds": "inf"}, {"timeout_seconds": 86400}),
        ("command_run", {"wait_seconds": -1}, {"wait_seconds": 0}),
        ("command_run", {"timeout_seconds": 10**9}, {"timeout_seconds": 86400}),
        ("command_run", {"timeout_seconds": 0}, {}),
        ("command_wait", {"since": -1}, {"since": 0}),
        ("command_output", {"length": 10**6}, {"length": 40_000}),
        ("artifact_read", {"length": 0}, {"length": 1}),
        ("command_run", {"wait_seconds": 300, "timeout": 9},
         {"wait_seconds": 50, "timeout_seconds": 9}),
    ],
)  # fmt: skip
def test_a_value_over_a_limit_is_answered_with_the_call_within_it(
    name: str, raw: dict[str, Any], arguments: dict[str, Any]
) -> None:
    error = refused(name, **raw)
    assert error.next_call == {"tool": name, "arguments": {**VALID[name], **arguments}}
    parsed(name, **arguments)


@pytest.mark.parametrize(
    ("name", "raw", "field"),
    [
        ("command_run", {"wait_seconds": [1]}, "wait_seconds"),
        ("command_run", {"network": "perhaps"}, "network"),
        ("command_run", {"command": {"a": 1}}, "command"),
        ("command_run", {"command": ["a", 1]}, "command"),
        ("command_run", {"command": "\ud800"}, "command"),
        ("command_run", {"env": ["A=1"]}, "env"),
        ("command_run", {"env": {"A": ["x"]}}, "env.A"),
        ("command_run", {"env": {"1A": "x"}}, "env.1A"),
        ("command_run", {"session_id": 5}, "session_id"),
        ("command_output", {"mode": "middle"}, "mode"),
        ("command_output", {"length": 1.5}, "length"),
        ("session_export", {"as": "zip"}, "as"),
        ("artifact_list", {"collect": ["x"] * 51}, "collect"),
        ("artifact_list", {"collect": [""]}, "collect"),
    ],
)
def test_a_value_that_cannot_be_names_its_argument(
    name: str, raw: dict[str, Any], field: str
) -> None:
    error = refused(name, **raw)
    assert error.field == field
    assert error.message.startswith(field)
    assert error.next_call is None
    for foreign in ("pydantic", "Input", "model", "validation"):
        assert foreign not in error.message


def test_a_choice_is_answered_with_what_there_is_to_choose() -> None:
    error = refused("command_output", mode="middle")
    assert error.candidates == ("tail", "head", "range", "search", "errors")


@pytest.mark.parametrize(
    ("name", "raw", "same"),
    [
        ("command_run", {"timeout_seconds": "30"}, {"timeout_seconds": 30}),
        ("command_run", {"network": "true"}, {"network": True}),
        ("command_run", {"env": {"A": 1, "B": 0.5}}, {"env": {"A": "1", "B": "0.5"}}),
        ("command_output", {"length": "100"}, {"length": 100}),
        ("session_create", {"commit": "main"}, {"ref": "main"}),
        ("artifact_list", {"collect": "*.xml"}, {"collect": ["*.xml"]}),
    ],
)
def test_what_is_clearly_meant_is_taken(
    name: str, raw: dict[str, Any], same: dict[str, Any]
) -> None:
    assert parsed(name, **raw) == parsed(name, **same)
