"""``debug-mcp serve`` as an operator runs it: a true process, its start, its end, and its death."""

import contextlib
import os
import re
import signal
from pathlib import Path

import anyio
import httpx2
import pytest

from debug_mcp.auth.tokens import new_secret
from debug_mcp.config import Layout
from tests.clients import Agent, http_client
from tests.files import appears
from tests.operator import SECONDS, Operator
from tests.service.house import GATED
from tests.upstream import Upstream

pytestmark = pytest.mark.anyio


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(tmp_path / "data")


async def test_a_server_ends_on_a_signal_with_streams_and_calls_open_and_commands_go_on(
    operator: Operator, upstream: Upstream
) -> None:
    token = operator.token("ada")
    assert operator.does("call", "repository_init", f"url={upstream.path}", "name=app",
                         "--isolation", "none").returncode == 0  # fmt: skip
    with operator.serving("--isolation", "none") as first:
        async with (
            http_client(first.url, token, "legacy") as client,
            anyio.create_task_group() as tasks,
        ):
            session = (await Agent(client).call("session_create", repository="app"))["session_id"]
            tree = Layout(operator.data_dir).sessions / session / "tree"

            async def run() -> None:
                with contextlib.suppress(Exception):  # its answer is cut off
                    await Agent(client).call(
                        "command_run",
                        session_id=session,
                        command=GATED,
                        wait_seconds=50,
                        idempotency_key="once",
                    )

            tasks.start_soon(run)
            await appears(tree / "started")
            first.process.send_signal(signal.SIGTERM)
            assert await first.ended() == 0
            tasks.cancel_scope.cancel()
    assert first.process.stderr is not None
    assert first.process.stderr.closed
    (tree / "go").touch()
    with operator.serving("--isolation", "none") as second:
        async with http_client(second.url, token) as client:
            view = await Agent(client).call(
                "command_run",
                session_id=session,
                command=GATED,
                wait_seconds=50,
                idempotency_key="once",
            )
        assert view["exit_code"] == 5
        second.process.send_signal(signal.SIGINT)
        assert await second.ended() == 0


async def test_a_server_closes_its_open_streams_before_it_ends(
    operator: Operator, upstream: Upstream
) -> None:
    token = operator.token("ada")
    with operator.serving("--isolation", "none") as server:
        async with http_client(server.url, token) as client:
            async with client.listen(resources_list_changed=True) as events:
                server.process.send_signal(signal.SIGTERM)
                # The stream's own end, and not an error: the client may tell it from a crash.
                with anyio.fail_after(SECONDS):
                    assert [event async for event in events] == []
            assert await server.ended() == 0
        assert server.process.stderr is not None
        assert server.process.stderr.read() == ""


async def test_a_second_signal_ends_the_server_at_once(
    operator: Operator, upstream: Upstream
) -> None:
    token = operator.token("ada")
    operator.does("call", "repository_init", f"url={upstream.path}", "name=app")
    with operator.serving("--isolation", "none") as server:
        async with (
            http_client(server.url, token, "legacy") as client,
            anyio.create_task_group() as tasks,
        ):
            session = (await Agent(client).call("session_create", repository="app"))["session_id"]

            async def run() -> None:
                with contextlib.suppress(Exception):
                    await client.call_tool("command_run", {"session_id": session, "command": GATED})

            tasks.start_soon(run)
            await appears(Layout(operator.data_dir).sessions / session / "tree" / "started")
            server.process.send_signal(signal.SIGTERM)
            await _refuses(server.url)
            server.process.send_signal(signal.SIGTERM)
            assert await server.ended() == -signal.SIGTERM
            tasks.cancel_scope.cancel()


async def _refuses(url: str) -> None:
    """Wait until a server accepts no connections any more: it is ending."""
    with anyio.fail_after(SECONDS):
        async with httpx2.AsyncClient() as http:
            with contextlib.suppress(httpx2.TransportError):
                while True:
                    await http.get(f"{url.removesuffix('/mcp')}/healthz")


