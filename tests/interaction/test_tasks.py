"""Long commands as tasks, for clients that declare the extension."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import anyio
import pytest
from mcp import Client
from mcp.client.extension import advertise
from mcp.shared.exceptions import MCPError
from mcp.types import CallToolResult, Request, RequestParams, Result
from pydantic import ConfigDict, Field

from debug_mcp.app import open_services
from debug_mcp.auth.principal import LOCAL, Principal, Scope
from debug_mcp.config import IsolationPolicy, Settings
from debug_mcp.interfaces.server import build_server
from debug_mcp.interfaces.tasks import EXTENSION
from tests.clients import Agent, connect, stdio_parameters
from tests.operator import Operator
from tests.upstream import Upstream

pytestmark = pytest.mark.anyio

GATED = "until [ -e go ]; do sleep 0.01; done; echo went on"


class _Anything(Result):
    model_config = ConfigDict(extra="allow")


class _TaskParams(RequestParams):
    task_id: str = Field(alias="taskId")


class _TaskRequest(Request[_TaskParams, str]):
    method: str
    params: _TaskParams


class _CallParams(RequestParams):
    name: str
    arguments: dict[str, Any]


class _CallRequest(Request[_CallParams, Literal["tools/call"]]):
    method: Literal["tools/call"] = "tools/call"
    params: _CallParams


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", isolation=IsolationPolicy.NONE, grace_seconds=1)


@asynccontextmanager
async def following(settings: Settings, kind: str, who: Principal = LOCAL) -> AsyncIterator[Client]:
    """Connect a client that says that it follows tasks."""
    extensions = [advertise(EXTENSION)]
    if kind == "stdio":
        async with Client(stdio_parameters(settings), extensions=extensions) as client:
            yield client
        return
    async with (
        open_services(settings) as services,
        Client(build_server(services, lambda: who), extensions=extensions) as client,
    ):
        yield client


async def ask(client: Client, method: str, task_id: str) -> dict[str, Any]:
    request = _TaskRequest(method=method, params=_TaskParams(taskId=task_id))
    result = await client.session.send_request(request, _Anything)
    return result.model_dump(by_alias=True)


async def begin(client: Client, session: str) -> dict[str, Any]:
    """Run a command that waits for ``go``; it becomes a task."""
    params = _CallParams(name="command_run", arguments={"session_id": session, "command": GATED})
    result = await client.session.send_request(
        _CallRequest(params=params),
        _Anything,
    )
    return result.model_dump(by_alias=True)


async def ended(client: Client, task_id: str) -> dict[str, Any]:
    with anyio.fail_after(20):
        while (task := await ask(client, "tasks/get", task_id))["status"] == "working":
            await anyio.sleep(0.05)
    return task


@pytest.mark.parametrize("kind", ["memory", "stdio"])
async def test_a_long_command_is_a_task_that_outlives_its_server(
    kind: str, settings: Settings, upstream: Upstream
) -> None:
    async with following(settings, kind) as client:
        agent = Agent(client)
        session = (await agent.call("session_create", repository=str(upstream.path)))["session_id"]
        task = await begin(client, session)
        assert (task["resultType"], task["status"]) == ("task", "working")
        assert len(task["taskId"]) >= 32
        assert (await ask(client, "tasks/get", task["taskId"]))["status"] == "working"
        await ask(client, "tasks/update", task["taskId"])
    async with following(settings, kind) as client:
        await Agent(client).call(
            "command_run", session_id=session, command="touch go", parallel=True, wait_seconds=20
        )
        done = await ended(client, task["taskId"])
    assert done["status"] == "completed"
    result = CallToolResult.model_validate(done["result"])
    assert result.structured_content["output"]["text"] == "went on\n"


async def test_cancelling_a_task_cancels_its_command(
    settings: Settings, upstream: Upstream
) -> None:
    async with following(settings, "memory") as client:
        agent = Agent(client)
        session = (await agent.call("session_create", repository=str(upstream.path)))["session_id"]
        task = await begin(client, session)
        await ask(client, "tasks/cancel", task["taskId"])
        done = await ended(client, task["taskId"])
    assert done["status"] == "cancelled"
    assert done["result"]["structuredContent"]["outcome"] == "cancelled"


async def test_a_short_command_and_one_with_a_wait_of_its_own_are_answered_as_ever(
    settings: Settings, upstream: Upstream
) -> None:
    async with following(settings, "memory") as client:
        agent = Agent(client)
        session = (await agent.call("session_create", repository=str(upstream.path)))["session_id"]
        short = await agent.call("command_run", session_id=session, command="true")
        assert short["outcome"] == "succeeded"
        running = await agent.call("command_run", session_id=session, command=GATED, wait_seconds=0)
        assert running["state"] != "finished"


async def test_tasks_are_the_callers_own_and_only_for_those_who_declare_them(
    settings: Settings, upstream: Upstream
) -> None:
    async with following(settings, "memory") as client:
        agent = Agent(client)
        session = (await agent.call("session_create", repository=str(upstream.path)))["session_id"]
        task = (await begin(client, session))["taskId"]
    stranger = Principal("stranger", frozenset(Scope))
    async with following(settings, "memory", stranger) as client:
        for unknown in (task, "nonsense"):
            with pytest.raises(MCPError) as caught:
                await ask(client, "tasks/get", unknown)
            assert caught.value.error.code == -32602
    refused = Operator(settings.data_dir).does("audit", "--principal", "stranger", "--json").stdout
    tried = [json.loads(line) for line in refused.splitlines()]
    assert [(e["operation"], e["outcome"]) for e in tried] == [("task", "not_found")] * 2
    async with connect("memory-modern", settings) as agent:
        with pytest.raises(MCPError) as caught:
            await ask(agent.client, "tasks/get", task)
        assert caught.value.error.code == -32021
        assert EXTENSION in (agent.client.server_capabilities.extensions or {})
    async with connect("memory-legacy", settings) as agent:
        with pytest.raises(MCPError) as caught:
            await ask(agent.client, "tasks/get", task)
        assert caught.value.error.code == -32601
        assert not agent.client.server_capabilities.extensions
