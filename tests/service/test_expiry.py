"""Ending sessions: what cannot be saved stays, and nothing is looked at without need."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from debug_mcp.errors import ToolFailed
from debug_mcp.models.base import now
from debug_mcp.service import expiry
from debug_mcp.service.audit import AuditService
from debug_mcp.service.expiry import Expiry
from debug_mcp.store.expiries import Due

pytestmark = pytest.mark.anyio


class Ledger:
    """Sessions that are due at given times."""

    def __init__(self, **due: datetime) -> None:
        self.rows = [Due(name, at, 24 * 3600) for name, at in due.items()]

    async def due(self) -> list[Due]:
        return self.rows

    async def begin(self, session_id: str, at: datetime, instance: str) -> bool:
        assert instance == "here"
        return session_id != "of another"

    async def get(self, session_id: str) -> str:
        return session_id


class Closing:
    """Notes what it is asked to end; cannot save what is called ``damaged``."""

    def __init__(self, ledger: Ledger) -> None:
        self.ended: list[str] = []
        self._ledger = ledger

    async def end(self, session: str, why: str) -> None:
        assert why == "expired"
        self.ended.append(session)
        if session == "damaged":
            raise ToolFailed("it cannot be saved")
        self._ledger.rows = [due for due in self._ledger.rows if due.session_id != session]


def server(**due: datetime) -> tuple[Expiry, Closing]:
    ledger: Any = Ledger(**due)
    closing: Any = Closing(ledger)
    return Expiry(ledger, ledger, closing, AuditService(ledger), "here"), closing


async def test_what_is_due_is_ended_and_the_next_one_waited_for() -> None:
    soon = now() + timedelta(seconds=100)
    server_, closing = server(a=now(), b=soon, c=now() + timedelta(days=1))
    seconds = await server_.expire()
    assert closing.ended == ["a"]
    assert 0 < seconds <= 100


async def test_what_cannot_be_saved_stays_and_is_not_tried_again_at_once() -> None:
    server_, closing = server(damaged=now(), fine=now())
    assert await server_.expire() > expiry.RETRY.total_seconds() - 60
    await server_.expire()
    assert closing.ended == ["damaged", "fine"]


async def test_what_another_server_ends_is_left_to_it() -> None:
    server_, closing = server(**{"of another": now()})
    await server_.expire()
    assert closing.ended == []


async def test_where_nothing_is_due_the_server_sleeps() -> None:
    server_, _ = server(a=now() + timedelta(days=7))
    assert await server_.expire() == expiry.LOOK_SECONDS
    server_, _ = server()
    assert await server_.expire() == expiry.LOOK_SECONDS
