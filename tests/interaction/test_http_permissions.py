"""Every route of REST with every single scope, and on what is another's, over real sockets."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp.shared.exceptions import MCPError

from debug_mcp.auth.principal import LOCAL, Scope
from debug_mcp.config import IsolationPolicy, Settings
from debug_mcp.interfaces.http_routes import document
from debug_mcp.interfaces.resources import SCOPES
from debug_mcp.models.repositories import RepositoryInit
from debug_mcp.operations.catalogue import REST
from debug_mcp.operations.registry import named
from debug_mcp.service.services import Services
from tests.clients import Agent, http_client, secret, serving
from tests.operations.test_arguments import VALID
from tests.upstream import Upstream

pytestmark = pytest.mark.anyio

# What it says in HTTP comes before who may ask: a stream is no GET.
STREAM = "/v1/commands/{command_id}/stream"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", isolation=IsolationPolicy.NONE, grace_seconds=1)


@pytest.fixture
async def root(services: Services, settings: Settings, upstream: Upstream) -> AsyncIterator[str]:
    await services.repositories.init(LOCAL, RepositoryInit(url=str(upstream.path), name="app"))
    async with serving(services, settings) as url:
        yield url.removesuffix("/mcp")


@pytest.fixture
async def adas(root: str, services: Services) -> dict[str, str]:
    """What is ada's: a session, a command, an artifact, and the names of what is everybody's."""
    async with http_client(f"{root}/mcp", await secret(services, "ada")) as client:
        agent = Agent(client)
        session = (await agent.call("session_create", repository="app"))["session_id"]
        ran = await agent.call("command_run", session_id=session, command="echo mine")
        kept = await agent.call("artifact_list", session_id=session, collect=["*.py"])
    return {
        "session_id": session,
        "command_id": ran["command_id"],
        "artifact_id": kept["artifacts"][0]["artifact_id"],
        "debug_id": "d_none",
        "compare_id": "x_none",
        "flaky_id": "f_none",
        "bisect_id": "b_none",
        "evidence_id": "x_none",
        "name": "none",
        "token": "none",
    }


Route = tuple[str, str, list[str], dict[str, Any] | None]


def routes() -> list[Route]:
    """Return what the OpenAPI document says of each: method, path, scopes; and a body that fits."""
    found: list[Route] = []
    for path, methods in document(REST)["paths"].items():
        for method, described in methods.items():
            if path == STREAM:
                continue
            [needed] = described["security"]
            name = described["operationId"].removesuffix("_all")
            body = None
            if "requestBody" in described:
                name = re.sub("_(post|get)$", "", name)
                inside = re.findall(r"{(\w+)}", path)
                valid = VALID[named(REST, name).name]
                body = {key: value for key, value in valid.items() if key not in inside}
            found.append((method, path, needed["bearer"], body))
    return found


async def ask(client: httpx2.AsyncClient, route: Route, ids: dict[str, str]) -> httpx2.Response:
    method, path, _, body = route
    return await client.request(method, path.format(**ids), json=body)


def script(root: str, token: str) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        base_url=root, headers={"Authorization": f"Bearer {token}"}, timeout=60
    )


@pytest.mark.parametrize("scope", Scope)
async def test_a_single_scope_opens_the_routes_that_need_no_other(
    root: str, services: Services, adas: dict[str, str], scope: Scope
) -> None:
    tried = routes()
    assert len(tried) > 30
    async with script(root, await secret(services, "bob", scopes=[scope])) as bob:
        for route in tried:
            answer = await ask(bob, route, adas)
            assert answer.status_code < 500, (route, answer.text)
            refused = answer.status_code == 403
            assert refused == (route[2] != [scope]), (route, answer.text)
            if refused:
                assert answer.json()["scope"] in route[2]


async def test_no_route_shows_what_is_anothers_to_a_token_with_every_scope(
    root: str, services: Services, adas: dict[str, str]
) -> None:
    mine = {adas[name] for name in ("session_id", "command_id", "artifact_id")}
    async with script(root, await secret(services, "bob")) as bob:
        for route in routes():
            if "audit" in route[1] or "token" in route[1]:
                continue  # they are of the whole server, and for administrators
            answer = await ask(bob, route, adas)
            if re.search(r"{(session|command|artifact|debug|compare)_id}", route[1]):
                assert answer.status_code in (404, 422), (route, answer.text)
            # A refusal repeats what was asked for.
            assert answer.status_code >= 400 or not [one for one in mine if one in answer.text]
    async with script(root, await secret(services, "ada2", owner="ada")) as ada:
        view = (await ada.get(f"/v1/commands/{adas['command_id']}")).json()
        assert (view["state"], view["output"]["text"]) == ("finished", "mine\n")
        assert (await ada.get(f"/v1/sessions/{adas['session_id']}")).json()["state"] == "ready"


@pytest.mark.parametrize("scope", Scope)
async def test_a_single_scope_reads_the_resources_that_need_it(
    root: str, services: Services, adas: dict[str, str], scope: Scope
) -> None:
    token = await secret(services, "bob", scopes=[scope])
    async with http_client(f"{root}/mcp", token) as bob:
        for template, needed in SCOPES.items():
            uri = template.format(**{**adas, "+name": "x.py"})
            with pytest.raises(MCPError) as caught:
                await bob.read_resource(uri)
            assert caught.value.error.data is not None
            code = caught.value.error.data["error"]["code"]
            assert code == ("not_found" if scope is needed else "permission_denied"), uri
