"""The stream of a command over a real WebSocket: output, states, input; who may, how it ends."""

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from debug_mcp.auth.principal import LOCAL
from debug_mcp.config import IsolationPolicy, Settings
from debug_mcp.models.repositories import RepositoryInit
from debug_mcp.service.services import Services
from tests.clients import secret, serving
from tests.upstream import Upstream

pytestmark = pytest.mark.anyio

SECONDS = 20


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", isolation=IsolationPolicy.NONE, grace_seconds=1)


@pytest.fixture
async def root(services: Services, settings: Settings, upstream: Upstream) -> AsyncIterator[str]:
    await services.repositories.init(LOCAL, RepositoryInit(url=str(upstream.path), name="app"))
    async with serving(services, settings) as url:
        yield url.removesuffix("/mcp") + "/v1"


@pytest.fixture
async def token(services: Services) -> str:
    return await secret(services, "ada")


@pytest.fixture
async def ada(root: str, token: str) -> AsyncIterator[httpx2.AsyncClient]:
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(base_url=root, headers=headers, timeout=60) as client:
        yield client


async def started(client: httpx2.AsyncClient, command: str, **more: object) -> str:
    """Start a command in a session of its own; return its id."""
    session = (await client.post("/sessions", json={"repository": "app"})).json()["session_id"]
    asked = {"command": command, "stdin": "open", "wait_seconds": 0, **more}
    answer = await client.post(f"/sessions/{session}/commands", json=asked)
    return str(answer.json()["command_id"])


@contextlib.asynccontextmanager
async def stream(
    root: str, token: str, command_id: str, query: str = "", **options: Any
) -> AsyncIterator[ClientConnection]:
    url = f"{root.replace('http:', 'ws:')}/commands/{command_id}/stream{query}"
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with anyio.fail_after(SECONDS):
        async with connect(url, additional_headers=headers, **options) as socket:
            yield socket


async def until_printed(socket: ClientConnection, text: bytes) -> bytes:
    """Read until the output so far ends with a text; return it."""
    seen = b""
    while not seen.endswith(text):
        message = await socket.recv()
        seen += message if isinstance(message, bytes) else b""
    return seen


async def answer(socket: ClientConnection) -> dict[str, Any]:
    """Return the next message that answers one of the client's."""
    while True:
        message = await socket.recv()
        if isinstance(message, str):
            said: dict[str, Any] = json.loads(message)
            if said["type"] in ("taken", "error"):
                return said


async def rest(socket: ClientConnection) -> tuple[bytes, list[dict[str, Any]], int | None]:
    """Read to the end; return the output, the texts, and the close code."""
    output, said = b"", []
    with contextlib.suppress(ConnectionClosed):
        while True:
            message = await socket.recv()
            if isinstance(message, bytes):
                output += message
            else:
                said.append(json.loads(message))
    return output, said, socket.close_code


async def refused(root: str, token: str, command_id: str, query: str = "", **options: Any) -> int:
    with pytest.raises(InvalidStatus) as refusal:
        async with stream(root, token, command_id, query, **options):
            pass
    return refusal.value.response.status_code


async def test_output_comes_while_it_is_written_and_the_end_says_how_it_ended(
    root: str, token: str, ada: httpx2.AsyncClient
) -> None:
    command = await started(ada, 'echo one; read line; echo "got $line"; exit 3')
    async with stream(root, token, command) as socket:
        assert await until_printed(socket, b"one\n") == b"one\n"
        await socket.send(json.dumps({"type": "input", "text": "word\n"}))
        output, said, code = await rest(socket)
    assert output == b"got word\n"
    assert {"type": "taken"} in said
    last = [message for message in said if message["type"] == "state"][-1]
    assert (last["command"]["outcome"], last["command"]["exit_code"]) == ("failed", 3)
    assert "output" not in last["command"]
    assert code == 1000


async def test_a_stream_begins_where_one_left_off(
    root: str, token: str, ada: httpx2.AsyncClient
) -> None:
    command = await started(ada, "printf 0123456789", wait_seconds=20)
    for query, expected in (("", b"0123456789"), ("?offset=4", b"456789"), ("?offset=99", b"")):
        async with stream(root, token, command, query) as socket:
            output, said, code = await rest(socket)
        assert (output, code) == (expected, 1000)
        assert said[0]["command"]["state"] == "finished"


async def test_every_byte_of_much_output_comes_in_order(
    root: str, token: str, ada: httpx2.AsyncClient
) -> None:
    command = await started(ada, "seq 300000; printf '\\377\\000'")
    async with stream(root, token, command) as socket:
        output, _, code = await rest(socket)
    expected = "".join(f"{number}\n" for number in range(1, 300_001)).encode() + b"\xff\0"
    assert output == expected
    assert code == 1000


async def test_a_terminal_is_given_another_size_and_keys(
    root: str, token: str, ada: httpx2.AsyncClient
) -> None:
    command = await started(ada, "echo on; read line; stty size; cat", tty=True, stdin=None)
    async with stream(root, token, command) as socket:
        await until_printed(socket, b"on\n")
        await socket.send(json.dumps({"type": "resize", "size": [100, 30]}))
        assert await answer(socket) == {"type": "taken"}
        await socket.send(json.dumps({"type": "input", "key": "enter"}))
        await until_printed(socket, b"30 100\n")
        await socket.send(json.dumps({"type": "input", "key": "ctrl-d"}))
        *_, code = await rest(socket)
    assert code == 1000


