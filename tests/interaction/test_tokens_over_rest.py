"""An administrator elsewhere makes, looks after and ends tokens of others, over a real socket."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from debug_mcp.auth.principal import LOCAL, Scope
from debug_mcp.auth.tokens import new_secret
from debug_mcp.config import IsolationPolicy, Settings
from debug_mcp.models.network import NetworkPolicy
from debug_mcp.models.repositories import RepositoryInit
from debug_mcp.models.tokens import TokenCreate
from debug_mcp.operations.catalogue import ADMIN, CORE
from debug_mcp.service.services import Services
from tests.clients import Agent, http_client, script, secret, serving
from tests.operator import SECONDS, Operator
from tests.upstream import Upstream

pytestmark = pytest.mark.anyio

READER = {"name": "reader", "scopes": ["session:read"]}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", isolation=IsolationPolicy.NONE, grace_seconds=1)


@pytest.fixture
async def root(services: Services, settings: Settings) -> AsyncIterator[str]:
    async with serving(services, settings) as url:
        yield url.removesuffix("/mcp")


@pytest.fixture
async def admin(root: str, services: Services) -> AsyncIterator[httpx2.AsyncClient]:
    async with script(root, await secret(services, "boss")) as client:
        yield client


async def made(admin: httpx2.AsyncClient, **asked: Any) -> dict[str, Any]:
    answer = await admin.post("/tokens", json={**READER, **asked})
    assert answer.status_code == 201, answer.text
    view: dict[str, Any] = answer.json()
    return view


async def test_a_token_lives_from_its_making_to_its_end_over_rest(
    root: str, admin: httpx2.AsyncClient
) -> None:
    answer = await admin.post("/tokens", json=READER)
    token = answer.json()
    where = answer.headers["location"].removeprefix("/v1")
    assert where == f"/tokens/{token['token_id']}"
    async with script(root, token["secret"]) as reader:
        assert (await reader.get("/server")).status_code == 200
        [shown] = (await admin.get(where)).json()["tokens"]
        assert (shown["state"], shown["owner"], "secret" in shown) == ("valid", "reader", False)
        assert shown["last_used_at"]

        rotated = await admin.post(f"{where}/rotate", json={})
        assert (await reader.get("/server")).status_code == 401
    async with script(root, rotated.json()["secret"]) as reader:
        assert (await reader.get("/server")).status_code == 200
        ended = await admin.delete("/tokens/reader")
        assert (ended.status_code, ended.json()["state"]) == (200, "revoked")
        assert (await reader.get("/server")).status_code == 401
    listed = (await admin.get("/tokens")).json()["tokens"]
    assert [token["state"] for token in listed] == ["valid", "revoked"]
    assert "dmcp_" not in str(listed)
    assert (await admin.delete("/tokens/reader")).status_code == 404


async def test_tokens_are_the_administrators_alone(
    root: str, admin: httpx2.AsyncClient, services: Services
) -> None:
    everything_else = [scope for scope in Scope if scope is not Scope.ADMIN]
    token = await secret(services, "ada", scopes=everything_else)
    async with script(root, token) as ada:
        tried = [
            await ada.get("/tokens"),
            await ada.get("/tokens/boss"),
            await ada.post("/tokens", json=READER),
            await ada.post("/tokens/boss/rotate", json={}),
            await ada.delete("/tokens/boss"),
        ]
    for refused in tried:
        assert refused.status_code == 403
        assert 'scope="admin"' in refused.headers["www-authenticate"]
    assert len((await admin.get("/tokens")).json()["tokens"]) == 2


async def test_a_token_made_with_another_is_never_wider(
    root: str, admin: httpx2.AsyncClient
) -> None:
    keeper = await made(
        admin,
        name="keeper",
        scopes=["session:read", "repository:read", "admin"],
        repositories=["app"],
        expires_in_seconds=3600,
        requests_at_once=4,
    )
    async with script(root, keeper["secret"]) as client:
        for wider, field in (
            ({"scopes": ["session:read", "command:run"]}, "scopes"),
            ({"repositories": ["app", "other"]}, "repositories"),
            ({"expires_in_seconds": 7200}, "expires_in_seconds"),
            ({"requests_at_once": 5}, "requests_at_once"),
        ):
            refused = await client.post("/tokens", json={**READER, **wider})
            assert (refused.status_code, refused.json()["field"]) == (403, field), refused.text
        narrower = (await client.post("/tokens", json=READER)).json()
        assert narrower["repositories"] == ["app"]
        assert narrower["expires_at"] == keeper["expires_at"]
        assert narrower["requests_at_once"] == 4
        assert narrower["made_by"] == keeper["token_id"]
        # Who rotates a token holds it: not one that allows more.
        refused = await client.post("/tokens/boss/rotate", json={})
        assert refused.status_code == 403
    assert (await admin.get("/tokens")).status_code == 200


async def test_a_token_has_limits_of_its_own_and_its_owner_others(
    root: str, admin: httpx2.AsyncClient
) -> None:
    slow = await made(admin, name="slow", owner="ada", requests_per_second=0.01)
    fast = await made(admin, name="fast", owner="ada")
    async with script(root, slow["secret"]) as client, script(root, fast["secret"]) as other:
        assert (await client.get("/server")).status_code == 200
        refused = await client.get("/server")
        assert (refused.status_code, refused.json()["code"]) == (429, "busy")
        assert 90 <= int(refused.headers["retry-after"]) <= 100
        assert (await other.get("/server")).status_code == 200


async def test_a_token_may_have_few_requests_under_way(
    root: str, admin: httpx2.AsyncClient
) -> None:
    single = await made(admin, name="single", requests_at_once=1)
    listening = {
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18", "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        },
    }  # fmt: skip
    accept = {"Accept": "application/json, text/event-stream"}
    async with script(root, single["secret"]) as client:
        begun = await client.post(f"{root}/mcp", json=listening, headers=accept)
        session = {"Mcp-Session-Id": begun.headers["mcp-session-id"], **accept}
        async with client.stream("GET", f"{root}/mcp", headers=session) as stream:
            assert stream.status_code == 200
            assert (await client.get("/server")).status_code == 429
            # Its end ends the stream that is open, and nobody else's.
            await admin.delete("/tokens/single")
            with anyio.fail_after(SECONDS):
                async for _ in stream.aiter_bytes():
                    pass


async def test_no_tool_makes_or_shows_a_token(root: str, services: Services) -> None:
    assert not {operation.name for operation in ADMIN} & {operation.name for operation in CORE}
    async with http_client(f"{root}/mcp", await secret(services, "ada")) as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
        assert not [name for name in names if "token" in name]
        refused = await Agent(client).refused("token_list")
        assert refused["error"]["code"] == "invalid_input"


async def test_from_a_first_token_out_of_the_environment_to_a_token_for_each(
    tmp_path: Path,
) -> None:
    first = new_secret()
    operator = Operator(tmp_path / "data")
    with operator.serving("--isolation", "none", DEBUG_MCP_BOOTSTRAP_TOKEN=first) as server:
        root = server.url.removesuffix("/mcp")
        async with script(root, first) as boss:
            ada = await made(boss, name="ada", scopes=["session:read", "admin"])
            assert (await boss.delete("/tokens/bootstrap")).status_code == 200
            assert (await boss.get("/tokens")).status_code == 401
        async with script(root, ada["secret"]) as client:
            # What was made with it stays.
            assert len((await client.get("/tokens")).json()["tokens"]) == 2
    listed = operator.does("token", "list").stdout
    assert "bootstrap" in listed
    assert "revoked" in listed


@pytest.mark.parametrize("on_the_command_line", [False, True])
async def test_revoking_ends_commands_where_that_is_asked_and_only_the_owners(
    tmp_path: Path, upstream: Upstream, on_the_command_line: bool
) -> None:
    operator = Operator(tmp_path / "data")
    boss, ada, bob = [
        operator.token(name, "--scope", ",".join(Scope)) for name in ("boss", "ada", "bob")
    ]
    operator.does("call", "repository_init", f"url={upstream.path}", "name=app")
    with operator.serving("--isolation", "none") as server:
        root = server.url.removesuffix("/mcp")
        async with script(root, ada) as of_ada, script(root, bob) as of_bob:
            running = [await begun(client) for client in (of_ada, of_ada, of_bob)]
        if on_the_command_line:
            said = operator.does("token", "revoke", "ada", "--cancel-commands").stdout
            assert said.endswith("refused; commands asked to end: 2.\n")
        else:
            async with script(root, boss) as client:
                ended = await client.delete("/tokens/ada", params={"cancel_commands": "true"})
                assert ended.json()["cancelled_commands"] == 2
        again = operator.token("ada2", "--owner", "ada")
        async with script(root, again) as of_ada, script(root, bob) as of_bob:
            for command in running[:2]:
                view = (await of_ada.get(f"/commands/{command}?wait_seconds=20")).json()
                assert view["outcome"] == "cancelled"
            assert (await of_bob.get(f"/commands/{running[2]}")).json()["state"] != "finished"
            await of_bob.post(f"/commands/{running[2]}/cancel", json={})


async def begun(client: httpx2.AsyncClient) -> str:
    """Begin a command that goes on until it is ended, in a session of its own; return its id."""
    session = (await client.post("/sessions", json={"repository": "app"})).json()["session_id"]
    asked = {"command": "cat", "stdin": "open", "wait_seconds": 0}
    return str(
        (await client.post(f"/sessions/{session}/commands", json=asked)).json()["command_id"]
    )


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"scopes": ["session:reed"]}, "scopes"),
        ({"scopes": []}, "scopes"),
        ({"name": "a b"}, "name"),
        ({"owner": "local"}, "owner"),
        ({"expires_in_seconds": 0}, "expires_in_seconds"),
        ({"expires_in_seconds": 1e300}, "expires_in_seconds"),
        ({"repositories": []}, "repositories"),
        ({"requests_per_second": -1}, "requests_per_second"),
        ({"scope": ["session:read"]}, "scope"),
    ],
)
async def test_a_wrong_wish_for_a_token_says_what_is_wrong(
    admin: httpx2.AsyncClient, asked: dict[str, Any], field: str
) -> None:
    refused = await admin.post("/tokens", json={**READER, **asked})
    assert (refused.status_code, refused.json()["field"]) == (422, field), refused.text
    assert len((await admin.get("/tokens")).json()["tokens"]) == 1


async def test_a_token_says_who_gets_the_network_within_the_setting(
    root: str, admin: httpx2.AsyncClient, upstream: Upstream, services: Services
) -> None:
    await services.repositories.init(LOCAL, RepositoryInit(url=str(upstream.path), name="app"))
    scopes = ["session:read", "session:write", "command:run", "command:network", "repository:read"]
    # What says nothing of it gives nothing of it.
    refused = await admin.post("/tokens", json={**READER, "scopes": scopes, "network": "ask"})
    assert (refused.status_code, refused.json()["field"]) == (403, "network")
    assert refused.json()["candidates"] == ["off"]
    told = await services.tokens.create(
        LOCAL, TokenCreate(name="keeper", scopes=[*scopes, "admin"], network=NetworkPolicy.ASK)
    )
    async with script(root, told.secret) as keeper:
        wider = await keeper.post("/tokens", json={**READER, "scopes": scopes, "network": "on"})
        assert (wider.status_code, wider.json()["candidates"]) == (403, ["off", "setup", "ask"])
        bare = await keeper.post("/tokens", json={**READER, "network": "setup"})
        assert (bare.status_code, bare.json()["field"]) == (422, "scopes")
        asking = await made(keeper, name="asking", owner="ada", scopes=scopes)
        without = await made(keeper, name="without", owner="ada", scopes=scopes, network="off")
    assert (asking["network"], without["network"]) == ("ask", "off")
    async with script(root, asking["secret"]) as ada, script(root, without["secret"]) as less:
        opened = await ada.post("/sessions", json={"repository": "app"})
        assert opened.status_code == 201, opened.text
        session = opened.json()["session_id"]
        asked = {"command": "true", "network": True, "wait_seconds": 30}
        ran = await ada.post(f"/sessions/{session}/commands", json=asked)
        assert ran.json()["outcome"] == "succeeded", ran.text
        refused = await less.post(f"/sessions/{session}/commands", json=asked)
        assert (refused.status_code, refused.json()["field"]) == (403, "network")
        assert "--network ask" in refused.json()["detail"]
