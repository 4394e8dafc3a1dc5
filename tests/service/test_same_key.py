"""Calls with one idempotency key at the same time."""

import anyio
import pytest

from debug_mcp.auth.principal import LOCAL
from debug_mcp.errors import Conflict
from debug_mcp.models.commands import CommandList, CommandRun, CommandView
from debug_mcp.models.sessions import SessionClose, SessionCreate, SessionState, SessionView
from debug_mcp.service.services import Services
from tests.upstream import FIX, Upstream

pytestmark = pytest.mark.anyio


async def together(services: Services, args: SessionCreate) -> list[SessionView | Conflict]:
    """Make the same call three times at once; return what each was answered."""
    answers: list[SessionView | Conflict] = []

    async def create() -> None:
        try:
            answers.append(await services.sessions.create(LOCAL, args))
        except Conflict as error:
            answers.append(error)

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(create)
    return answers


async def test_calls_with_one_key_get_one_session(services: Services, upstream: Upstream) -> None:
    args = SessionCreate(repository=str(upstream.path), patch=FIX, idempotency_key="key")
    answers = await together(services, args)
    assert len({view.session_id for view in answers if isinstance(view, SessionView)}) == 1
    assert all(
        isinstance(view, SessionView) and view.state is SessionState.READY for view in answers
    )


async def test_when_the_call_that_prepares_fails_the_others_do_not_get_a_failed_session(
    services: Services, upstream: Upstream
) -> None:
    broken = FIX.replace("a - b", "a * b")
    args = SessionCreate(repository=str(upstream.path), patch=broken, idempotency_key="key")
    assert all(isinstance(answer, Conflict) for answer in await together(services, args))


async def test_ten_equal_calls_at_once_make_one_command(
    services: Services, upstream: Upstream
) -> None:
    session = await services.sessions.create(LOCAL, SessionCreate(repository=str(upstream.path)))
    args = CommandRun(session_id=session.session_id, command="echo once", idempotency_key="key")
    answers: list[CommandView] = []

    async def ask() -> None:
        answers.append(await services.commands.run(LOCAL, args))

    async with anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(ask)

    assert len({view.command_id for view in answers}) == 1
    listed = await services.commands.list(LOCAL, CommandList())
    assert [row.command_id for row in listed.commands] == [answers[0].command_id]


async def test_a_key_means_its_command_after_the_session_was_closed_too(
    services: Services, upstream: Upstream
) -> None:
    session = await services.sessions.create(LOCAL, SessionCreate(repository=str(upstream.path)))
    args = CommandRun(session_id=session.session_id, command="true", idempotency_key="key")
    first = await services.commands.run(LOCAL, args)
    await services.closing.close(LOCAL, SessionClose(session_id=session.session_id))

    again = await services.commands.run(LOCAL, args)

    assert again.command_id == first.command_id
    with pytest.raises(Conflict, match="closed"):
        await services.commands.run(LOCAL, args.model_copy(update={"idempotency_key": "new"}))


async def test_a_key_means_its_session_although_the_upstream_is_gone(
    services: Services, upstream: Upstream
) -> None:
    args = SessionCreate(repository=str(upstream.path), ref="main", idempotency_key="key")
    first = await services.sessions.create(LOCAL, args)
    upstream.path.rename(upstream.path.with_name("elsewhere"))

    again = await services.sessions.create(LOCAL, args)

    assert again.session_id == first.session_id