@pytest.mark.parametrize(
    "message",
    ["", "{", "[]", "null", '"input"', '{"type": "shout"}', '{"type": ["input"]}',
     '{"type": "input"}', '{"type": "input", "text": 5}',
     '{"type": "input", "text": "x", "command_id": "c"}',
     '{"type": "resize", "size": [0, 0]}', '{"type": "resize", "size": [80, 24]}',
     '{"type": "input", "text": "\\ud800"}', "[" * 100_000],
)  # fmt: skip
async def test_a_message_that_is_none_is_answered_and_the_stream_goes_on(
    root: str, token: str, ada: httpx2.AsyncClient, message: str
) -> None:
    command = await started(ada, "echo on; read line; echo off")
    async with stream(root, token, command) as socket:
        await until_printed(socket, b"on\n")
        await socket.send(message)
        said = await answer(socket)
        assert said["type"] == "error"
        assert said["error"]["message"]
        await socket.send(json.dumps({"type": "input", "text": "\n"}))
        output, _, code = await rest(socket)
    assert (output, code) == (b"off\n", 1000)


async def test_bytes_and_messages_without_measure_end_the_stream(
    root: str, token: str, ada: httpx2.AsyncClient
) -> None:
    command = await started(ada, "read line")
    for message, expected in ((b"x", 1003), ("x" * (2 << 20), 1009)):
        async with stream(root, token, command) as socket:
            await socket.send(message)
            *_, code = await rest(socket)
        assert code == expected


async def test_a_page_sends_its_token_as_a_subprotocol_and_only_of_an_allowed_origin(
    root: str, token: str, ada: httpx2.AsyncClient
) -> None:
    command = await started(ada, "echo one")
    offered: Any = ["bearer", token]
    async with stream(root, "", command, subprotocols=offered) as socket:
        assert socket.subprotocol == "bearer"
        assert (await rest(socket))[0] == b"one\n"
    evil: Any = "https://evil.example.com"
    assert await refused(root, "", command, subprotocols=offered, origin=evil) == 403
    assert await refused(root, "", command) == 401
    assert await refused(root, "", command, f"?token={token}") == 401


async def test_a_stream_is_its_owners_and_typing_needs_its_scope(
    root: str, token: str, ada: httpx2.AsyncClient, services: Services
) -> None:
    command = await started(ada, "read line")
    assert await refused(root, await secret(services, "bob"), command) == 404
    assert await refused(root, token, "c_none") == 404
    reader = await secret(services, "ada-reads", owner="ada", scopes=["session:read"])
    async with stream(root, reader, command) as socket:
        await socket.send(json.dumps({"type": "input", "text": "x\n"}))
        said = await answer(socket)
    assert said["error"]["scope"] == "command:run"
    blind = await secret(services, "ada-blind", owner="ada", scopes=["command:run"])
    assert await refused(root, blind, command) == 403


@pytest.mark.parametrize(
    "query", ["?offset=-1", "?offset=x", "?offset=1e3", "?ofset=1", "?offset=" + "9" * 40]
)
async def test_an_offset_that_is_none_is_refused(
    root: str, token: str, ada: httpx2.AsyncClient, query: str
) -> None:
    command = await started(ada, "true")
    assert await refused(root, token, command, query) == 422


async def test_without_a_websocket_the_answer_says_what_it_is(
    root: str, ada: httpx2.AsyncClient
) -> None:
    answer = await ada.get(f"/commands/{await started(ada, 'true')}/stream")
    assert (answer.status_code, answer.headers["upgrade"]) == (426, "websocket")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_revoked_token_ends_its_streams(
    root: str, token: str, ada: httpx2.AsyncClient, services: Services
) -> None:
    command = await started(ada, "read line")
    async with stream(root, token, command) as socket:
        await services.tokens.revoke(LOCAL, "ada")
        _, _, code = await rest(socket)
        assert code == 1008
        assert "revoked" in (socket.close_reason or "")


async def test_a_server_that_ends_says_so_and_the_command_goes_on(
    services: Services, settings: Settings, upstream: Upstream, token: str
) -> None:
    await services.repositories.init(LOCAL, RepositoryInit(url=str(upstream.path), name="app"))
    codes: list[int | None] = []
    async with anyio.create_task_group() as tasks:

        async def reading(
            root: str, command: str, *, task_status: anyio.abc.TaskStatus[None]
        ) -> None:
            async with stream(root, token, command) as socket:
                task_status.started()
                codes.append((await rest(socket))[2])

        async with serving(services, settings) as url:
            root = url.removesuffix("/mcp") + "/v1"
            headers = {"Authorization": f"Bearer {token}"}
            async with httpx2.AsyncClient(base_url=root, headers=headers, timeout=60) as client:
                command = await started(client, "read line")
            await tasks.start(reading, root, command)
    assert codes == [1012]
    principal = (await services.tokens.verify(token)).principal  # type: ignore[union-attr]
    followed = await services.commands.follow(principal, command, 0)
    assert followed.command.state != "finished"
