"""Commands as an agent follows them, over every way in."""

from pathlib import Path

import pytest

from debug_mcp.config import IsolationPolicy, Settings
from tests.clients import Agent, connect
from tests.upstream import Upstream

pytestmark = [pytest.mark.anyio, pytest.mark.bwrap]

# Goes on when another command of the session says so.
GATED = "echo begun; until [ -e go ]; do sleep 0.01; done; echo went on"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        data_dir=tmp_path / "data", isolation=IsolationPolicy.REQUIRE_BWRAP, grace_seconds=1
    )


async def test_a_queue_is_seen_and_passed_by_what_runs_beside_it(
    agent: Agent, session: str
) -> None:
    first = await agent.call("command_run", session_id=session, command=GATED, wait_seconds=0)
    behind = [
        await agent.call("command_run", session_id=session, command="true", wait_seconds=0)
        for _ in range(2)
    ]
    assert behind[1]["queue"] == {"ahead": 2, "waits_for": first["command_id"]}

    listing = await agent.call("command_list", session_id=session, state="queued")
    assert [row["command_id"] for row in listing["commands"]] == [
        view["command_id"] for view in reversed(behind)
    ]
    assert [row["queue"]["ahead"] for row in listing["commands"]] == [2, 1]

    beside = await agent.call(
        "command_run", session_id=session, command="touch go", parallel="true"
    )
    assert beside["outcome"] == "succeeded"
    assert (await agent.follow(behind[1]))["outcome"] == "succeeded"

    newest = await agent.call("command_list", limit="1")
    assert newest["commands"][0]["command_id"] == beside["command_id"]
    older = await agent.call("command_list", cursor=newest["next_cursor"])
    assert [row["command_id"] for row in older["commands"]] == [
        view["command_id"] for view in (behind[1], behind[0], first)
    ]
    assert {row["outcome"] for row in older["commands"]} == {"succeeded"}
    assert (await agent.call("command_list", outcome="lost"))["hint"] == "there is none"


async def test_a_list_that_cannot_be_is_refused_with_what_can(agent: Agent, session: str) -> None:
    refused = await agent.refused("command_list", session_id="s_none")
    assert refused["error"]["candidates"] == [session]
    refused = await agent.refused("command_list", cursor="c_none")
    assert refused["error"]["field"] == "cursor"
    refused = await agent.refused("command_list", state="done")
    assert refused["error"]["candidates"] == ["queued", "starting", "running", "finished"]


async def test_a_wait_ends_at_what_it_names_and_says_why(agent: Agent, session: str) -> None:
    begun = await agent.call("command_run", session_id=session, command=GATED, wait_seconds=0)
    wait = {"command_id": begun["command_id"], "wait_seconds": 20}
    found = await agent.call("command_wait", **wait, until="begun")
    assert found["state"] == "running"
    assert found["until"] == {"by": "match", "offset": 0, "text": "begun"}

    none = await agent.call("command_wait", **{**wait, "wait_seconds": 0}, until="never")
    assert (none["state"], none["until"]["by"]) == ("running", "limit")
    assert none["next"]["arguments"]["until"] == "never"

    await agent.call("command_run", session_id=session, command="touch go", parallel=True)
    on = await agent.call("command_wait", **wait, until="re:^went o[n]$", since=6)
    assert on["until"] == {"by": "match", "offset": 6, "text": "went on"}
    end = await agent.call("command_wait", **wait, until="never")
    assert (end["state"], end["until"]["by"]) == ("finished", "end")


async def test_a_wait_ends_when_the_first_test_fails_and_names_it(
    agent: Agent, session: str
) -> None:
    suite = (
        "import pathlib, time\n"
        "def test_a(): pass\n"
        "def test_b(): assert 1 == 2\n"
        "def test_c():\n"
        "    while not pathlib.Path('go').exists(): time.sleep(0.01)\n"
    )
    edit = {"path": "test_wait.py", "content": suite}
    await agent.call("file_edit", session_id=session, edits=[edit])
    run = {"session_id": session, "command": "python -m pytest -q test_wait.py"}
    found = await agent.call("command_run", **run, until="failure", wait_seconds=50)
    assert found["state"] == "running"
    assert found["until"] == {"by": "match", "test": "test_wait.py::test_b"}
    assert found["tests"]["failures"][0]["at"] == "test_wait.py:3"
    assert found["next"]["tool"] == "command_wait"
    assert "until" not in found["next"]["arguments"]

    await agent.call("command_run", session_id=session, command="touch go", parallel=True)
    ended = await agent.follow(found)
    assert (ended["state"], ended["tests"]["failed"]) == ("finished", 1)
    again = await agent.call("command_wait", command_id=ended["command_id"], until="failure")
    assert again["until"]["test"] == "test_wait.py::test_b"


