"""A gigabyte of output through a true stdio client: every byte is kept, and none in memory."""

import hashlib
from pathlib import Path

import pytest
from mcp import Client

from debug_mcp.config import IsolationPolicy, Settings
from tests.benchmarks.process import memory, peak_memory, reset_peak
from tests.clients import Agent, launched_server, opened, stdio_parameters
from tests.upstream import Upstream

pytestmark = [pytest.mark.anyio, pytest.mark.bwrap]

# Lines of 16 bytes, 65,536 of a kind: no two mebibytes are alike.
BLOCKS = 1024
WRITER = f"""
import sys
for n in range({BLOCKS}):
    sys.stdout.buffer.write(b"%015d\\n" % n * 65536)
"""
BYTES = BLOCKS << 20
GROWTH_MIB = 20


def block(number: int) -> bytes:
    return b"%015d\n" % number * 65536


async def test_a_gigabyte_is_kept_read_and_searched_in_little_memory(
    tmp_path: Path, upstream: Upstream
) -> None:
    settings = Settings(data_dir=tmp_path / "data", isolation=IsolationPolicy.REQUIRE_BWRAP)
    launch = stdio_parameters(settings)
    assert launch.env is not None
    launch.env["DEBUG_MCP_OUTPUT_BYTES"] = str(2 * BYTES)
    async with Client(launch) as client:
        agent = Agent(client)
        session = await opened(agent, upstream)
        run = {"session_id": session, "wait_seconds": 50}
        await agent.call("command_run", **run, command="true")
        server = launched_server()
        idle = memory(server)
        reset_peak(server)

        view = await agent.call("command_run", **run, command=["python3", "-c", WRITER])
        while view["state"] != "finished":
            view = await agent.follow(view)
        assert (view["outcome"], view["output"]["total_bytes"]) == ("succeeded", BYTES)
        assert len(view["output"]["text"]) < 7000

        asked = {"command_id": view["command_id"]}
        middle = await agent.call("command_output", **asked, offset=512 << 20, length=16)
        assert middle["output"]["text"] == block(512)[:16].decode()
        last = f"{BLOCKS - 1:015}"
        found = await agent.call("command_output", **asked, pattern=last, limit=1)
        assert found["matches"][0]["offset"] == BYTES - (1 << 20)
        assert peak_memory(server) - idle < GROWTH_MIB

    path = settings.data_dir / "commands" / view["command_id"] / "output"
    expected, kept = hashlib.sha256(), hashlib.sha256()
    with path.open("rb") as file:
        for number in range(BLOCKS):
            expected.update(block(number))
            kept.update(file.read(1 << 20))
        assert not file.read(1)
    assert kept.digest() == expected.digest()
    path.unlink()  # pytest keeps the folders of a few runs
