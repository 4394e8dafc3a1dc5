"""What happens to commands when servers die, end, or stand side by side on one data directory."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import anyio
import pytest

from debug_mcp.config import Settings
from debug_mcp.runner.supervisor import read_fields
from debug_mcp.service import scheduler
from tests.clients import connect, stdio_parameters
from tests.files import appears, disappears
from tests.upstream import Upstream

pytestmark = pytest.mark.anyio

# Goes on when the test says so, and says itself when it has started.
GATED = "touch started; until [ -e go ]; do sleep 0.01; done; echo went on; exit 5"


class Server:
    """A server process that a test can kill, spoken to in plain JSON lines (legacy era)."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self._id = 0
        self.request(
            "initialize",
            protocolVersion="2025-11-25",
            capabilities={},
            clientInfo={"name": "test", "version": "1"},
        )
        self._send({"method": "notifications/initialized"})

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool and return its structured content."""
        result = self.request("tools/call", name=tool, arguments=arguments)
        assert not result.get("isError"), result
        content: dict[str, Any] = result["structuredContent"]
        return content

    def request(self, method: str, **params: Any) -> dict[str, Any]:
        self._id += 1
        self._send({"id": self._id, "method": method, "params": params})
        answer: dict[str, Any] = {"method": "none yet"}
        while "method" in answer:  # notifications may come in between
            answer = json.loads(_stream(self.process.stdout).readline())
        assert answer["id"] == self._id, answer
        result: dict[str, Any] = answer["result"]
        return result

    def _send(self, message: dict[str, Any]) -> None:
        stdin = _stream(self.process.stdin)
        stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        stdin.flush()


def _stream(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


@contextlib.contextmanager
def server(settings: Settings) -> Iterator[Server]:
    parameters = stdio_parameters(settings)
    process = subprocess.Popen(
        [parameters.command, *parameters.args],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield Server(process)
        finally:
            process.kill()


@pytest.fixture
def tree(settings: Settings) -> "Tree":
    return Tree(settings.data_dir)


class Tree:
    """Where tests look over a command's shoulder."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir

    def file(self, session_id: str, name: str) -> Path:
        return self._data_dir / "sessions" / session_id / "tree" / name

    def command(self, command_id: str) -> Path:
        return self._data_dir / "commands" / command_id

    def shim(self, command_id: str) -> int:
        state = read_fields(self.command(command_id) / "state")
        assert state is not None
        return int(state["shim"])


async def begin(
    running: Server, upstream: Upstream, tree: Tree, command: str = GATED
) -> tuple[str, str]:
    """Open a session and start a command in it; return both ids once it has started."""
    session = running.call("session_create", repository=str(upstream.path))["session_id"]
    view = running.call("command_run", session_id=session, command=command, wait_seconds=0)
    await appears(tree.file(session, "started"))
    return session, view["command_id"]


async def test_a_command_goes_on_when_its_server_is_killed_and_the_next_server_has_its_end(
    settings: Settings, upstream: Upstream, tree: Tree
) -> None:
    with server(settings) as first:
        session, command = await begin(first, upstream, tree)
        queued = first.call("command_run", session_id=session, command="echo next", wait_seconds=0)
        first.process.send_signal(signal.SIGKILL)
    async with connect("stdio-modern", settings) as agent:
        still = await agent.call("command_wait", command_id=command, wait_seconds=0)
        assert still["state"] == "running"
        tree.file(session, "go").touch()
        ended = await agent.call("command_wait", command_id=command)
        assert (ended["outcome"], ended["exit_code"]) == ("failed", 5)
        assert ended["output"]["text"] == "went on\n"
        # What waited behind it runs in its turn.
        behind = await agent.call("command_wait", command_id=queued["command_id"])
        assert (behind["outcome"], behind["output"]["text"]) == ("succeeded", "next\n")


