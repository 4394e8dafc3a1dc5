"""A data directory on a small disk that fills up: what is said, and what still works."""

import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters

from tests.clients import Agent, run

pytestmark = [pytest.mark.anyio, pytest.mark.bwrap]

DISK_BYTES = 32 << 20
MUCH = 100_000_000


@pytest.fixture
async def agent(tmp_path: Path) -> AsyncIterator[Agent]:
    """A client of a server in a mount namespace, in which its data directory is such a disk."""
    data = tmp_path / "data"
    data.mkdir()
    disk = ["--dev-bind", "/", "/", "--size", str(DISK_BYTES), "--tmpfs", str(data)]
    server = [sys.executable, "-m", "debug_mcp", "stdio", "--data-dir", str(data)]
    launch = StdioServerParameters(
        command="bwrap",
        args=[*disk, *server, "--isolation", "none"],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
    )
    async with Client(launch) as client:
        yield Agent(client)


async def test_output_stops_before_the_disk_is_full_and_everything_goes_on(
    agent: Agent, session: str
) -> None:
    flood = f"head -c {MUCH} /dev/zero; echo x > after; exit 3"
    view = await agent.call("command_run", session_id=session, command=flood, wait_seconds=50)
    kept = view["output"]["total_bytes"]
    assert (view["state"], view["outcome"], view["exit_code"]) == ("finished", "output_limit", 3)
    assert 0 < kept < DISK_BYTES
    assert f"the disk is full: the last {MUCH - kept} bytes were dropped" in view["hint"]

    assert await run(agent, session, "cat after") == "x\n"
    edits = [{"path": "b.txt", "content": "b\n"}]
    await agent.call("file_edit", session_id=session, edits=edits)
    assert (await agent.call("session_close", session_id=session))["state"] == "closed"


async def test_a_disk_that_a_program_has_filled_is_told_and_nothing_waits(
    agent: Agent, session: str
) -> None:
    fill = "cat /dev/zero > big; echo x > small; exit 4"
    view = await agent.call("command_run", session_id=session, command=fill, wait_seconds=50)
    assert (view["state"], view["exit_code"]) == ("finished", 4)
    again = await agent.call("command_wait", command_id=view["command_id"])
    assert (again["state"], again["exit_code"]) == ("finished", 4)
    [row] = (await agent.call("command_list"))["commands"]
    assert (row["state"], row["exit_code"]) == ("finished", 4)
    file = await agent.call("file_read", session_id=session, path="calculator.py")
    assert "def add" in file["text"]
    edits = [{"path": "b.txt", "content": "b\n"}]
    for tool, arguments in (("command_run", {"command": "true"}), ("file_edit", {"edits": edits})):
        refused = await agent.refused(tool, session_id=session, **arguments)
        assert refused["error"]["code"] == "unavailable"
        assert "disk is full" in refused["error"]["message"]
