"""Who may do what, and what others see of it."""

from collections.abc import Iterable
from typing import Any

import pytest

from debug_mcp.auth.principal import LOCAL, Principal, Scope
from debug_mcp.errors import DebugMcpError, NotFound, PermissionDenied
from debug_mcp.operations.catalogue import REST
from debug_mcp.operations.registry import Call, Operation, named
from debug_mcp.service.services import Services
from tests.operations.test_arguments import VALID
from tests.upstream import Upstream

pytestmark = pytest.mark.anyio

STRANGER = Principal("stranger", frozenset(Scope))


@pytest.fixture
async def ids(services: Services, upstream: Upstream) -> dict[str, str]:
    """A session, a command and an artifact of the local principal."""

    async def call(name: str, **arguments: Any) -> dict[str, Any]:
        [operation] = [operation for operation in REST if operation.name == name]
        return (await operation.invoke(Call(LOCAL, services), arguments)).compact()

    session = (await call("session_create", repository=str(upstream.path)))["session_id"]
    command = (await call("command_run", session_id=session, command="true"))["command_id"]
    listing = await call("artifact_list", session_id=session, collect=["*.py"])
    return {
        "session_id": session,
        "command_id": command,
        "artifact_id": listing["artifacts"][0]["artifact_id"],
        "name": "calculator",
    }


def arguments_of(operation: Operation, ids: dict[str, str]) -> dict[str, Any]:
    """Return arguments that fit, about what there is where there is such a thing."""
    fields = operation.arguments.model_fields
    given = {name: value for name, value in ids.items() if name in fields}
    return {**VALID[operation.name], **given}


def owner(scopes: Iterable[Scope]) -> Principal:
    """Return the one whose the things are, with these scopes alone."""
    return Principal(LOCAL.name, frozenset(scopes))


async def refusal(
    services: Services, who: Principal, operation: Operation, arguments: dict[str, Any]
) -> DebugMcpError | None:
    """Return why a call is refused; None when it is done."""
    try:
        await operation.invoke(Call(who, services), arguments)
    except DebugMcpError as error:
        return error
    return None


@pytest.mark.parametrize("operation", REST, ids=lambda operation: operation.name)
async def test_an_operation_needs_every_scope_that_it_declares(
    services: Services, ids: dict[str, str], operation: Operation
) -> None:
    for scope in operation.needs:
        without = owner(set(Scope) - {scope})
        error = await refusal(services, without, operation, arguments_of(operation, ids))
        assert isinstance(error, PermissionDenied)
        assert error.details["scope"] == scope


@pytest.mark.parametrize("operation", REST, ids=lambda operation: operation.name)
async def test_an_operation_needs_no_scope_that_it_does_not_declare(
    services: Services, ids: dict[str, str], operation: Operation
) -> None:
    exactly = owner(operation.needs)
    error = await refusal(services, exactly, operation, arguments_of(operation, ids))
    assert not isinstance(error, PermissionDenied), f"`also` of {operation.name}: {error}"


@pytest.mark.parametrize("operation", REST, ids=lambda operation: operation.name)
async def test_a_single_scope_opens_what_needs_no_other_and_nothing_else(
    services: Services, ids: dict[str, str], operation: Operation
) -> None:
    for scope in Scope:
        if operation.needs == (scope,):
            continue  # see above
        error = await refusal(services, owner({scope}), operation, arguments_of(operation, ids))
        assert isinstance(error, PermissionDenied), scope


# How a call comes to have what a further scope is for.
FURTHER: dict[tuple[str, Scope], dict[str, Any]] = {
    ("session_create", Scope.REPOSITORY_WRITE): {"repository": "https://example.org/x.git"},
    ("session_export", Scope.REPOSITORY_PUSH): {"push": True},
    ("command_run", Scope.COMMAND_NETWORK): {"network": True},
    ("compare_run", Scope.REPOSITORY_WRITE): {
        "command": "true", "repository": "https://example.org/x.git", "base": "a", "head": "b",
    },
    ("bisect_run", Scope.REPOSITORY_WRITE): {
        "command": "true", "repository": "https://example.org/x.git", "good": "a",
    },
}  # fmt: skip


def test_every_further_scope_is_tried() -> None:
    declared = {(op.name, scope) for op in REST for scope in op.further.values()}
    assert declared == set(FURTHER)


@pytest.mark.parametrize(("name", "scope"), FURTHER, ids=str)
async def test_some_arguments_need_a_further_scope(
    services: Services, ids: dict[str, str], name: str, scope: Scope
) -> None:
    operation = named(REST, name)
    arguments = {**arguments_of(operation, ids), **FURTHER[name, scope]}
    error = await refusal(services, owner(operation.needs), operation, arguments)
    assert isinstance(error, PermissionDenied)
    assert error.details["scope"] == scope


@pytest.mark.parametrize(
    "operation",
    [operation for operation in REST if {"session_id", "command_id", "artifact_id"}
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
    [run] = [operation for operation in REST if operation.name == "command_run"]
    without = Principal("local", frozenset(Scope) - {Scope.COMMAND_NETWORK})
    arguments = {**arguments_of(run, ids), "network": True}
    with pytest.raises(PermissionDenied, match="command:network"):
        await run.invoke(Call(without, services), arguments)
    view = await run.invoke(Call(without, services), {**arguments, "network": False})
    assert not isinstance(view, DebugMcpError)
