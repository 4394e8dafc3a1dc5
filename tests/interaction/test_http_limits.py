"""A caller that asks for too much is told so in words that its client shows, and others are not."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import httpx2
import pytest
from mcp.shared.exceptions import MCPError

from debug_mcp.app import open_services
from debug_mcp.auth.principal import LOCAL
from debug_mcp.config import IsolationPolicy, Settings
from debug_mcp.models.repositories import RepositoryInit, RepositoryList
from debug_mcp.service.services import Services
from tests.clients import Agent, http_client, secret, serving
from tests.files import appears
from tests.operator import SECONDS
from tests.upstream import Upstream

pytestmark = pytest.mark.anyio

# Nothing comes back within a test at this rate.
SLOW = 0.001


@pytest.fixture(params=["auto", "legacy"])
def mode(request: pytest.FixtureRequest) -> str:
    value: str = request.param
    return value


@contextlib.asynccontextmanager
async def a_server(
    tmp_path: Path, per_second: float, burst: int, at_once: int = 100
) -> AsyncIterator[tuple[Services, str]]:
    settings = Settings(
        data_dir=tmp_path / "data",
        isolation=IsolationPolicy.NONE,
        http_requests_per_second=per_second,
        http_requests_burst=burst,
        http_requests_at_once=at_once,
    )
    async with open_services(settings) as services, serving(services, settings) as url:
        yield services, url


async def until_refused(agent: Agent, most: int) -> dict[str, object]:
    """Call until a call is refused; return what it said."""
    for _ in range(most):
        result = await agent.client.call_tool("server_info", {})
        if result.is_error:
            error: dict[str, object] = result.structured_content["error"]
            return error
    raise AssertionError("it was never refused")


async def test_an_agent_beyond_its_rate_reads_so_in_the_tools_answer_and_others_go_on(
    tmp_path: Path, mode: str
) -> None:
    async with (
        a_server(tmp_path, SLOW, 12) as (services, url),
        http_client(url, await secret(services, "ada"), mode) as ada,
        http_client(url, await secret(services, "bob"), mode) as bob,
    ):
        error = await until_refused(Agent(ada), 13)
        assert (error["code"], error["message"]) == ("busy", "too many requests in a short time")
        assert error["retry_after_seconds"]
        with pytest.raises(MCPError, match="too many requests"):
            await ada.list_resources()
        assert await Agent(bob).call("server_info")


async def test_what_is_refused_does_nothing(tmp_path: Path, mode: str) -> None:
    async with (
        a_server(tmp_path, SLOW, 12) as (services, url),
        http_client(url, await secret(services, "ada"), mode) as ada,
    ):
        await until_refused(Agent(ada), 13)
        refused = await Agent(ada).refused("repository_init", url="https://example.org/x.git")
        assert refused["error"]["code"] == "busy"
        assert "busy: too many requests" in refused["text"]
        assert not (await services.repositories.listing(LOCAL, RepositoryList())).repositories


async def test_an_agent_that_waits_is_served_again(tmp_path: Path, mode: str) -> None:
    async with (
        a_server(tmp_path, 5, 12) as (services, url),
        http_client(url, await secret(services, "ada"), mode) as ada,
    ):
        await until_refused(Agent(ada), 60)
        with anyio.fail_after(SECONDS):
            while (await ada.call_tool("server_info", {})).is_error:
                await anyio.sleep(0.3)


async def test_whoever_goes_on_all_the_same_is_cut_off_with_429(tmp_path: Path) -> None:
    async with a_server(tmp_path, SLOW, 3) as (services, url):
        headers = {"Authorization": f"Bearer {await secret(services, 'ada')}"}
        ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        async with httpx2.AsyncClient(headers=headers) as client:
            statuses = [(await client.post(url, json=ping)).status_code for _ in range(8)]
        assert 429 not in statuses[:6]
        assert statuses[6:] == [429, 429]


async def test_an_agent_with_too_much_under_way_reads_so_too(
    tmp_path: Path, upstream: Upstream
) -> None:
    begun = tmp_path / "begun"
    async with a_server(tmp_path, 1000, 1000, at_once=1) as (services, url):
        await services.repositories.init(LOCAL, RepositoryInit(url=str(upstream.path), name="app"))
        token = await secret(services, "ada")
        async with (
            http_client(url, token) as first,
            http_client(url, token) as second,
            anyio.create_task_group() as tasks,
        ):
            session = (await Agent(first).call("session_create"))["session_id"]
            asked = {"session_id": session, "command": f"touch {begun}; cat", "stdin": "open"}
            tasks.start_soon(first.call_tool, "command_run", {**asked, "wait_seconds": 50})
            with anyio.fail_after(SECONDS):
                await appears(begun)
            refused = await Agent(second).refused("server_info")
            assert refused["error"]["code"] == "busy"
            assert "1 requests of yours are under way" in refused["text"]
            tasks.cancel_scope.cancel()
