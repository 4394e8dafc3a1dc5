"""Who did what, and who was refused: the operator reads it over REST and on the command line."""

import json
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from debug_mcp.auth.principal import LOCAL
from debug_mcp.auth.tokens import new_secret
from debug_mcp.config import IsolationPolicy, Settings
from debug_mcp.models.repositories import RepositoryInit
from debug_mcp.service.services import Services
from tests.clients import Agent, http_client, opened, script, secret, serving
from tests.files import appears
from tests.operator import SECONDS, Operator
from tests.upstream import Upstream

pytestmark = pytest.mark.anyio

AGENT = ("repository:read", "session:read", "session:write", "command:run", "artifact:read")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", isolation=IsolationPolicy.NONE, grace_seconds=1)


@pytest.fixture
async def root(services: Services, settings: Settings, upstream: Upstream) -> AsyncIterator[str]:
    await services.repositories.init(LOCAL, RepositoryInit(url=str(upstream.path), name="app"))
    async with serving(services, settings) as url:
        yield url.removesuffix("/mcp")


@pytest.fixture
async def admin(root: str, services: Services) -> AsyncIterator[httpx2.AsyncClient]:
    async with script(root, await secret(services, "boss")) as client:
        yield client


async def entries(admin: httpx2.AsyncClient, **asked: str) -> list[dict[str, Any]]:
    """Return what the log has, oldest first."""
    answer = await admin.get("/audit", params=asked)
    assert answer.status_code == 200, answer.text
    listed: list[dict[str, Any]] = answer.json().get("entries", [])
    return listed[::-1]


async def test_the_log_says_who_changed_what_and_who_was_refused(
    root: str, admin: httpx2.AsyncClient, services: Services
) -> None:
    ada_token, bob_token = [await secret(services, name, scopes=AGENT) for name in ("ada", "bob")]
    async with http_client(f"{root}/mcp", ada_token) as client:
        ada = Agent(client)
        session = (await ada.call("session_create", repository="app"))["session_id"]
        ran = await ada.call("command_run", session_id=session, command="true")
        await ada.call("command_wait", command_id=ran["command_id"])
    async with script(root, bob_token) as bob:
        foreign = await bob.get(f"/commands/{ran['command_id']}")
        unscoped = await bob.post("/repositories", json={"url": "https://example.org/x.git"})

    tokens = {token["name"]: token["token_id"] for token in
              (await admin.get("/tokens")).json()["tokens"]}  # fmt: skip
    assert [(e["operation"], e["object_id"], e["outcome"]) for e in await entries(
        admin, principal="ada")] == [
        ("token_first_use", tokens["ada"], "done"),
        ("session_create", session, "done"),
        ("command_run", ran["command_id"], "done"),
    ]  # fmt: skip
    _, *refused = await entries(admin, principal="bob")
    assert [(e["operation"], e.get("object_id"), e["outcome"]) for e in refused] == [
        ("command_wait", ran["command_id"], "not_found"),
        ("repository_init", None, "permission_denied"),
    ]
    assert [e["request_id"] for e in refused] == [
        answer.headers["x-request-id"] for answer in (foreign, unscoped)
    ]
    for entry in refused:
        assert (entry["peer"], entry["token_id"]) == ("127.0.0.1", tokens["bob"])
        assert entry["seconds"] >= 0
        assert entry["at"].endswith("Z")


async def test_wrong_tokens_are_in_the_log_by_their_address_but_fill_no_disk(
    root: str, admin: httpx2.AsyncClient
) -> None:
    guess = new_secret()
    async with script(root, guess) as stranger:
        for _ in range(60):
            assert (await stranger.get("/server")).status_code in (401, 429)
    refused = await entries(admin, operation="request")
    assert refused[0]["outcome"] == "unauthenticated"
    assert all("principal" not in entry and entry["peer"] == "127.0.0.1" for entry in refused)
    assert 5 <= len(refused) < 30
    assert guess not in str(refused)


async def test_a_caller_beyond_its_rate_is_in_the_log(
    root: str, admin: httpx2.AsyncClient, services: Services
) -> None:
    token = await secret(services, "slow", scopes=AGENT, requests_per_second=0.01)
    async with script(root, token) as slow:
        await slow.get("/server")
        assert (await slow.get("/server")).status_code == 429
    _, entry = await entries(admin, principal="slow")
    assert (entry["operation"], entry["outcome"]) == ("request", "busy")


