"""Commands as an agent follows them, over every way in."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from debug_mcp.config import IsolationPolicy, Settings
from tests.clients import WAYS, Agent, connect
from tests.upstream import Upstream

pytestmark = [pytest.mark.anyio, pytest.mark.bwrap]

# Goes on when another command of the session says so.
GATED = "echo begun; until [ -e go ]; do sleep 0.01; done; echo went on"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        data_dir=tmp_path / "data", isolation=IsolationPolicy.REQUIRE_BWRAP, grace_seconds=1
    )


@pytest.fixture(params=WAYS)
async def agent(request: pytest.FixtureRequest, settings: Settings) -> AsyncIterator[Agent]:
    async with connect(request.param, settings) as agent:
        yield agent


@pytest.fixture
async def session(agent: Agent, upstream: Upstream) -> str:
    view = await agent.call("session_create", repository=str(upstream.path))
    session: str = view["session_id"]
    return session


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


async def test_what_cannot_be_waited_for_is_refused(agent: Agent, session: str) -> None:
    ran = await agent.call("command_run", session_id=session, command="echo failure")
    refused = await agent.refused("command_wait", command_id=ran["command_id"], until="failure")
    assert refused["error"]["field"] == "until"
    assert (await agent.follow(refused))["until"]["by"] == "match"
    refused = await agent.refused("command_wait", command_id=ran["command_id"], until="re:(")
    assert "no RE2 pattern" in refused["error"]["message"]
    refused = await agent.refused("command_wait", command_id=ran["command_id"], wait_seconds="nan")
    assert refused["error"]["field"] == "wait_seconds"
