"""stderr apart from stdout: each with its own bytes and offsets."""

import hashlib
import os
import signal
from pathlib import Path

import pytest
from mcp.shared.exceptions import MCPError
from mcp.types import TextResourceContents

from debug_mcp.config import IsolationPolicy, Settings
from tests.clients import Agent, connect, launched_server, opened
from tests.files import appears
from tests.upstream import Upstream

pytestmark = [pytest.mark.anyio, pytest.mark.bwrap]

BOTH = "for n in $(seq 100); do echo out $n; done; for n in $(seq 900); do echo err $n >&2; done"
OUT = "".join(f"out {n}\n" for n in range(1, 101))
ERR = "".join(f"err {n}\n" for n in range(1, 901))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", isolation=IsolationPolicy.REQUIRE_BWRAP)


async def test_each_stream_is_shown_and_read_by_itself(agent: Agent, session: str) -> None:
    run = {"session_id": session, "command": BOTH, "streams": "separate"}
    view = await agent.call("command_run", **run)
    assert view["output"] == {"text": OUT, "total_bytes": len(OUT)}
    assert view["stderr"]["total_bytes"] == len(ERR)
    start, end = view["stderr"]["omitted"]
    assert view["unread"] == end - start
    assert 5500 < len(OUT) + len(view["stderr"]["text"]) < 6500
    page = await agent.follow(view)
    assert page["output"]["text"].startswith(ERR[start:end])

    asked = {"command_id": view["command_id"], "stream": "stderr"}
    found = await agent.call("command_output", **asked, pattern="err 7")
    match = found["matches"][0]
    assert (match["offset"], match["line"], match["text"]) == (ERR.index("err 7\n"), 7, "err 7")
    nothing = await agent.call("command_output", command_id=view["command_id"], pattern="err")
    assert "matches" not in nothing


async def test_the_end_of_each_stream_is_a_resource(agent: Agent, session: str) -> None:
    run = {"session_id": session, "command": BOTH, "streams": "separate"}
    command = (await agent.call("command_run", **run))["command_id"]
    for uri, whole in ((f"output://{command}", OUT), (f"output://{command}/stderr", ERR)):
        [content] = (await agent.client.read_resource(uri)).contents
        assert isinstance(content, TextResourceContents)
        assert content.text == whole
    with pytest.raises(MCPError, match="no resource"):
        await agent.client.read_resource(f"output://{command}/stdin")


async def test_one_stream_has_no_stderr_to_read(agent: Agent, session: str) -> None:
    view = await agent.call("command_run", session_id=session, command="echo one >&2")
    assert "stderr" not in view
    error = await agent.refused("command_output", command_id=view["command_id"], stream="stderr")
    assert "one stream" in error["error"]["message"]
    assert (await agent.follow(error))["output"]["text"] == "one\n"


async def test_a_wait_says_that_it_did_not_look_at_stderr(agent: Agent, session: str) -> None:
    run = {"session_id": session, "command": "echo ready >&2", "until": "ready"}
    view = await agent.call("command_run", **run, streams="separate")
    assert view["until"]["by"] == "end"
    assert view["hint"] == "until looks at stdout, and the stderr of this command is apart"
    assert "hint" not in await agent.call("command_run", **run)


async def test_a_terminal_cannot_be_apart(agent: Agent, session: str) -> None:
    asked = {"session_id": session, "command": "echo one >&2", "tty": True}
    error = await agent.refused("command_run", **asked, streams="separate")
    assert (await agent.follow(error))["output"]["text"] == "one\n"


async def test_what_went_wrong_is_looked_for_in_stderr_too(agent: Agent, session: str) -> None:
    view = await agent.call(
        "command_run", session_id=session, command="echo {}; gti status", streams="separate"
    )
    assert (view["exit_code"], view["output"]["text"]) == (127, "{}\n")
    assert "program_not_found: gti" in view["hint"]


async def test_a_limit_counts_both_and_says_what_is_missing(
    tmp_path: Path, upstream: Upstream
) -> None:
    settings = Settings(data_dir=tmp_path / "data", output_bytes=5000)
    async with connect("memory-modern", settings) as agent:
        session = await opened(agent, upstream)
        view = await agent.call("command_run", session_id=session, command=BOTH, streams="separate")
    assert (view["outcome"], view["limit"]["value"]) == ("output_limit", 5000)
    assert view["output"]["total_bytes"] + view["stderr"]["total_bytes"] == 5000


@pytest.mark.parametrize("way", ["stdio-modern"])
async def test_a_killed_server_costs_neither_stream_a_byte(
    way: str, settings: Settings, upstream: Upstream
) -> None:
    command = (
        "head -c 3000000 /dev/zero | tr '\\0' a; head -c 2000000 /dev/zero | tr '\\0' b >&2;"
        "touch half; until [ -e go ]; do sleep 0.01; done; echo end; echo fin >&2"
    )
    run = {"command": command, "streams": "separate", "wait_seconds": 0}
    async with connect(way, settings) as agent:
        session = await opened(agent, upstream)
        begun = await agent.call("command_run", session_id=session, **run)
        await appears(settings.data_dir / "sessions" / session / "tree" / "half")
        os.kill(launched_server(), signal.SIGKILL)
    (settings.data_dir / "sessions" / session / "tree" / "go").touch()
    async with connect(way, settings) as agent:
        view = await agent.call("command_wait", command_id=begun["command_id"])
        assert (view["outcome"], view["output"]["total_bytes"]) == ("succeeded", 3_000_004)
        assert view["stderr"]["total_bytes"] == 2_000_004
    folder = settings.data_dir / "commands" / begun["command_id"]
    for name, whole in (
        ("output", b"a" * 3_000_000 + b"end\n"),
        ("stderr", b"b" * 2_000_000 + b"fin\n"),
    ):
        kept = (folder / name).read_bytes()
        assert hashlib.sha256(kept).digest() == hashlib.sha256(whole).digest()
