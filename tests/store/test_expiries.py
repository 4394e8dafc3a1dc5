"""When sessions are due, by the ledger alone."""

from datetime import timedelta
from typing import Any

import pytest

from debug_mcp.models.commands import Outcome
from debug_mcp.models.sessions import SessionState
from debug_mcp.store.commands import End
from debug_mcp.store.expiries import Expiries
from tests.store.ledger import MIDDAY, Ledger

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)
TIMES: dict[str, Any] = {"expires_at": MIDDAY + 10 * HOUR, "idle_seconds": 3600, "used_at": MIDDAY}


async def test_a_session_is_due_when_it_went_unused_and_at_its_end_at_the_latest(
    ledger: Ledger,
) -> None:
    expiries = Expiries(ledger.database)
    session = await ledger.session(**TIMES)
    forever = await ledger.session(used_at=MIDDAY)
    assert [(due.session_id, due.at) for due in await expiries.due()] == [
        (session.id, MIDDAY + HOUR)
    ]
    await expiries.used(session.id, MIDDAY + 2 * HOUR)
    await expiries.used(session.id, MIDDAY)
    assert (await expiries.due())[0].at == MIDDAY + 3 * HOUR
    await expiries.used(session.id, MIDDAY + 9.5 * HOUR)
    assert (await expiries.due())[0].at == MIDDAY + 10 * HOUR
    assert not await expiries.begin(forever.id, MIDDAY + 1000 * HOUR, "here")


async def test_a_session_with_a_command_ends_at_its_end_alone(ledger: Ledger) -> None:
    expiries = Expiries(ledger.database)
    session = await ledger.session(**TIMES)
    command = await ledger.command(session)
    assert not await expiries.begin(session.id, MIDDAY + 9 * HOUR, "here")
    assert (await expiries.due())[0].at == MIDDAY + 10 * HOUR
    await ledger.commands.finish(command.id, End(Outcome.CANCELLED, MIDDAY + 4 * HOUR))
    assert (await expiries.due())[0].at == MIDDAY + 5 * HOUR


@pytest.mark.parametrize("busy", [True, False])
async def test_one_of_several_servers_ends_a_session(ledger: Ledger, busy: bool) -> None:
    expiries = Expiries(ledger.database)
    session = await ledger.session(**TIMES)
    if busy:
        await ledger.command(session)
    assert not await expiries.begin(session.id, MIDDAY, "here")
    at = MIDDAY + 10 * HOUR
    assert [await expiries.begin(session.id, at, name) for name in ("here", "there")] == [
        True,
        False,
    ]
    closing = await ledger.sessions.get(session.id)
    assert (closing.state, closing.instance) == (SessionState.CLOSING, "here")
    assert await expiries.due() == []