async def test_every_byte_is_there_although_the_server_was_killed_in_between(
    settings: Settings, upstream: Upstream, tree: Tree
) -> None:
    with server(settings) as first:
        session, command = await begin(first, upstream, tree, f"seq 50000; {GATED}; true")
        first.process.send_signal(signal.SIGKILL)
    with server(settings) as second:
        tree.file(session, "go").touch()
        ended = second.call("command_wait", command_id=command)
        expected = "".join(f"{number}\n" for number in range(1, 50_001)) + "went on\n"
        assert ended["output"]["total_bytes"] == len(expected)
        found, offset = "", 0
        while offset < len(expected):
            page = second.call(
                "command_output", command_id=command, mode="range", offset=offset, length=40_000
            )["output"]
            found += page["text"]
            offset = page.get("next_offset", len(expected))
        assert found == expected


async def test_a_command_that_ended_while_no_server_lived_gets_its_end(
    settings: Settings, upstream: Upstream, tree: Tree
) -> None:
    with server(settings) as first:
        session, command = await begin(first, upstream, tree)
        first.process.send_signal(signal.SIGKILL)
    tree.file(session, "go").touch()
    await appears(tree.command(command) / "exit")
    async with connect("stdio-modern", settings) as agent:
        ended = await agent.call("command_wait", command_id=command)
    assert (ended["outcome"], ended["exit_code"]) == ("failed", 5)
    assert ended["output"]["text"] == "went on\n"


async def test_a_command_whose_end_nobody_saw_is_lost_and_is_not_run_again(
    settings: Settings, upstream: Upstream, tree: Tree
) -> None:
    counted = f"echo run >> runs; echo before; {GATED}"
    with server(settings) as first:
        session, command = await begin(first, upstream, tree, counted)
        first.process.send_signal(signal.SIGKILL)
    os.kill(tree.shim(command), signal.SIGKILL)
    async with connect("stdio-modern", settings) as agent:
        lost = await agent.call("command_wait", command_id=command)
        assert (lost["state"], lost["outcome"]) == ("finished", "lost")
        assert "exit_code" not in lost
        assert lost["output"]["text"] == "before\n"
        assert lost["next"]["tool"] == "command_run"
        after = await agent.call("command_run", session_id=session, command="cat runs")
        assert after["output"]["text"] == "run\n"
        tree.file(session, "go").touch()  # at level none nobody else ends it


async def test_a_running_command_can_be_cancelled_by_the_next_server(
    settings: Settings, upstream: Upstream, tree: Tree
) -> None:
    with server(settings) as first:
        _, command = await begin(first, upstream, tree)
        first.process.send_signal(signal.SIGKILL)
    async with connect("stdio-modern", settings) as agent:
        cancelled = await agent.call("command_cancel", command_id=command)
    assert (cancelled["state"], cancelled["outcome"]) == ("finished", "cancelled")


async def test_a_command_of_one_server_is_waited_for_and_cancelled_through_another(
    settings: Settings, upstream: Upstream, tree: Tree
) -> None:
    with server(settings) as first, server(settings) as second:
        session, one = await begin(first, upstream, tree)
        queued = first.call("command_run", session_id=session, command="touch x", wait_seconds=0)
        assert second.call("command_cancel", command_id=queued["command_id"])["outcome"] == (
            "cancelled"
        )
        tree.file(session, "go").touch()
        for each in (second, first):
            ended = each.call("command_wait", command_id=one)
            assert (ended["exit_code"], ended["output"]["text"]) == (5, "went on\n")
        assert not tree.file(session, "x").exists()

        tree.file(session, "go").unlink()
        tree.file(session, "started").unlink()
        other = first.call("command_run", session_id=session, command=GATED, wait_seconds=0)
        await appears(tree.file(session, "started"))
        for each in (second, first):
            ended = each.call("command_cancel", command_id=other["command_id"])
            assert (ended["state"], ended["outcome"]) == ("finished", "cancelled")


