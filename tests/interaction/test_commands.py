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
