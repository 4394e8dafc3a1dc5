"""A call whose client gives it up, and what a client hears while it waits; in every way in."""

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import anyio
import pytest

from debug_mcp.config import IsolationPolicy, Layout, Settings
from tests.clients import Agent
from tests.files import appears

pytestmark = pytest.mark.anyio

GATED = "echo begun; touch begun; until [ -e go ]; do sleep 0.05; done; echo end"
ENDED = {"text": "begun\nend\n", "total_bytes": 10}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", isolation=IsolationPolicy.NONE)


@pytest.fixture
def tree(settings: Settings, session: str) -> Path:
    return settings.data_dir / "sessions" / session / "tree"


async def give_up(agent: Agent, seen: Path, tool: str, **arguments: Any) -> None:
    """Make a call, and cancel it when a file appears: the client tells the server."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(agent.client.call_tool, tool, arguments)
        await appears(seen)
        tasks.cancel_scope.cancel()


async def audited(settings: Settings, operation: str, outcome: str) -> None:
    """Wait until the audit log says how a call went."""
    asked = "SELECT count(*) FROM audit WHERE operation = ? AND outcome = ?"
    with (
        contextlib.closing(sqlite3.connect(Layout(settings.data_dir).database)) as ledger,
        anyio.fail_after(20),
    ):
        while not ledger.execute(asked, (operation, outcome)).fetchone()[0]:
            await anyio.sleep(0.02)


async def test_a_command_goes_on_when_its_call_is_given_up(
    agent: Agent, session: str, tree: Path, settings: Settings
) -> None:
    run = {"session_id": session, "command": GATED, "idempotency_key": "one"}
    await give_up(agent, tree / "begun", "command_run", **run, wait_seconds=50)
    await audited(settings, "command_run", "cancelled")
    [row] = (await agent.call("command_list"))["commands"]
    assert row["state"] in ("starting", "running")
    # The same call again is the same command, and so is whoever asks for it by its id.
    again = await agent.call("command_run", **run, wait_seconds=0)
    assert again["command_id"] == row["command_id"]
    (tree / "go").touch()
    view = await agent.call("command_wait", command_id=row["command_id"])
    assert (view["outcome"], view["output"]) == ("succeeded", ENDED)


async def test_a_wait_that_is_given_up_leaves_its_command_alone(
    agent: Agent, session: str, tree: Path
) -> None:
    begun = await agent.call("command_run", session_id=session, command=GATED, wait_seconds=0)
    wait = {"command_id": begun["command_id"]}
    await give_up(agent, tree / "begun", "command_wait", **wait, wait_seconds=50)
    assert (await agent.call("command_wait", **wait, wait_seconds=0))["state"] != "finished"
    (tree / "go").touch()
    assert (await agent.call("command_wait", **wait))["output"] == ENDED


async def test_who_waits_hears_how_long_and_the_last_line(
    agent: Agent, session: str, tree: Path
) -> None:
    heard: list[tuple[float, str | None]] = []

    async def told(progress: float, total: float | None, message: str | None) -> None:
        assert total is None  # nobody knows how long a command takes
        heard.append((progress, message))
        if message == "begun":
            (tree / "go").touch()

    run = {"session_id": session, "command": GATED, "wait_seconds": 50}
    result = await agent.client.call_tool("command_run", run, progress_callback=told)
    assert result.structured_content is not None
    assert result.structured_content["output"] == ENDED
    times = [progress for progress, _ in heard]
    assert times == sorted(set(times))
    assert heard[-1][1] == "begun"