async def test_a_server_takes_over_when_another_beside_it_is_killed(
    settings: Settings, upstream: Upstream, tree: Tree
) -> None:
    with server(settings) as first, server(settings) as second:
        session, command = await begin(first, upstream, tree)
        behind = first.call("command_run", session_id=session, command="echo next", wait_seconds=0)
        first.process.send_signal(signal.SIGKILL)
        tree.file(session, "go").touch()
        assert second.call("command_wait", command_id=command)["exit_code"] == 5
        after = second.call("command_wait", command_id=behind["command_id"])
        assert after["output"]["text"] == "next\n"


@pytest.mark.parametrize("came", ["before", "after"])
async def test_the_end_of_another_server_is_noticed_without_looking_for_it(
    settings: Settings, upstream: Upstream, tree: Tree, monkeypatch: pytest.MonkeyPatch, came: str
) -> None:
    monkeypatch.setattr(scheduler, "LOOK_SECONDS", 3600)
    async with contextlib.AsyncExitStack() as stack:
        if came == "before":
            other = stack.enter_context(server(settings))
        agent = await stack.enter_async_context(connect("memory-modern", settings))
        if came == "after":
            other = stack.enter_context(server(settings))
        session, command = await begin(other, upstream, tree)
        queued = other.call("command_run", session_id=session, command="echo next", wait_seconds=0)
        [its_lock] = [
            lock
            for lock in (settings.data_dir / "instances").glob("*.lock")
            if int(lock.read_bytes()) == other.process.pid
        ]

        other.process.send_signal(signal.SIGKILL)
        tree.file(session, "go").touch()

        assert (await agent.call("command_wait", command_id=command))["exit_code"] == 5
        behind = await agent.call("command_wait", command_id=queued["command_id"])
        assert behind["output"]["text"] == "next\n"
        await disappears(its_lock)


@pytest.mark.parametrize("how", ["end of input", "SIGTERM", "SIGINT"])
async def test_a_server_ends_cleanly_and_its_running_command_goes_on(
    settings: Settings, upstream: Upstream, tree: Tree, how: str
) -> None:
    with server(settings) as first:
        session, command = await begin(first, upstream, tree)
        if how == "end of input":
            _stream(first.process.stdin).close()
        else:
            first.process.send_signal(signal.Signals[how])
        assert first.process.wait(10) == 0
        assert _stream(first.process.stdout).read() == ""
        assert _stream(first.process.stderr).read() == ""
    assert list((settings.data_dir / "instances").iterdir()) == []
    tree.file(session, "go").touch()
    async with connect("stdio-modern", settings) as agent:
        assert (await agent.call("command_wait", command_id=command))["exit_code"] == 5


async def test_a_half_made_session_of_a_dead_server_leaves_nothing_behind(
    settings: Settings, upstream: Upstream
) -> None:
    # The kill comes as soon as the folder is there: at any moment after that the end is right.
    async with connect("stdio-modern", settings) as agent:
        await agent.call("repository_init", url=str(upstream.path))
    with server(settings) as first:
        first._send(
            {
                "id": 9,
                "method": "tools/call",
                "params": {"name": "session_create", "arguments": {}},
            }
        )
        sessions = settings.data_dir / "sessions"
        with anyio.fail_after(20):
            while not list(sessions.iterdir()):
                await anyio.sleep(0.001)
        first.process.send_signal(signal.SIGKILL)
    async with connect("stdio-modern", settings) as agent:
        info = await agent.call("server_info")
        left = {path.name for path in sessions.iterdir()}
        assert info["load"]["sessions"] == len(left) <= 1


async def test_a_newer_schema_is_refused_in_one_sentence(settings: Settings) -> None:
    async with connect("stdio-modern", settings) as agent:
        await agent.call("server_info")
    with contextlib.closing(sqlite3.connect(settings.data_dir / "debug-mcp.sqlite3")) as file:
        file.execute("PRAGMA user_version = 999")
    parameters = stdio_parameters(settings)
    done = await anyio.run_process(
        [parameters.command, *parameters.args], stdin=subprocess.DEVNULL, check=False
    )
    assert done.returncode == 1
    assert done.stderr.decode().count("\n") == 1
    assert "has schema 999" in done.stderr.decode()
