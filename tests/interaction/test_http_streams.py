"""Streams and long calls over HTTP: how they end, and that what they were about does not."""

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import httpx2
import pytest

from debug_mcp.auth.principal import LOCAL
from debug_mcp.config import IsolationPolicy, Layout, Settings
from debug_mcp.models.repositories import RepositoryInit
from debug_mcp.service.services import Services
from tests.clients import Agent, http_client, secret, serving
from tests.files import appears
from tests.service.house import GATED
from tests.upstream import Upstream

pytestmark = pytest.mark.anyio

SECONDS = 20


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", isolation=IsolationPolicy.NONE, grace_seconds=1)


@pytest.fixture
async def url(services: Services, settings: Settings, upstream: Upstream) -> AsyncIterator[str]:
    await services.repositories.init(LOCAL, RepositoryInit(url=str(upstream.path), name="app"))
    async with serving(services, settings) as url:
        yield url


class Legacy:
    """A legacy MCP session, by hand."""

    def __init__(self, http: httpx2.AsyncClient, url: str, session: str) -> None:
        self.http = http
        self.url = url
        self.session = session

    def headers(self, **more: str) -> dict[str, str]:
        return {
            "Mcp-Session-Id": self.session,
            "Accept": "application/json, text/event-stream",
            **more,
        }


@contextlib.asynccontextmanager
async def legacy(url: str, token: str) -> AsyncIterator[Legacy]:
    """Open a legacy session."""
    async with httpx2.AsyncClient(
        headers={"Authorization": f"Bearer {token}"}, timeout=httpx2.Timeout(SECONDS)
    ) as http:
        answer = await http.post(
            url,
            headers={"Accept": "application/json, text/event-stream"},
            json=message(
                "initialize",
                protocolVersion="2025-06-18",
                capabilities={},
                clientInfo={"name": "raw", "version": "1"},
            ),
        )
        assert answer.status_code == 200
        yield Legacy(http, url, answer.headers["mcp-session-id"])


def message(method: str, **params: object) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


async def test_a_legacy_session_belongs_to_the_token_that_opened_it(
    url: str, services: Services
) -> None:
    async with legacy(url, await secret(services, "ada")) as ada:
        listed = await ada.http.post(url, headers=ada.headers(), json=message("tools/list"))
        assert listed.status_code == 200
        bob = {"Authorization": f"Bearer {await secret(services, 'bob')}"}
        twin = {"Authorization": f"Bearer {await secret(services, 'twin', owner='ada')}"}
        for other in (bob, twin):
            for method in ("POST", "DELETE", "GET"):
                taken = await ada.http.request(
                    method, url, headers=ada.headers(**other), json=message("tools/list")
                )
                assert taken.status_code == 404
        again = await ada.http.post(url, headers=ada.headers(), json=message("tools/list"))
        assert again.status_code == 200


async def test_revoking_a_token_ends_its_open_streams_and_no_others(
    url: str, services: Services
) -> None:
    async with (
        legacy(url, await secret(services, "ada")) as ada,
        legacy(url, await secret(services, "bob")) as bob,
        ada.http.stream("GET", url, headers=ada.headers()) as hers,
        bob.http.stream("GET", url, headers=bob.headers()) as his,
    ):
        assert (hers.status_code, his.status_code) == (200, 200)
        await services.tokens.revoke(LOCAL, "ada")
        with anyio.fail_after(SECONDS):
            assert [chunk async for chunk in hers.aiter_bytes()] == []
        still = await bob.http.post(url, headers=bob.headers(), json=message("tools/list"))
        assert still.status_code == 200
        assert not his.is_closed


async def test_a_stream_ends_when_its_token_expires(url: str, services: Services) -> None:
    token = await secret(services, "ada", expires_in_seconds=1.5)
    async with legacy(url, token) as ada, ada.http.stream("GET", url, headers=ada.headers()) as one:
        assert one.status_code == 200
        with anyio.fail_after(SECONDS):
            assert [chunk async for chunk in one.aiter_bytes()] == []


async def test_a_call_whose_token_is_revoked_is_refused_and_its_command_goes_on(
    url: str, services: Services, settings: Settings
) -> None:
    token = await secret(services, "ada")
    async with http_client(url, token) as client:
        session = (await Agent(client).call("session_create", repository="app"))["session_id"]
    tree = Layout(settings.data_dir).sessions / session / "tree"
    modern = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call"}
    arguments = {"session_id": session, "command": GATED, "wait_seconds": 50}
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    answers: list[httpx2.Response] = []
    async with (
        httpx2.AsyncClient(timeout=httpx2.Timeout(SECONDS)) as http,
        anyio.create_task_group() as tasks,
    ):

        async def run() -> None:
            answers.append(
                await http.post(
                    url,
                    headers={
                        "Authorization": f"Bearer {token}",
                        "Accept": "application/json, text/event-stream",
                        "Mcp-Name": "command_run",
                        **modern,
                    },
                    json=message("tools/call", name="command_run", arguments=arguments, _meta=meta),
                )
            )

        tasks.start_soon(run)
        await appears(tree / "started")
        await services.tokens.revoke(LOCAL, "ada")
    assert answers[0].status_code == 401
    assert json.loads(answers[0].text)["error"]["code"] == "unauthenticated"
    (tree / "go").touch()
    async with http_client(url, await secret(services, "new", owner="ada")) as client:
        refused = await Agent(client).refused("command_output", command_id="c_none")
        [command] = refused["error"]["candidates"]
        view = await Agent(client).call("command_wait", command_id=command)
    assert view["exit_code"] == 5


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_client_that_goes_away_in_mid_call_loses_nothing(
    url: str, services: Services, settings: Settings, mode: str
) -> None:
    token = await secret(services, "ada")
    async with http_client(url, token) as client:
        session = (await Agent(client).call("session_create", repository="app"))["session_id"]
    tree = Layout(settings.data_dir).sessions / session / "tree"
    asked = {"session_id": session, "command": GATED, "idempotency_key": "once", "wait_seconds": 50}

    async def run_and_be_cut_off(scope: anyio.CancelScope) -> None:
        with scope:
            async with http_client(url, token, mode) as client:
                await client.call_tool("command_run", asked)

    scope = anyio.CancelScope()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run_and_be_cut_off, scope)
        await appears(tree / "started")
        scope.cancel()
    (tree / "go").touch()
    async with http_client(url, token, mode) as client:
        view = await Agent(client).call("command_run", **asked)
        assert (view["exit_code"], view["output"]["text"]) == (5, "went on\n")
        refused = await Agent(client).refused("command_output", command_id="c_none")
        assert refused["error"]["candidates"] == [view["command_id"]]


async def test_idle_connections_keep_nobody_waiting(url: str, services: Services) -> None:
    host, port = url.split("/")[2].split(":")
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(200):
            await stack.enter_async_context(await anyio.connect_tcp(host, int(port)))
        async with http_client(url, await secret(services, "ada")) as client:
            assert await Agent(client).call("server_info")