async def test_other_hosts_other_origins_and_bodies_without_measure_are_in_the_log(
    root: str, admin: httpx2.AsyncClient, services: Services
) -> None:
    token = await secret(services, "ada", scopes=AGENT)
    large = b"x" * (5 << 20)
    async with script(root, token) as ada:
        answers = [
            await ada.get("/server", headers={"Host": "evil.example.com"}),
            await ada.get("/server", headers={"Origin": "https://evil.example.com"}),
            await ada.post("/sessions", content=large),
        ]
    assert [answer.status_code for answer in answers] == [421, 403, 413]
    refused = await entries(admin, operation="request")
    assert [(e.get("principal"), e["outcome"]) for e in refused] == [
        (None, "invalid_input"), (None, "permission_denied"), ("ada", "invalid_input")
    ]  # fmt: skip
    assert [e["request_id"] for e in refused] == [a.headers["x-request-id"] for a in answers]
    assert {e["peer"] for e in refused} == {"127.0.0.1"}
    assert "evil" not in str(refused)


async def test_what_a_server_does_by_itself_is_in_the_log(
    root: str, admin: httpx2.AsyncClient
) -> None:
    made = await admin.post("/sessions", json={"repository": "app", "ttl_seconds": 1})
    session = made.json()["session_id"]
    with anyio.fail_after(SECONDS):
        while not (ended := await entries(admin, operation="session_expire")):
            await anyio.sleep(0.1)
    [entry] = ended
    assert (entry["object_id"], entry["outcome"]) == (session, "done")
    assert "principal" not in entry


async def test_collections_and_the_first_token_are_in_the_log(tmp_path: Path) -> None:
    operator = Operator(tmp_path / "data")
    secret_ = new_secret()
    for _ in range(2):
        with operator.serving("--isolation", "none", DEBUG_MCP_BOOTSTRAP_TOKEN=secret_) as server:
            async with script(server.url.removesuffix("/mcp"), secret_) as boss:
                assert (await boss.get("/server")).status_code == 200
                listed = await entries(boss)
    for arguments in (("gc", "--dry-run"), ("gc",)):
        assert operator.does(*arguments).returncode == 0
    [bootstrap, used] = listed
    assert (bootstrap["operation"], bootstrap["principal"]) == ("token_bootstrap", "local")
    assert (used["operation"], used["principal"]) == ("token_first_use", "bootstrap")
    assert used["object_id"] == bootstrap["object_id"]
    assert used["peer"] == "127.0.0.1"
    printed = operator.does("audit", "--operation", "gc", "--json").stdout
    [collected] = map(json.loads, printed.splitlines())
    assert (collected["principal"], collected["outcome"]) == ("local", "done")
    assert secret_ not in str(listed)


async def test_what_was_answered_is_in_the_log_though_the_server_is_killed_at_once(
    tmp_path: Path, upstream: Upstream
) -> None:
    operator = Operator(tmp_path / "data")
    token = operator.token("ada", "--scope", ",".join(AGENT))
    operator.does("call", "repository_init", f"url={upstream.path}", "name=app")
    with operator.serving("--isolation", "none") as server:
        async with script(server.url.removesuffix("/mcp"), token) as ada:
            made = (await ada.post("/sessions", json={"repository": "app"})).json()
            path = f"/sessions/{made['session_id']}/commands"
            ran = await ada.post(path, json={"command": "sleep 60", "wait_seconds": 0})
            server.process.kill()
            await server.ended()
    exported = operator.does("audit", "--json", "--operation", "command_run").stdout
    [entry] = map(json.loads, exported.splitlines())
    assert (entry["object_id"], entry["outcome"]) == (ran.json()["command_id"], "done")


@pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")
async def test_refused_downloads_streams_and_resources_are_in_the_log(
    root: str, admin: httpx2.AsyncClient, services: Services
) -> None:
    token = await secret(services, "ada", scopes=AGENT)
    async with script(root, token) as ada:
        assert (await ada.get("/artifacts/a_none/content")).status_code == 404
        assert (await ada.get("/commands/c_none/output")).status_code == 404
    async with http_client(f"{root}/mcp", token) as client:
        with pytest.raises(Exception, match="of yours"):
            await client.read_resource("output://c_none")
    async with http_client(f"{root}/mcp", token, "legacy") as client:
        with pytest.raises(Exception, match="of yours"):
            await client.subscribe_resource("output://c_none")
    found = [(e["operation"], e["object_id"]) for e in await entries(admin, outcome="not_found")]
    assert found == [
        ("artifact_download", "a_none"),
        ("output_download", "c_none"),
        ("resource_read", "c_none"),
        ("resource_subscribe", "c_none"),
    ]


