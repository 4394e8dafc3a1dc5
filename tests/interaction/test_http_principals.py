"""Two agents on one server over HTTP: neither sees what is the other's."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.shared.exceptions import MCPError
from mcp.types import ResourceTemplateReference

from debug_mcp.auth.principal import LOCAL, Scope
from debug_mcp.config import IsolationPolicy, Settings
from debug_mcp.models.repositories import RepositoryInit
from debug_mcp.operations.catalogue import CORE
from debug_mcp.service.services import Services
from tests.clients import Agent, http_client, secret, serving
from tests.upstream import Upstream

pytestmark = pytest.mark.anyio

IDS = ("session_id", "command_id", "artifact_id")


@dataclass
class Resident:
    """An agent with a session, a command and an artifact of its own."""

    agent: Agent
    ids: dict[str, str]
    uri: str


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", isolation=IsolationPolicy.NONE, grace_seconds=1)


@pytest.fixture
async def url(services: Services, settings: Settings, upstream: Upstream) -> AsyncIterator[str]:
    # The operator registers: over HTTP nobody names a path of this machine.
    await services.repositories.init(LOCAL, RepositoryInit(url=str(upstream.path), name="app"))
    async with serving(services, settings) as url:
        yield url


@pytest.fixture(params=["auto", "legacy"])
def mode(request: pytest.FixtureRequest) -> str:
    value: str = request.param
    return value


@pytest.fixture
async def residents(
    url: str, services: Services, mode: str
) -> AsyncIterator[tuple[Resident, Resident]]:
    async with (
        http_client(url, await secret(services, "ada"), mode) as ada,
        http_client(url, await secret(services, "bob"), mode) as bob,
    ):
        yield await _move_in(Agent(ada)), await _move_in(Agent(bob))


async def _move_in(agent: Agent) -> Resident:
    session = (await agent.call("session_create", repository="app"))["session_id"]
    command = await agent.call("command_run", session_id=session, command="echo mine")
    listing = await agent.call("artifact_list", session_id=session, collect=["*.py"])
    artifact = listing["artifacts"][0]
    ids = {
        "session_id": session,
        "command_id": command["command_id"],
        "artifact_id": artifact["artifact_id"],
    }
    return Resident(agent, ids, artifact["uri"])


def _needs_of_another() -> list[str]:
    return [op.name for op in CORE if set(IDS) & set(op.arguments.model_fields)]


async def test_every_tool_refuses_what_is_anothers_while_serving_its_owner(
    residents: tuple[Resident, Resident],
) -> None:
    ada, bob = residents
    told: list[str] = []

    async def intrude(own: Resident, other: Resident, tool: str) -> None:
        refused = await own.agent.refused(tool, **_arguments(tool, other.ids))
        assert refused["error"]["code"] == "not_found", refused
        told.append(str(refused["error"].get("candidates", [])))
        assert not set(other.ids.values()) & set(refused["error"].get("candidates", []))

    async def go_on(own: Resident) -> None:
        view = await own.agent.call("command_wait", command_id=own.ids["command_id"])
        assert view["output"]["text"] == "mine\n"

    tools = _needs_of_another()
    assert {"session_close", "command_output", "artifact_read"} <= set(tools)
    async with anyio.create_task_group() as tasks:
        for tool in tools:
            for own, other in ((ada, bob), (bob, ada)):
                tasks.start_soon(intrude, own, other, tool)
                tasks.start_soon(go_on, own)
    assert any(ada.ids["session_id"] in candidates for candidates in told)


def _arguments(tool: str, ids: dict[str, str]) -> dict[str, Any]:
    [operation] = [operation for operation in CORE if operation.name == tool]
    fields = operation.arguments.model_fields
    given: dict[str, Any] = {name: value for name, value in ids.items() if name in fields}
    needed = {name for name, field in fields.items() if field.is_required()} - set(given)
    return {**given, **dict.fromkeys(needed, "true"), **EXTRA.get(tool, {})}


# What a call needs beside the ids, so that it is refused for them alone.
EXTRA: dict[str, dict[str, Any]] = {
    "file_edit": {"edits": [{"path": "new", "content": "x"}]},
    "command_input": {"text": "x"},
}


async def test_no_list_shows_what_is_anothers(residents: tuple[Resident, Resident]) -> None:
    ada, bob = residents
    lists = [
        op for op in CORE if op.read_only and not op.arguments.model_json_schema().get("required")
    ]
    assert lists
    for own, other in ((ada, bob), (bob, ada)):
        for operation in lists:
            shown = str(await own.agent.call(operation.name))
            assert not [name for name in other.ids.values() if name in shown], operation.name
        listed = [str(entry.uri) for entry in (await own.agent.client.list_resources()).resources]
        assert own.uri in listed
        assert other.uri not in listed


async def test_a_resource_of_anothers_is_not_there(residents: tuple[Resident, Resident]) -> None:
    ada, bob = residents
    for uri in (bob.uri, f"output://{bob.ids['command_id']}"):
        with pytest.raises(MCPError, match="of yours"):
            await ada.agent.client.read_resource(uri)
        assert (await bob.agent.client.read_resource(uri)).contents


async def test_many_requests_at_once_are_each_served_as_their_own_principal(
    residents: tuple[Resident, Resident],
) -> None:
    async def ask(own: Resident, other: Resident) -> None:
        refused = await own.agent.refused("command_output", command_id="c_none")
        assert refused["error"]["candidates"] == [own.ids["command_id"]]

    ada, bob = residents
    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(ask, ada, bob)
            tasks.start_soon(ask, bob, ada)


async def test_the_same_idempotency_key_of_two_principals_means_two_commands(
    residents: tuple[Resident, Resident],
) -> None:
    ids = set()
    for own in residents:
        for _ in range(2):
            view = await own.agent.call(
                "command_run",
                session_id=own.ids["session_id"],
                command="true",
                idempotency_key="first",
            )
            ids.add(view["command_id"])
    assert len(ids) == 2


async def test_two_tokens_of_one_owner_share_what_is_theirs(url: str, services: Services) -> None:
    async with http_client(url, await secret(services, "laptop", owner="ada")) as laptop:
        resident = await _move_in(Agent(laptop))
    async with http_client(url, await secret(services, "desktop", owner="ada")) as desktop:
        view = await Agent(desktop).call("command_wait", command_id=resident.ids["command_id"])
    assert view["output"]["text"] == "mine\n"


async def test_a_missing_scope_is_told_as_the_contract_says(
    url: str, services: Services, mode: str
) -> None:
    token = await secret(services, "reader", scopes=[Scope.REPOSITORY_READ, Scope.SESSION_READ])
    async with http_client(url, token, mode) as client:
        agent = Agent(client)
        refused = await agent.refused("session_create", repository="app")
        assert refused["error"]["code"] == "permission_denied"
        assert "session:write" in refused["error"]["message"]
        assert await agent.call("server_info")


async def test_a_token_for_some_repositories_reaches_no_other(
    url: str, services: Services, tmp_path: Path
) -> None:
    other = Upstream(tmp_path / "other")
    other.commit("Begin", {"README": "other"})
    await services.repositories.init(LOCAL, RepositoryInit(url=str(other.path), name="other"))
    token = await secret(services, "limited", repositories=["app"])
    async with http_client(url, token) as client:
        agent = Agent(client)
        listed = await agent.call("repository_list")
        assert [row["repository"] for row in listed["repositories"]] == ["app"]
        refused = await agent.refused("session_create", repository="other")
        assert (refused["error"]["code"], refused["error"]["candidates"]) == ("not_found", ["app"])
        assert (await agent.call("session_create"))["repository"] == "app"
        refused = await agent.refused("repository_init", url="https://example.org/new.git")
        assert refused["error"]["code"] == "permission_denied"


async def test_a_token_for_some_repositories_reaches_nothing_of_its_owner_in_others(
    url: str, services: Services, mode: str
) -> None:
    async with http_client(url, await secret(services, "all", owner="ada"), mode) as client:
        resident = await _move_in(Agent(client))
    limited = await secret(services, "limited", owner="ada", repositories=["another"])
    async with http_client(url, limited, mode) as client:
        agent = Agent(client)
        for tool in _needs_of_another():
            refused = await agent.refused(tool, **_arguments(tool, resident.ids))
            assert refused["error"]["code"] == "not_found", tool
            assert "candidates" not in refused["error"]
        for operation in CORE:
            if operation.read_only and not operation.arguments.model_json_schema().get("required"):
                shown = str(await agent.call(operation.name))
                assert not [value for value in resident.ids.values() if value in shown]
        for tool in ("repository_remove", "session_create"):
            name = "name" if tool == "repository_remove" else "repository"
            refused = await agent.refused(tool, **{name: "app"})
            assert refused["error"]["code"] == "not_found"
        assert not (await client.list_resources()).resources
        for uri in (resident.uri, f"output://{resident.ids['command_id']}"):
            with pytest.raises(MCPError, match="of yours"):
                await client.read_resource(uri)
        for prompt in ("command_id", "artifact_id"):
            template = {"command_id": "output://{command_id}"}.get(
                prompt, "artifact://{artifact_id}/{+name}"
            )
            completed = await client.complete(
                ResourceTemplateReference(type="ref/resource", uri=template),
                {"name": prompt, "value": ""},
            )
            assert completed.completion.values == []
    # It was all left as it was, for a token that reaches it.
    async with http_client(url, await secret(services, "also", owner="ada"), mode) as client:
        view = await Agent(client).call("command_wait", command_id=resident.ids["command_id"])
        assert view["output"]["text"] == "mine\n"


async def test_a_key_of_a_session_in_another_repository_is_no_way_to_it(
    url: str, services: Services, tmp_path: Path
) -> None:
    other = Upstream(tmp_path / "other")
    other.commit("Begin", {"README": "other"})
    async with http_client(url, await secret(services, "all", owner="ada")) as client:
        await Agent(client).call("session_create", idempotency_key="k")
    await services.repositories.init(LOCAL, RepositoryInit(url=str(other.path), name="other"))
    limited = await secret(services, "limited", owner="ada", repositories=["other"])
    async with http_client(url, limited) as client:
        refused = await Agent(client).refused("session_create", idempotency_key="k")
        assert refused["error"]["code"] == "not_found"


async def test_a_path_of_the_servers_machine_cannot_be_named(
    url: str, services: Services, upstream: Upstream
) -> None:
    async with http_client(url, await secret(services, "ada")) as client:
        for named in (str(upstream.path), f"file://{upstream.path}"):
            refused = await Agent(client).refused("repository_init", url=named, name="mine")
            assert refused["error"]["code"] == "invalid_input"
            refused = await Agent(client).refused("session_create", repository=named)
            assert refused["error"]["code"] == "invalid_input"


async def test_a_commit_of_anothers_session_cannot_be_named(
    residents: tuple[Resident, Resident],
) -> None:
    ada, bob = residents
    work = {"session_id": ada.ids["session_id"], "command": "echo secret > secret.txt"}
    await ada.agent.call("command_run", **work)
    closed = await ada.agent.call("session_close", session_id=ada.ids["session_id"])
    commit = closed["exported"]["commit"]

    for name in (commit, commit[:12], commit[:4]):
        refused = await bob.agent.refused("session_create", repository="app", ref=name)
        assert refused["error"]["code"] == "not_found"
    again = await ada.agent.call("session_create", repository="app", ref=commit[:12])
    assert again["commit"] == commit
