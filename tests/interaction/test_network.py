"""Servers of a session, and the way out to the network."""

import os
import signal
from pathlib import Path

import pytest

from debug_mcp.config import IsolationPolicy, Settings
from debug_mcp.models.network import NetworkPolicy
from tests.clients import WAYS, Agent, connect, run
from tests.files import appears
from tests.upstream import Upstream

pytestmark = pytest.mark.anyio

SERVER = """\
import http.server, pathlib
server = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
pathlib.Path("port.tmp").write_text(str(server.server_address[1]))
pathlib.Path("port.tmp").rename("port")
server.serve_forever()
"""
ASK = (
    'python3 -c "import urllib.request as r; '
    "print(r.urlopen('http://127.0.0.1:$(cat port)/greeting').read().decode())\""
)


@pytest.fixture
def upstream(tmp_path: Path) -> Upstream:
    repository = Upstream(tmp_path / "site")
    repository.commit("Add a site", {"greeting": "hello", "serve.py": SERVER})
    return repository


async def serving(agent: Agent, settings: Settings, upstream: Upstream) -> tuple[str, str]:
    """Open a session with a server running in it; return it and the server's command."""
    session = (await agent.call("session_create", repository=str(upstream.path)))["session_id"]
    server = await agent.call(
        "command_run",
        session_id=session,
        command=["python3", "serve.py"],
        parallel=True,
        wait_seconds=0,
    )
    await appears(settings.data_dir / "sessions" / session / "tree" / "port")
    return session, server["command_id"]


@pytest.mark.parametrize("way", WAYS)
async def test_a_server_that_one_command_runs_answers_the_next(
    way: str, settings: Settings, upstream: Upstream
) -> None:
    async with connect(way, settings) as agent:
        session, server = await serving(agent, settings, upstream)
        assert await run(agent, session, ASK) == "hello\n"
        ended = await agent.call("command_cancel", command_id=server)
        assert ended["outcome"] == "cancelled"
        assert "GET /greeting" in ended["output"]["text"]
        await agent.call("session_close", session_id=session)
    assert not (settings.data_dir / "sessions" / session).exists()


async def test_after_a_restart_the_server_in_the_session_still_answers(
    settings: Settings, upstream: Upstream
) -> None:
    async with connect("stdio-modern", settings) as agent:
        session, _ = await serving(agent, settings, upstream)
    async with connect("stdio-modern", settings) as agent:
        assert await run(agent, session, ASK) == "hello\n"
        await agent.call("session_close", session_id=session)


@pytest.mark.bwrap
async def test_a_server_of_another_session_is_not_there(tmp_path: Path, upstream: Upstream) -> None:
    settings = Settings(data_dir=tmp_path / "data", isolation=IsolationPolicy.REQUIRE_BWRAP)
    async with connect("memory-modern", settings) as agent:
        session, _ = await serving(agent, settings, upstream)
        port = await run(agent, session, "cat port")
        other = await agent.call("session_create", repository=str(upstream.path))
        asked = await agent.call(
            "command_run",
            session_id=other["session_id"],
            command=f"echo {port} > port; {ASK}",
        )
        assert asked["outcome"] == "failed"
        assert "Connection refused" in asked["output"]["text"]
        await agent.call("session_close", session_id=session)


@pytest.mark.bwrap
@pytest.mark.parametrize("way", WAYS)
async def test_a_program_that_lacks_the_network_is_given_it_by_the_next_call(
    way: str, tmp_path: Path, upstream: Upstream
) -> None:
    settings = Settings(data_dir=tmp_path / "data", isolation=IsolationPolicy.REQUIRE_BWRAP)
    # What the kernel says where there is no way out; with one, nobody listens at this address.
    script = 'python3 -c "import socket; socket.create_connection((\\"192.0.2.1\\", 9), 0.1)"'
    async with connect(way, settings) as agent:
        session = await agent.call("session_create", repository=str(upstream.path))
        asked = {"session_id": session["session_id"], "command": script}
        failed = await agent.call("command_run", **asked)
        assert "Network is unreachable" in failed["output"]["text"]
        assert failed["next"]["arguments"] == {**asked, "network": True}
        granted = await agent.follow(failed)
        assert "hint" not in granted


@pytest.mark.bwrap
async def test_where_the_network_is_off_asking_is_refused_and_not_offered(
    tmp_path: Path, upstream: Upstream
) -> None:
    settings = Settings(
        data_dir=tmp_path / "data",
        isolation=IsolationPolicy.REQUIRE_BWRAP,
        network=NetworkPolicy.OFF,
    )
    async with connect("memory-modern", settings) as agent:
        session = (await agent.call("session_create", repository=str(upstream.path)))["session_id"]
        refused = await agent.refused(
            "command_run", session_id=session, command="true", network=True
        )
        assert refused["error"]["code"] == "permission_denied"
        assert refused["error"]["field"] == "network"
        assert "DEBUG_MCP_NETWORK=ask" in refused["text"]
        failed = await agent.call(
            "command_run", session_id=session, command="echo Network is unreachable; exit 1"
        )
        assert "operator" in failed["hint"]
        assert "next" not in failed


@pytest.mark.bwrap
async def test_where_it_is_on_every_command_has_it_and_the_session_says_so(
    tmp_path: Path, upstream: Upstream
) -> None:
    settings = Settings(
        data_dir=tmp_path / "data",
        isolation=IsolationPolicy.REQUIRE_BWRAP,
        network=NetworkPolicy.ON,
    )
    async with connect("memory-modern", settings) as agent:
        session = await agent.call("session_create", repository=str(upstream.path))
        assert session["network"] is True
        namespace = await run(agent, session["session_id"], "readlink /proc/self/ns/net")
        assert namespace.strip() == str(Path("/proc/self/ns/net").readlink())


@pytest.mark.bwrap
async def test_a_holder_that_was_killed_is_replaced(tmp_path: Path, upstream: Upstream) -> None:
    settings = Settings(data_dir=tmp_path / "data", isolation=IsolationPolicy.REQUIRE_BWRAP)
    async with connect("memory-modern", settings) as agent:
        session = (await agent.call("session_create", repository=str(upstream.path)))["session_id"]
        first = await run(agent, session, "readlink /proc/self/ns/net")
        assert await run(agent, session, "readlink /proc/self/ns/net") == first
        lock = settings.data_dir / "sessions" / session / "network" / "lock"
        os.kill(int(lock.read_text()), signal.SIGKILL)
        assert await run(agent, session, "readlink /proc/self/ns/net") != first