async def test_no_secret_no_environment_and_no_patch_is_in_the_log(
    root: str, admin: httpx2.AsyncClient, settings: Settings
) -> None:
    hidden = "s3cr3t-value"
    session = (await admin.post("/sessions", json={"repository": "app"})).json()["session_id"]
    where = f"/sessions/{session}"
    made = (await admin.post("/tokens", json={"name": "x", "scopes": ["session:read"]})).json()
    for path, body in (
        (f"{where}/commands", {"command": f"echo {hidden}", "env": {"KEY": hidden}}),
        ("/sessions", {"repository": f"https://u:{hidden}@example.org/x", "env": {"A": hidden}}),
        ("/tokens", {"name": hidden, "scopes": [hidden]}),
    ):
        await admin.post(path, json=body)
    await admin.patch(f"{where}/files", json={"edits": [{"path": "k", "content": hidden}]})
    # Somebody takes a secret for an id.
    await admin.delete(f"/tokens/{made['secret']}")
    await admin.get(f"/commands/{made['secret']}")
    logged = str(await entries(admin))
    assert {"file_edit", "command_run", "token_create"} <= {
        e["operation"] for e in await entries(admin)
    }
    assert made["secret"] not in logged
    assert hidden not in logged.replace(f"'object_id': '{hidden}'", "")  # the name of a token
    with sqlite3.connect(settings.data_dir / "debug-mcp.sqlite3") as ledger:
        rows = ledger.execute("SELECT * FROM audit").fetchall()
    assert made["secret"] not in str(rows)
    ledger.close()


async def test_the_log_is_read_in_pages_and_by_what_is_looked_for(
    root: str, admin: httpx2.AsyncClient
) -> None:
    for number in range(5):
        await admin.post("/tokens", json={"name": f"t{number}", "scopes": ["session:read"]})
    page = await admin.get("/audit", params={"limit": "2", "operation": "token_create"})
    seen = page.json()["entries"]
    while "link" in page.headers:
        link = page.headers["link"].split(">")[0].removeprefix("</v1")
        page = await admin.get(link)
        seen += page.json()["entries"]
    assert len(seen) == 5
    assert len({entry["request_id"] for entry in seen}) == 5
    assert not await entries(admin, until="2020-01-01T00:00:00Z")
    assert len(await entries(admin, since="2020-01-01T00:00:00Z")) == 6  # and its first use


async def test_the_log_is_the_administrators_alone(root: str, services: Services) -> None:
    async with script(root, await secret(services, "ada", scopes=AGENT)) as ada:
        refused = await ada.get("/audit")
        assert (refused.status_code, refused.json()["scope"]) == (403, "admin")


async def test_a_call_that_its_client_gave_up_is_in_the_log(
    root: str, admin: httpx2.AsyncClient, services: Services, tmp_path: Path
) -> None:
    begun = tmp_path / "begun"
    async with http_client(f"{root}/mcp", await secret(services, "ada", scopes=AGENT)) as client:
        session = (await Agent(client).call("session_create", repository="app"))["session_id"]
        async with anyio.create_task_group() as tasks:
            command = f"touch {begun}; cat"
            tasks.start_soon(
                lambda: client.call_tool(
                    "command_run",
                    {"session_id": session, "command": command, "stdin": "open",
                     "wait_seconds": 50},
                )
            )  # fmt: skip
            with anyio.fail_after(SECONDS):
                await appears(begun)
            tasks.cancel_scope.cancel()
    with anyio.fail_after(SECONDS):
        while not (found := await entries(admin, operation="command_run")):
            await anyio.sleep(0.05)
    assert [entry["outcome"] for entry in found] == ["cancelled"]


async def test_the_operator_exports_the_log_as_json_lines(
    tmp_path: Path, upstream: Upstream
) -> None:
    operator = Operator(tmp_path / "data")
    token = operator.token("ada", "--scope", ",".join(AGENT))
    operator.does("call", "repository_init", f"url={upstream.path}", "name=app")
    with operator.serving("--isolation", "none") as server:
        async with http_client(server.url, token) as client:
            agent = Agent(client)
            session = (await agent.call("session_create", repository="app"))["session_id"]
            await agent.call("session_close", session_id=session)
        server.process.terminate()  # what was not stored yet is stored before the end
        assert await server.ended() == 0
    exported = operator.does("audit", "--json")
    lines = [json.loads(line) for line in exported.stdout.splitlines()]
    assert [(line["principal"], line["operation"]) for line in lines] == [
        ("ada", "session_close"),
        ("ada", "session_create"),
        ("ada", "token_first_use"),
        ("local", "repository_init"),
        ("local", "token_create"),
    ]
    one = operator.does("audit", "--operation", "session_close", "--since", "1h").stdout
    heading, row = one.splitlines()
    assert heading.split()[:4] == ["AT", "PRINCIPAL", "TOKEN", "OPERATION"]
    assert session in row
    assert operator.does("audit", "--principal", "nobody").stdout == (
        "The audit log has no such entry.\n"
    )
    assert operator.does("audit", "--limit", "0").returncode == 2


async def test_calls_over_stdio_are_in_the_log(
    services: Services, upstream: Upstream, settings: Settings
) -> None:
    from tests.clients import connect

    async with connect("stdio-modern", settings) as agent:
        session = await opened(agent, upstream)
    found = Operator(settings.data_dir).does("audit", "--json", "--operation", "session_create")
    [line] = [json.loads(line) for line in found.stdout.splitlines()]
    assert (line["principal"], line["object_id"]) == ("local", session)
    assert "peer" not in line
