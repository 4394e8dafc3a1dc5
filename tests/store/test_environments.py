"""Rows of environments: one builds, the others join; ends and evictions settle who has what."""

from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from debug_mcp.models.base import now
from debug_mcp.models.commands import Command, CommandKind, CommandRun, CommandState, Outcome
from debug_mcp.models.environments import Environment, EnvironmentState
from debug_mcp.models.sessions import SessionState, WorkSession
from debug_mcp.store.environments import Environments, waiting
from debug_mcp.store.retention import Left, Retention
from tests.store.ledger import Ledger, open_ledger

pytestmark = pytest.mark.anyio

ID = "e_1"


async def join(
    ledger: Ledger, session: WorkSession, *, builds: bool = True, there: bool = True
) -> Environment | None:
    command = Command(
        id="",
        session_id=session.id,
        principal=session.principal,
        state=CommandState.QUEUED,
        request=CommandRun(session_id=session.id, command="true"),
        accepted_at=now(),
        kind=CommandKind.SETUP,
    )
    wanted = waiting(ID, session.repository_id, ("node_modules",))
    environments = Environments(ledger.database)
    asked = command if builds else None
    return await environments.join(session.id, wanted, asked, 20, there=there)


async def ended(ledger: Ledger, outcome: Outcome) -> EnvironmentState:
    """End whatever builds the environment; return its state then."""
    environments = Environments(ledger.database)
    found = await environments.get(ID)
    assert found is not None
    assert found.command_id is not None
    command = await ledger.commands.get(found.command_id)
    await ledger.finish(command, outcome)
    found = await environments.get(ID)
    assert found is not None
    return found.state


async def test_of_many_at_once_one_builds(ledger: Ledger) -> None:
    sessions = [await ledger.session() for _ in range(10)]
    async with anyio.create_task_group() as tasks:
        for session in sessions:
            tasks.start_soon(join, ledger, session)
    assert await ledger.count("commands") == 1
    assert await ledger.count("environments") == 1
    assert {(await ledger.sessions.get(each.id)).environment for each in sessions} == {ID}


async def test_of_two_servers_one_builds(path: Path) -> None:
    async with open_ledger(path) as one, open_ledger(path) as other:
        session = await one.session()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(join, one, session)
            tasks.start_soon(join, other, await one.session())
        assert await one.count("commands") == 1


async def test_nobody_builds_without_a_command_to_do_it(ledger: Ledger) -> None:
    session = await ledger.session()
    assert await join(ledger, session, builds=False) is None
    assert await ledger.count("environments") == 0
    assert (await ledger.sessions.get(session.id)).environment is None


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (Outcome.FAILED, EnvironmentState.FAILED),
        (Outcome.TIMED_OUT, EnvironmentState.FAILED),
        (Outcome.SPAWN_FAILED, EnvironmentState.FAILED),
        (Outcome.CANCELLED, EnvironmentState.WAITING),
        (Outcome.LOST, EnvironmentState.WAITING),
    ],
)
async def test_the_end_of_what_builds_it_is_told_with_it(
    ledger: Ledger, outcome: Outcome, state: EnvironmentState
) -> None:
    await join(ledger, await ledger.session())
    assert await ended(ledger, outcome) is state


async def test_what_was_given_up_is_built_by_the_oldest_that_has_not_tried(ledger: Ledger) -> None:
    sessions = [await ledger.session() for _ in range(4)]
    for session in sessions:
        await join(ledger, session)
    environments = Environments(ledger.database)
    assert await environments.left() == []
    await ended(ledger, Outcome.CANCELLED)
    await ledger.sessions.advance(sessions[1].id, SessionState.CLOSING)
    assert await environments.left() == [sessions[2].id]
    joined = await join(ledger, sessions[2])
    assert joined is not None
    assert joined.state is EnvironmentState.BUILDING
    assert await environments.left() == []


async def test_a_session_waits_for_what_another_builds_and_not_after_a_try_of_its_own(
    ledger: Ledger,
) -> None:
    first, second = await ledger.session(), await ledger.session()
    building = await join(ledger, first)
    await join(ledger, second)
    assert building is not None
    waits = await ledger.command(second)
    assert await ledger.claimed() == building.command_id
    assert await ledger.claimed() is None
    assert await ledger.commands.ahead(waits) == [building.command_id]
    await ended(ledger, Outcome.FAILED)
    assert await ledger.commands.ahead(waits) == []
    assert await ledger.claimed() == waits.id


async def test_what_builds_goes_before_what_waits_for_it(ledger: Ledger) -> None:
    first, second = await ledger.session(), await ledger.session()
    await join(ledger, first)
    await join(ledger, second)
    waits = await ledger.command(second)
    await ended(ledger, Outcome.CANCELLED)
    again = await join(ledger, second)
    assert again is not None
    assert await ledger.claimed() == again.command_id
    assert await ledger.claimed() is None
    await ended(ledger, Outcome.LOST)
    assert await ledger.claimed() == waits.id


async def test_one_in_use_is_not_dropped_and_one_that_is_dropped_leaves_its_place(
    ledger: Ledger,
) -> None:
    session = await ledger.session()
    await join(ledger, session)
    environments, moved = Environments(ledger.database), list[str]()
    assert not await environments.drop(ID, moved.append)
    await ended(ledger, Outcome.FAILED)
    assert await environments.unused() == []
    assert not await environments.drop(ID, moved.append)
    await ledger.sessions.advance(session.id, SessionState.CLOSING)
    assert not await environments.drop(ID, moved.append)
    await ledger.sessions.advance(session.id, SessionState.CLOSED, closed_why="done")
    assert [each.id for each in await environments.unused()] == [ID]
    assert moved == []
    assert await environments.drop(ID, moved.append)
    assert moved == [ID]
    assert await environments.unknown({ID, "e_2"}) == {ID, "e_2"}


async def test_the_end_of_a_builds_record_is_not_the_environments(ledger: Ledger) -> None:
    joined = await join(ledger, await ledger.session())
    assert joined is not None
    assert joined.command_id is not None
    await ended(ledger, Outcome.FAILED)
    gone = Left("command", joined.command_id, 0, "", now())
    await Retention(ledger.database).forget([gone])
    found = await Environments(ledger.database).get(ID)
    assert found == replace(joined, state=EnvironmentState.FAILED, command_id=None)
