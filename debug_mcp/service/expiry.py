"""Sessions end by themselves: at their time, or when nobody uses them. Their work is saved first.

Each server sleeps until the next one is due. Where several share a data directory, who moves the
session to ``closing`` has it. One whose work cannot be saved stays open and is tried again later.
"""

import logging
from datetime import datetime, timedelta

import anyio

from debug_mcp.errors import DebugMcpError
from debug_mcp.models.base import now
from debug_mcp.models.sessions import EXPIRED
from debug_mcp.service.audit import AuditService
from debug_mcp.service.closing import Closing
from debug_mcp.store.expiries import Due, Expiries
from debug_mcp.store.sessions import Sessions

# Another server may have opened one that is due sooner, and be gone.
LOOK_SECONDS = 900
RETRY = timedelta(seconds=600)

_log = logging.getLogger(__name__)


class Expiry:
    """Ends sessions when they are due."""

    def __init__(
        self,
        store: Expiries,
        sessions: Sessions,
        closing: Closing,
        audit: AuditService,
        instance: str,
    ) -> None:
        self._store = store
        self._sessions = sessions
        self._closing = closing
        self._audit = audit
        self._instance = instance
        self._wake = anyio.Event()
        self._not_before: dict[str, datetime] = {}

    def wake(self) -> None:
        """Say that a session was opened, which may be the next that is due."""
        self._wake.set()
        self._wake = anyio.Event()

    async def serve(self) -> None:
        """End what is due, now and whenever something is, until cancelled."""
        while True:
            wake = self._wake
            seconds = float(LOOK_SECONDS)
            try:
                seconds = await self.expire()
            except Exception:  # noqa: BLE001  # ledger busy, disk full: it goes on after that
                _log.warning("sessions cannot be ended", exc_info=True)
            with anyio.move_on_after(seconds):
                await wake.wait()

    async def expire(self) -> float:
        """End every session that is due; return in how many seconds to look again."""
        for due in await self._store.due():
            if self._moment(due) <= now():
                await self._end(due.session_id)
        left = await self._store.due()
        # The end of a command, which rings no bell here, makes its session due no sooner than this.
        unused = (due.idle_seconds or LOOK_SECONDS for due in left)
        seconds = ((self._moment(due) - now()).total_seconds() for due in left)
        return max(0.0, min((LOOK_SECONDS, *unused, *seconds)))

    async def _end(self, session_id: str) -> None:
        if not await self._store.begin(session_id, now(), self._instance):
            return
        try:
            with self._audit.watching(None, "session_expire", session_id):
                await self._closing.end(await self._sessions.get(session_id), EXPIRED)
        except (DebugMcpError, OSError):
            self._not_before[session_id] = now() + RETRY
            _log.warning("session %s has expired and cannot be saved", session_id, exc_info=True)

    def _moment(self, due: Due) -> datetime:
        """Return when a session is to be ended; later when that failed just now."""
        return max(due.at, self._not_before.get(due.session_id, due.at))
