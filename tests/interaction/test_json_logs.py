"""``serve --log-format json`` as something that collects logs reads it: a true process's lines."""

import json
import signal
from pathlib import Path
from typing import Any

import httpx2
import pytest
from websockets.asyncio.client import connect

from tests.clients import Agent, http_client
from tests.operator import SECONDS, Operator, Serving
from tests.upstream import FIX, Upstream

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

SECRET_VALUE = "hunter2-in-the-environment"


@pytest.fixture
def operator(tmp_path: Path, upstream: Upstream) -> Operator:
    operator = Operator(tmp_path / "data")
    made = operator.does("call", "repository_init", f"url={upstream.path}", "name=app",
                         "--isolation", "none")  # fmt: skip
    assert made.returncode == 0, made.stderr
    return operator


async def log_of(server: Serving) -> list[dict[str, Any]]:
    """End a server; return what it has said, line by line."""
    server.process.send_signal(signal.SIGTERM)
    assert await server.ended() == 0
    assert server.process.stderr is not None
    rest = server.process.stderr.read()
    return [json.loads(line) for line in [server.said, *rest.splitlines()]]


async def test_each_call_and_each_end_of_a_command_is_a_line_with_its_ids(
    operator: Operator,
) -> None:
    token = operator.token("ada")
    with operator.serving("--isolation", "none", "--log-format", "json") as server:
        async with http_client(server.url, token) as client:
            agent = Agent(client)
            session = (await agent.call("session_create", repository="app"))["session_id"]
            ran = await agent.call("command_run", session_id=session, command="exit 7")
            await agent.refused("command_wait", command_id="c_none")
        root = server.url.removesuffix("/mcp")
        async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}) as http:
            answer = await http.get(f"{root}/v1/sessions")
        lines = await log_of(server)
    assert all({"time", "level", "message", "event"} <= line.keys() for line in lines)
    first, *_, last = lines
    assert (first["event"], first["url"], first["isolation"]) == ("serving", server.url, "none")
    assert last["event"] == "ended"
    calls = [line for line in lines if line["event"] == "call"]
    [run] = [line for line in calls if line["operation"] == "command_run"]
    assert run["command_id"] == ran["command_id"]
    assert (run["principal"], run["outcome"], run["peer"]) == ("ada", "done", "127.0.0.1")
    assert 0 < run["seconds"] < SECONDS
    [missing] = [line for line in calls if line["operation"] == "command_wait"]
    assert (missing["outcome"], missing["command_id"]) == ("not_found", "c_none")
    [listed] = [line for line in calls if line["operation"] == "session_get"]
    assert listed["request_id"] == answer.headers["x-request-id"]
    [end] = [line for line in lines if line["event"] == "command_ended"]
    assert (end["command_id"], end["session_id"]) == (ran["command_id"], session)
    assert (end["outcome"], end["kind"], end["principal"]) == ("failed", "run", "ada")


async def test_no_token_environment_patch_or_command_is_ever_in_a_line(operator: Operator) -> None:
    token = operator.token("ada")
    with operator.serving("--isolation", "none", "--log-format", "json") as server:
        async with http_client(server.url, token) as client:
            agent = Agent(client)
            session = (await agent.call("session_create", repository="app", patch=FIX,
                                        env={"KEY": SECRET_VALUE}))["session_id"]  # fmt: skip
            ran = await agent.call("command_run", session_id=session, command="echo xyzzy $PASS",
                                   env={"PASS": SECRET_VALUE})  # fmt: skip
            # A token where an id should be, a name that is none, a patch that does not apply.
            await agent.refused("command_wait", command_id=token)
            await agent.refused("session_get", session_id=f"s_{SECRET_VALUE}")
            await agent.refused("session_create", repository=f"https://u:{SECRET_VALUE}@localhost/")
            await agent.refused("file_edit", session_id=session, patch=FIX)
        root = server.url.removesuffix("/mcp")
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx2.AsyncClient(headers=headers, timeout=SECONDS) as http:
            await http.get(f"{root}/v1/sessions/{token}?token={token}")
            await http.post(f"{root}/v1/sessions", content=f'{{"env": "{SECRET_VALUE}"'.encode())
            await http.post(server.url, json={"jsonrpc": "2.0", "id": 1, "method": token})
        stream = f"{root.replace('http', 'ws', 1)}/v1/commands/{ran['command_id']}/stream"
        async with connect(stream, additional_headers=headers) as socket:
            await socket.recv()
        with pytest.raises(Exception, match="HTTP 4"):
            async with connect(f"{stream}?token={token}", additional_headers=headers):
                pass
        said = json.dumps(await log_of(server))
    for secret in (token, SECRET_VALUE, "xyzzy", "return a + b"):
        assert secret not in said


async def test_a_reader_that_is_stuck_holds_no_call(operator: Operator) -> None:
    token = operator.token("ada")
    with operator.serving(
        "--isolation", "none", "--log-format", "json", DEBUG_MCP_HTTP_REQUESTS_BURST="1000"
    ) as server:
        async with httpx2.AsyncClient(
            headers={"Authorization": f"Bearer {token}"}, timeout=SECONDS
        ) as http:
            # Nobody reads: a pipe takes 64 KiB, and each line is longer than 200 bytes.
            for _ in range(400):
                answer = await http.get(f"{server.url.removesuffix('/mcp')}/v1/server")
                assert answer.status_code == 200


def test_without_it_the_log_stays_text(operator: Operator) -> None:
    with operator.serving("--isolation", "none") as server:
        assert server.said.startswith("debug-mcp ")
    wrong = operator.does("serve", "--log-format", "xml")
    assert wrong.returncode == 2
    assert "--log-format" in wrong.stderr
