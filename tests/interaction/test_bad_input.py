"""Wrong calls and wrong programs, and whether the answer helps."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from mcp.shared.exceptions import MCPError

from debug_mcp.config import IsolationPolicy, Settings
from tests.clients import Agent, connect
from tests.upstream import FIX, Upstream

pytestmark = [pytest.mark.anyio, pytest.mark.bwrap]


@pytest.fixture
def settings(tmp_path: Any) -> Settings:
    return Settings(
        data_dir=tmp_path / "data",
        isolation=IsolationPolicy.REQUIRE_BWRAP,
        grace_seconds=1,
        queued_commands=2,
        output_bytes=100_000,
    )


@pytest.fixture(params=["memory-modern", "memory-legacy"])
async def agent(request: pytest.FixtureRequest, settings: Settings) -> AsyncIterator[Agent]:
    async with connect(request.param, settings) as agent:
        yield agent


@pytest.fixture
async def session(agent: Agent, upstream: Upstream) -> str:
    view = await agent.call("session_create", repository=str(upstream.path))
    session: str = view["session_id"]
    return session


async def test_an_unknown_key_is_answered_with_the_nearest_one_and_the_corrected_call(
    agent: Agent, session: str
) -> None:
    refused = await agent.refused("command_run", session_id=session, command="exit 3", timeout=60)
    assert refused["error"]["code"] == "invalid_input"
    assert refused["error"]["message"] == "unknown key 'timeout'"
    assert refused["error"]["candidates"][0] == "timeout_seconds"
    assert (await agent.follow(refused))["exit_code"] == 3


async def test_an_error_says_the_same_in_its_text_as_in_its_structure(
    agent: Agent, session: str
) -> None:
    refused = await agent.refused("command_run", session_id=session, command="true", timeout=60)
    text = refused["text"]
    assert text.splitlines()[0] == "invalid_input: unknown key 'timeout'"
    for fact in ("field: timeout", "timeout_seconds, idle_timeout_seconds", "next: command_run {"):
        assert fact in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "session_id is missing; command is missing"),
        ({"session_id": "s", "command": ""}, "command should have at least 1 character"),
        ({"session_id": "s", "command": []}, "at least 1 item"),
        ({"session_id": "s", "command": 5}, "command should be a string or should be a list"),
        ({"session_id": "s", "command": "x" * (4 << 20) + "x"}, "at most 4194304 characters"),
        ({"session_id": "s", "command": "x", "wait_seconds": "soon"}, "wait_seconds should be"),
        ({"session_id": "s", "command": "x", "env": {"A=B": "1"}}, "env.A=B should match"),
    ],
)
async def test_arguments_that_cannot_be_are_named(
    agent: Agent, arguments: dict[str, Any], said: str
) -> None:
    refused = await agent.refused("command_run", **arguments)
    assert refused["error"]["code"] == "invalid_input"
    assert said in refused["error"]["message"]
    assert "pydantic" not in refused["text"]


async def test_a_number_may_be_written_as_text_and_a_value_as_a_number(
    agent: Agent, session: str
) -> None:
    view = await agent.call(
        "command_run",
        session_id=session,
        command="echo $A",
        timeout_seconds="30",
        env={"A": 1},
    )
    assert view["output"]["text"] == "1\n"


async def test_a_wait_over_the_limit_is_answered_with_the_call_that_is_within(
    agent: Agent, session: str
) -> None:
    refused = await agent.refused(
        "command_run", session_id=session, command="exit 0", wait_seconds=300
    )
    assert refused["next"]["arguments"]["wait_seconds"] == 50
    assert (await agent.follow(refused))["outcome"] == "succeeded"


async def test_an_unknown_tool_is_answered_with_those_that_are_there(agent: Agent) -> None:
    refused = await agent.refused("run_command")
    assert "command_run" in refused["error"]["candidates"]


async def test_unknown_ids_are_answered_with_the_callers_own(agent: Agent, session: str) -> None:
    ran = await agent.call("command_run", session_id=session, command="true")
    for tool, field, own in (
        ("command_run", "session_id", session),
        ("command_wait", "command_id", ran["command_id"]),
    ):
        arguments = {field: "x_zzzz", **({"command": "true"} if tool == "command_run" else {})}
        refused = await agent.refused(tool, **arguments)
        assert refused["error"]["code"] == "not_found"
        assert refused["error"]["field"] == field
        assert own in refused["error"]["candidates"]


async def test_an_unknown_artifact_is_no_resource(agent: Agent) -> None:
    assert (await agent.refused("artifact_read", artifact_id="a_zzzz"))["error"]["code"] == (
        "not_found"
    )
    for uri in ("artifact://a_zzzz/x", "output://c_zzzz", "file:///etc/passwd"):
        with pytest.raises(MCPError) as caught:
            await agent.client.read_resource(uri)
        assert caught.value.error.code == -32602
        assert caught.value.error.data["uri"] == uri


@pytest.mark.parametrize(
    "url", ["relative/path", "/no/such/place", "https://ada:secret@example.org/x.git", "https://x/"]
)
async def test_what_is_no_repository_of_this_machine_is_refused(agent: Agent, url: str) -> None:
    refused = await agent.refused("repository_init", url=url)
    assert refused["error"]["code"] == "invalid_input"
    assert refused["error"]["field"] == "url"


async def test_a_remote_helper_is_never_called(agent: Agent, tmp_path: Any) -> None:
    refused = await agent.refused("repository_init", url=f"ext::touch {tmp_path}/ran")
    assert refused["error"]["code"] == "invalid_input"
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "ref", ["--upload-pack=touch", "-x", "main..main", "main@{1}", "a b", "main^{/x}", "x" * 240]
)
async def test_a_ref_that_git_could_take_for_something_else_is_refused(
    agent: Agent, session: str, ref: str
) -> None:
    refused = await agent.refused("session_create", ref=ref)
    assert refused["error"]["code"] in ("invalid_input", "not_found")
    assert refused["error"]["field"] == "ref"


async def test_an_unknown_ref_is_answered_with_those_that_look_like_it(
    agent: Agent, upstream: Upstream, session: str
) -> None:
    upstream.git("branch", "feature/one")
    refused = await agent.refused("session_create", ref="feature/onn")
    assert refused["error"]["candidates"][0] == "feature/one"


async def test_a_patch_that_does_not_apply_names_the_place_and_leaves_nothing(
    agent: Agent, session: str, settings: Settings
) -> None:
    refused = await agent.refused(
        "session_create", patch=FIX.replace("a - b", "a * b"), idempotency_key="k"
    )
    assert refused["error"]["code"] == "conflict"
    assert (refused["error"]["file"], refused["error"]["line"]) == ("calculator.py", 2)
    assert [path.name for path in (settings.data_dir / "sessions").iterdir()] == [session]
    # The key is free for the call that puts it right.
    assert (await agent.call("session_create", patch=FIX, idempotency_key="k"))["patch"]


async def test_what_is_no_patch_is_said_to_be_none(agent: Agent, session: str) -> None:
    refused = await agent.refused("session_create", patch="please mend add()")
    assert refused["error"]["code"] == "invalid_input"
    assert refused["error"]["field"] == "patch"


@pytest.mark.parametrize("cwd", ["..", "a/../..", "/etc", "/workspace/../etc"])
async def test_a_folder_outside_of_the_tree_is_refused(
    agent: Agent, session: str, cwd: str
) -> None:
    refused = await agent.refused("command_run", session_id=session, command="true", cwd=cwd)
    assert refused["error"]["field"] == "cwd"


async def test_a_nul_is_refused(agent: Agent, session: str) -> None:
    refused = await agent.refused("command_run", session_id=session, command=["echo", "a\0b"])
    assert "NUL" in refused["error"]["message"]


@pytest.mark.parametrize("command", ["no-such-program -x", ["no-such-program", "-x"]])
async def test_a_program_that_is_not_there_is_named(
    agent: Agent, session: str, command: str | list[str]
) -> None:
    view = await agent.call("command_run", session_id=session, command=command)
    assert view["hint"].startswith("program_not_found: no-such-program")
    assert view["outcome"] == ("failed" if isinstance(command, str) else "spawn_failed")


async def test_a_list_that_was_written_as_text_is_put_right(agent: Agent, session: str) -> None:
    view = await agent.call("command_run", session_id=session, command='["echo", "hello"]')
    assert view["exit_code"] == 127
    assert (await agent.follow(view))["output"]["text"] == "hello\n"


async def test_long_output_names_the_call_that_reads_what_was_cut(
    agent: Agent, session: str
) -> None:
    view = await agent.call("command_run", session_id=session, command="seq 5000")
    start, end = view["output"]["omitted"]
    assert view["output"]["text"].startswith("1\n2\n")
    assert view["output"]["text"].endswith("4999\n5000\n")
    page = await agent.follow(view)
    assert page["output"]["offset"] == start
    whole = "".join(f"{n}\n" for n in range(1, 5001))
    assert page["output"]["text"] == whole[start : page["output"]["next_offset"]]
    assert end < len(whole) == view["output"]["total_bytes"]


async def test_output_past_the_limit_is_said_to_be_missing(agent: Agent, session: str) -> None:
    view = await agent.call("command_run", session_id=session, command="head -c 200000 /dev/zero")
    assert (view["outcome"], view["exit_code"]) == ("output_limit", 0)
    assert view["limit"] == {"name": "output_bytes", "value": 100_000}
    assert "100000 bytes were dropped" in view["hint"]


async def test_a_timed_out_command_says_so_and_offers_more_time(agent: Agent, session: str) -> None:
    view = await agent.call(
        "command_run", session_id=session, command="echo begun; sleep 600", timeout_seconds=0.5
    )
    assert (view["state"], view["outcome"]) == ("finished", "timed_out")
    assert "exit_code" not in view
    assert view["limit"] == {"name": "timeout_seconds", "value": 0.5}
    assert view["output"]["text"] == "begun\n"
    assert view["next"]["arguments"]["timeout_seconds"] == 1.5


async def test_a_full_queue_says_when_to_come_back(agent: Agent, session: str) -> None:
    run = {"session_id": session, "wait_seconds": 0}
    first = await agent.call("command_run", **run, command="sleep 600")
    for _ in range(2):
        await agent.call("command_run", **run, command="true")
    refused = await agent.refused("command_run", **run, command="true")
    assert refused["error"]["code"] == "busy"
    assert refused["error"]["retry_after_seconds"] == 5
    assert (await agent.call("command_cancel", command_id=first["command_id"]))["outcome"] == (
        "cancelled"
    )


async def test_nothing_to_export_is_a_conflict_and_closing_says_there_was_none(
    agent: Agent, session: str
) -> None:
    refused = await agent.refused("session_export", session_id=session)
    assert refused["error"]["code"] == "conflict"
    closed = await agent.call("session_close", session_id=session)
    assert closed["hint"] == "it had no work to save"


async def test_no_answer_holds_an_empty_member_or_a_path_of_the_host(
    agent: Agent, session: str, settings: Settings
) -> None:
    answers = [
        await agent.call("server_info"),
        await agent.call("session_create"),
        await agent.call("command_run", session_id=session, command="mkdir x; touch x/y"),
        await agent.call("artifact_list", session_id=session, collect="x/*"),
        await agent.call("command_run", session_id=session, command="sleep 0.1", wait_seconds=0),
    ]
    answers.append(await agent.call("session_export", session_id=session))
    answers[-1].pop("fetch")  # the one line that is for the person's own machine
    for answer in answers:
        assert _empty_members(answer) == []
        assert str(settings.data_dir) not in str(answer)
        for key, value in answer.items():
            _check_form(key, value)


def _check_form(key: str, value: object) -> None:
    """Ids are short, times are UTC to the second, durations have one decimal."""
    if key.endswith("_id"):
        assert re.fullmatch(r"[a-z]_[2-9a-z]{4,6}", str(value))
    if key.endswith("_at"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", str(value))
    if key.endswith("_seconds"):
        assert isinstance(value, int | float)
        assert round(value, 1) == value


def _empty_members(value: object, path: str = "") -> list[str]:
    if isinstance(value, dict):
        return [
            found
            for key, member in value.items()
            for found in (
                [f"{path}.{key}"]
                if member in (None, [], {})
                else _empty_members(member, f"{path}.{key}")
            )
        ]
    return []