async def test_a_wait_for_a_failure_ends_with_the_command_when_none_fails(
    agent: Agent, session: str
) -> None:
    view = await agent.call("command_run", session_id=session, command="true", until="failure")
    assert (view["outcome"], view["until"]) == ("succeeded", {"by": "end"})
    refused = await agent.refused(
        "command_run", session_id=session, command="true", until="failure", report=False
    )
    assert refused["error"]["field"] == "until"


async def test_what_was_not_shown_is_counted_and_the_next_call_shows_it(
    agent: Agent, session: str
) -> None:
    view = await agent.call("command_run", session_id=session, command="seq 5000")
    start, end = view["output"]["omitted"]
    assert view["unread"] == end - start
    page = await agent.follow(view)
    whole = "".join(f"{n}\n" for n in range(1, 5001))
    assert page["output"]["text"] == whole[start:end]
    short = await agent.call("command_run", session_id=session, command="seq 5")
    assert "unread" not in short


async def test_a_text_of_any_length_runs_and_a_long_argument_is_refused_with_what_to_do(
    agent: Agent, session: str
) -> None:
    for size in (96 << 10, 200_000, 3_000_000):
        text = "#" + "\u20ac" * (size // 3) + "\npwd; readlink -f .; exit 3"
        view = await agent.call("command_run", session_id=session, command=text, cwd=".git")
        assert (view["exit_code"], view["output"]["text"]) == (3, "/workspace/.git\n" * 2)
    run = {"session_id": session, "command": ["printf", "%.3s", "x" * ((128 << 10) - 1)]}
    assert (await agent.call("command_run", **run))["output"]["text"] == "xxx"
    run["command"] = ["printf", "%.3s", "x" * (128 << 10)]
    refused = await agent.refused("command_run", **run)
    assert "argument 2 has 131072 bytes" in refused["error"]["message"]


async def test_a_long_text_is_not_said_again_and_only_its_own_command_reads_it(
    agent: Agent, session: str
) -> None:
    text = "#" + "x" * 200_000 + "\nnosuchprogram"
    view = await agent.call("command_run", session_id=session, command=text)
    assert view["exit_code"] == 127
    assert len(str(view)) < 2000
    other = await agent.call("command_run", session_id=session, command="ls /run/debug-mcp/script")
    assert other["exit_code"] == 2


async def test_what_cannot_be_waited_for_is_refused(agent: Agent, session: str) -> None:
    ran = await agent.call("command_run", session_id=session, command="true")
    refused = await agent.refused("command_wait", command_id=ran["command_id"], until="re:(")
    assert "no RE2 pattern" in refused["error"]["message"]
    refused = await agent.refused("command_wait", command_id=ran["command_id"], wait_seconds="nan")
    assert refused["error"]["field"] == "wait_seconds"


async def test_calls_that_name_no_wait_are_short_where_the_client_needs_that(
    tmp_path: Path, upstream: Upstream
) -> None:
    settings = Settings(
        data_dir=tmp_path / "data", isolation=IsolationPolicy.NONE, grace_seconds=1, default_wait=0
    )
    async with connect("memory-modern", settings) as agent:
        cloning = await agent.call("repository_init", url=str(upstream.path))
        while cloning["state"] != "ready":
            cloning = await agent.call("repository_init", url=str(upstream.path), wait_seconds=20)
        session = (await agent.call("session_create"))["session_id"]
        view = await agent.call("command_run", session_id=session, command="cat", stdin="open")
        assert view["state"] != "finished"
        assert view["next"]["arguments"]["wait_seconds"] == 0
        compared = await agent.call("compare_run", base="main", head="main", command="sleep 0.5")
        assert compared["state"] == "running"
        while compared["state"] == "running":
            compared = await agent.call(
                "compare_run", compare_id=compared["compare_id"], wait_seconds=20
            )
        await agent.call("command_cancel", command_id=view["command_id"])
