"""Who may do what, and what others see of it."""

from typing import Any

import pytest

from debug_mcp.auth.principal import LOCAL, Principal, Scope
from debug_mcp.errors import DebugMcpError, NotFound, PermissionDenied
from debug_mcp.operations.catalogue import CORE
from debug_mcp.operations.registry import Call, Operation
from debug_mcp.service.services import Services
from tests.upstream import Upstream

pytestmark = pytest.mark.anyio

STRANGER = Principal("stranger", frozenset(Scope))


@pytest.fixture
async def ids(services: Services, upstream: Upstream) -> dict[str, str]:
    """A session, a command and an artifact of the local principal."""

    async def call(name: str, **arguments: Any) -> dict[str, Any]:
        [operation] = [operation for operation in CORE if operation.name == name]
        return (await operation.invoke(Call(LOCAL, services), arguments)).compact()

    session = (await call("session_create", repository=str(upstream.path)))["session_id"]
    command = (await call("command_run", session_id=session, command="true"))["command_id"]
    listing = await call("artifact_list", session_id=session, collect=["*.py"])
    return {
        "session_id": session,
        "command_id": command,
        "artifact_id": listing["artifacts"][0]["artifact_id"],
        "url": str(upstream.path),
    }


def arguments_of(operation: Operation, ids: dict[str, str]) -> dict[str, Any]:
    fields = operation.arguments.model_fields
    given = {name: value for name, value in ids.items() if name in fields}
    required = {"command": "true", "name": "calculator", "debug_id": "d_1", "action": "pause"}
    needed = {name for name, field in fields.items() if field.is_required()}
    edit = {"edits": [{"path": "new", "content": "x"}]} if operation.name == "file_edit" else {}
    return {**given, **{name: required[name] for name in required.keys() & needed}, **edit}


@pytest.mark.parametrize("operation", CORE, ids=lambda operation: operation.name)
async def test_an_operation_needs_the_scope_that_it_declares(
    services: Services, ids: dict[str, str], operation: Operation
) -> None:
    without = Principal("local", frozenset(Scope) - {operation.scope})
    with pytest.raises(PermissionDenied, match=str(operation.scope)):
        await operation.invoke(Call(without, services), arguments_of(operation, ids))


@pytest.mark.parametrize(
    "operation",
    [operation for operation in CORE if {"session_id", "command_id", "artifact_id"}
     & set(operation.arguments.model_fields)],
    ids=lambda operation: operation.name,
)  # fmt: skip
async def test_what_belongs_to_another_is_not_there(
    services: Services, ids: dict[str, str], operation: Operation
) -> None:
    with pytest.raises(NotFound) as caught:
        await operation.invoke(Call(STRANGER, services), arguments_of(operation, ids))
    assert not set(ids.values()) & set(caught.value.candidates)


async def test_the_network_needs_a_scope_of_its_own(
    services: Services, ids: dict[str, str]
) -> None:
    [run] = [operation for operation in CORE if operation.name == "command_run"]
    without = Principal("local", frozenset(Scope) - {Scope.COMMAND_NETWORK})
    arguments = {**arguments_of(run, ids), "network": True}
    with pytest.raises(PermissionDenied, match="command:network"):
        await run.invoke(Call(without, services), arguments)
    view = await run.invoke(Call(without, services), {**arguments, "network": False})
    assert not isinstance(view, DebugMcpError)