async def test_stdio_and_http_work_side_by_side_on_one_data_directory(
    operator: Operator, upstream: Upstream
) -> None:
    token = operator.token("ada")
    with operator.serving("--isolation", "none") as server:
        # In a process of its own, while the server runs.
        made = operator.does("call", "session_create", f"repository={upstream.path}",
                             "--isolation", "none")  # fmt: skip
        assert made.returncode == 0, made.stderr
        async with http_client(server.url, token) as client:
            session = await Agent(client).call("session_create", repository="calculator")
            view = await Agent(client).call(
                "command_run", session_id=session["session_id"], command="ls"
            )
            assert "calculator.py" in view["output"]["text"]
            [other] = re.findall(r"session_id: (\S+)", made.stdout)
            refused = await Agent(client).refused("command_run", session_id=other, command="ls")
            assert refused["error"]["code"] == "not_found"


async def test_a_token_revoked_by_another_process_ends_a_stream_of_the_server(
    operator: Operator,
) -> None:
    token = operator.token("ada")
    with operator.serving("--isolation", "none") as server:
        headers = {
            "Authorization": f"Bearer {token}",
            "Accept": "application/json, text/event-stream",
        }
        opening = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "initialize",
            "params": {
                "protocolVersion": "2025-06-18",
                "capabilities": {},
                "clientInfo": {"name": "raw", "version": "1"},
            },
        }
        async with httpx2.AsyncClient(headers=headers, timeout=httpx2.Timeout(SECONDS)) as http:
            answer = await http.post(server.url, json=opening)
            session = {"Mcp-Session-Id": answer.headers["mcp-session-id"]}
            async with http.stream("GET", server.url, headers=session) as stream:
                assert stream.status_code == 200
                assert operator.does("token", "revoke", "ada").returncode == 0
                with anyio.fail_after(SECONDS):
                    assert [chunk async for chunk in stream.aiter_bytes()] == []
            assert (await http.post(server.url, json=opening)).status_code == 401


async def test_the_start_up_line_says_where_and_how_and_no_secret_is_ever_logged(
    operator: Operator,
) -> None:
    token = operator.token("ada")
    with operator.serving("--isolation", "none") as server:
        assert re.fullmatch(
            r"debug-mcp \S+ serves http://127\.0\.0\.1:\d+/mcp \(isolation: none\); "
            rf"no sandbox: whoever holds a token runs programs as (root|user {os.geteuid()}) and "
            r"can reach all sessions, .+ the only boundary; "
            r"debug-mcp token create NAME makes a token\n",
            server.said,
        )
        async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}) as http:
            await http.get(f"{server.url}?token={token}")
            await http.get(f"{server.url}/{token}")
        server.process.send_signal(signal.SIGTERM)
        assert await server.ended() == 0
        assert server.process.stderr is not None
        assert token not in server.process.stderr.read()


async def test_a_server_without_any_token_says_how_to_make_one(operator: Operator) -> None:
    with operator.serving("--isolation", "none") as server:
        assert "there is no token yet: debug-mcp token create NAME makes one" in server.said


async def test_the_first_token_may_stand_in_the_environment(operator: Operator) -> None:
    secret = new_secret()
    with operator.serving("--isolation", "none", DEBUG_MCP_BOOTSTRAP_TOKEN=secret) as server:
        async with http_client(server.url, secret) as client:
            assert await Agent(client).call("server_info")


def test_a_port_in_use_is_said_in_one_sentence(operator: Operator) -> None:
    with operator.serving("--isolation", "none") as server:
        port = server.url.split(":")[2].removesuffix("/mcp")
        done = operator.does("serve", "--port", port, "--isolation", "none")
    assert done.returncode == 1
    assert done.stderr == (
        f"debug-mcp: cannot listen on 127.0.0.1 port {port}: Address already in use; "
        "give another with --host or --port\n"
    )


def test_other_machines_are_served_only_when_there_is_a_token(operator: Operator) -> None:
    refused = operator.does("serve", "--host", "0.0.0.0", "--port", "0", "--isolation", "none")
    assert refused.returncode == 1
    assert "make a token with `debug-mcp token create NAME` first" in refused.stderr
    operator.token("ada")
    with operator.serving("--host", "0.0.0.0", "--isolation", "none") as server:
        assert "There is no TLS: put a proxy before it" in server.said
