"""Sessions that end by themselves: their work is saved, and a later call is told where it is."""

import contextlib
import sqlite3
from datetime import datetime

import pytest

from debug_mcp.app import open_services
from debug_mcp.config import Settings
from tests.clients import WAYS, connect, run
from tests.files import appears, disappears
from tests.service.house import GATED
from tests.upstream import FIX, Upstream

pytestmark = pytest.mark.anyio
DAY_MICROS = 24 * 3600 * 1_000_000


@pytest.mark.parametrize("way", WAYS)
async def test_a_session_that_expired_says_where_its_work_is_and_how_to_go_on(
    way: str, settings: Settings, upstream: Upstream
) -> None:
    async with connect(way, settings) as agent:
        view = await agent.call(
            "session_create", repository=str(upstream.path), patch=FIX, ttl_seconds=1
        )
        session = view["session_id"]
        assert view["expires_at"] > view["synced_at"]
        await disappears(settings.data_dir / "sessions" / session)

        refused = await agent.refused("command_run", session_id=session, command="true")
        error = refused["error"]
        assert (error["code"], error["field"]) == ("conflict", "session_id")
        assert error["message"].startswith(f"session {session} is closed (expired 20")
        assert f"the branch debug-mcp/{session} and the artifact final.patch" in error["message"]
        again = await agent.follow(refused)
        assert "a + b" in await run(agent, again["session_id"], "cat calculator.py")
        closed = await agent.call("session_close", session_id=session)
        assert closed["closed_why"] == "expired"
        seen = await agent.call("session_get", session_id=session)
        assert (seen["closed_why"], "expires_at" in seen) == ("expired", False)
        assert seen["closed_at"] > seen["created_at"]
        assert closed["exported"]["fetch"].startswith("git fetch ")
        listing = await agent.call("artifact_list", session_id=session)
        assert [kept["name"] for kept in listing["artifacts"]] == ["final.patch"]


async def test_a_session_ends_at_its_time_whatever_runs_in_it(
    settings: Settings, upstream: Upstream
) -> None:
    async with connect("memory-modern", settings) as agent:
        view = await agent.call("session_create", repository=str(upstream.path), ttl_seconds=3)
        session = view["session_id"]
        command = await agent.call(
            "command_run", session_id=session, command="echo 1 > work; sleep 600", wait_seconds=0
        )
        await disappears(settings.data_dir / "sessions" / session)
        ended = await agent.call("command_wait", command_id=command["command_id"])
        assert ended["outcome"] == "cancelled"
        closed = await agent.call("session_close", session_id=session)
        assert closed["exported"]["branch"] == f"debug-mcp/{session}"


async def test_an_unused_session_ends_and_one_with_a_command_does_not(
    settings: Settings, upstream: Upstream
) -> None:
    settings = settings.model_copy(update={"session_idle_seconds": 2})
    sessions = settings.data_dir / "sessions"
    async with connect("memory-modern", settings) as agent:
        busy = (await agent.call("session_create", repository=str(upstream.path)))["session_id"]
        await agent.call("command_run", session_id=busy, command=GATED, wait_seconds=0)
        await appears(sessions / busy / "tree" / "started")
        unused = (await agent.call("session_create"))["session_id"]
        await disappears(sessions / unused)
        refused = await agent.refused("file_read", session_id=unused)
        assert "it had no work to save" in refused["error"]["message"]
        assert (await agent.call("file_read", session_id=busy))["path"] == "."
        (sessions / busy / "tree" / "go").touch()
        await disappears(sessions / busy)


async def test_what_expired_while_no_server_ran_is_ended_when_one_starts(
    settings: Settings, upstream: Upstream
) -> None:
    async with connect("memory-modern", settings) as agent:
        view = await agent.call("session_create", repository=str(upstream.path), patch=FIX)
        kept = await agent.call("session_create")
    with contextlib.closing(sqlite3.connect(settings.data_dir / "debug-mcp.sqlite3")) as ledger:
        ledger.execute(
            "UPDATE sessions SET used_at = used_at - 3 * ? WHERE id = ?",
            (DAY_MICROS, view["session_id"]),
        )
        ledger.commit()
    async with connect("memory-modern", settings) as agent, open_services(settings):
        await disappears(settings.data_dir / "sessions" / view["session_id"])
        closed = await agent.call("session_close", session_id=view["session_id"])
        assert (closed["closed_why"], closed["exported"]["base"]) == ("expired", view["commit"])
        assert await run(agent, kept["session_id"], "cat pytest.ini") == "[pytest]\n"


async def test_the_time_of_a_session_is_what_was_asked_within_what_the_operator_allows(
    settings: Settings, upstream: Upstream
) -> None:
    settings = settings.model_copy(update={"session_seconds": 5000})
    asked = {"repository": str(upstream.path)}
    async with connect("memory-modern", settings) as agent:
        long, short = [
            await agent.call("session_create", **asked, **ttl) for ttl in ({}, {"ttl_seconds": 100})
        ]
        first, second = (datetime.fromisoformat(view["expires_at"]) for view in (long, short))
        assert (first - second).total_seconds() > 4000
        refused = await agent.refused("session_create", **asked, ttl_seconds=5001)
        assert refused["error"]["field"] == "ttl_seconds"
        assert "5000 at most" in refused["error"]["message"]
        for wrong in (0, -1, "soon"):
            refused = await agent.refused("session_create", **asked, ttl_seconds=wrong)
            assert refused["error"]["code"] == "invalid_input"
