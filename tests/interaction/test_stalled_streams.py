"""Clients that open the stream of a command and stop to read, for a while or for ever."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import anyio
import httpx2
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from debug_mcp.auth.principal import LOCAL
from debug_mcp.config import IsolationPolicy, Settings
from debug_mcp.interfaces.http_routes import http_routes
from debug_mcp.interfaces.server import build_server
from debug_mcp.models.repositories import RepositoryInit
from debug_mcp.operations.catalogue import REST
from debug_mcp.service.services import Services
from debug_mcp.transport import http
from debug_mcp.transport.bearer import calling_principal
from tests.benchmarks.process import memory, peak_memory, reset_peak
from tests.clients import script, secret
from tests.operator import Operator, Serving
from tests.upstream import Upstream

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]

# More than all buffers on the way hold.
BYTES = 60_000_000
READY = "ready"
MUCH = f"echo {READY}; read line; head -c {BYTES - len(READY) - 1} /dev/zero"
SECONDS = 60
MOST_MIB = 20
STALLED = 5


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", isolation=IsolationPolicy.NONE, grace_seconds=1)


@pytest.fixture
def operator(tmp_path: Path, upstream: Upstream) -> Operator:
    operator = Operator(tmp_path / "data")
    operator.does("call", "repository_init", f"url={upstream.path}", "name=app")
    return operator


@pytest.fixture
def server(operator: Operator) -> Iterator[Serving]:
    with operator.serving("--isolation", "none") as server:
        yield server


async def waiting_command(client: httpx2.AsyncClient) -> str:
    """Start what writes much once a line is typed; return its id when it reads."""
    session = (await client.post("/sessions", json={"repository": "app"})).json()["session_id"]
    asked = {"command": MUCH, "stdin": "open", "until": READY, "wait_seconds": 30}
    ran = await client.post(f"/sessions/{session}/commands", json=asked)
    return str(ran.json()["command_id"])


async def write_all(client: httpx2.AsyncClient, command: str) -> None:
    """Have it write, and wait until it has."""
    typed = await client.post(f"/commands/{command}/input", json={"text": "\n", "wait_seconds": 0})
    assert typed.is_success, typed.text
    with anyio.fail_after(SECONDS):
        while True:
            ended = await client.get(f"/commands/{command}", params={"wait_seconds": 30})
            if "outcome" in ended.json():
                break
    assert ended.json()["outcome"] == "succeeded", ended.text


def stalled(root: str, token: str, command: str, offset: int = 0) -> connect:
    """Open a stream that takes nothing from the wire unless it is read."""
    url = f"{root.replace('http', 'ws', 1)}/v1/commands/{command}/stream?offset={offset}"
    return connect(
        url,
        additional_headers={"Authorization": f"Bearer {token}"},
        max_queue=1,
        max_size=None,
        close_timeout=0.1,  # the server's close stands behind all that is not read
    )


async def read_on(socket: ClientConnection) -> tuple[int, int | None]:
    """Read to the end; return how many bytes of output came, and the close code."""
    count = 0
    with contextlib.suppress(ConnectionClosed), anyio.fail_after(SECONDS):
        while True:
            message = await socket.recv()
            count += len(message) if isinstance(message, bytes) else 0
    return count, socket.close_code


async def test_readers_that_stop_hold_no_memory_and_miss_nothing_when_they_go_on(
    server: Serving, operator: Operator
) -> None:
    root, token = server.url.removesuffix("/mcp"), operator.token("ada")
    pid = server.process.pid
    async with script(root, token) as ada, contextlib.AsyncExitStack() as open_streams:
        command = await waiting_command(ada)
        sockets = [
            await open_streams.enter_async_context(stalled(root, token, command))
            for _ in range(STALLED)
        ]
        idle = memory(pid)
        reset_peak(pid)
        await write_all(ada, command)
        assert peak_memory(pid) - idle < MOST_MIB
        for socket in sockets[:2]:
            assert await read_on(socket) == (BYTES, 1000)
        assert peak_memory(pid) - idle < MOST_MIB


async def test_a_reader_that_never_goes_on_is_cut_and_comes_back_to_where_it_was(
    services: Services, settings: Settings, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "PING_SECONDS", 0.2)
    monkeypatch.setattr(http, "PONG_SECONDS", 0.5)
    await services.repositories.init(LOCAL, RepositoryInit(url=str(upstream.path), name="app"))
    token = await secret(services, "ada")
    with http.listen("127.0.0.1", 0) as listening:
        mcp = build_server(services, calling_principal)
        routes = http_routes(REST, services, calling_principal)
        server = http.HttpServer(
            mcp, services.tokens, services.audit, settings, listening, routes=routes
        )
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve)
            await server.started.wait()
            root = server.url.removesuffix("/mcp")
            async with script(root, token) as ada:
                command = await waiting_command(ada)
                async with stalled(root, token, command) as socket:
                    assert server.count_open()["websocket"] == 1
                    await write_all(ada, command)
                    with anyio.fail_after(SECONDS):
                        while server.count_open()["websocket"]:
                            await anyio.sleep(0.05)
                    had, code = await read_on(socket)
                assert code != 1000
                assert had < BYTES
                async with stalled(root, token, command, had) as socket:
                    assert await read_on(socket) == (BYTES - had, 1000)
            await server.end()
