"""When sessions end by themselves."""

from datetime import datetime
from typing import NamedTuple

import aiosqlite

from debug_mcp.lifecycle import SESSION, sources
from debug_mcp.models.sessions import SessionState
from debug_mcp.store.database import Database
from debug_mcp.store.rows import advance, moment, to_micros

_NEVER = 1 << 62
# A session with a command that has not ended does not go unused, however long that takes.
_DUE = f"""
SELECT id, idle_seconds, min(
    coalesce(expires_at, {_NEVER}),
    CASE WHEN EXISTS (
        SELECT 1 FROM commands WHERE session_id = sessions.id AND state <> 'finished'
    ) THEN {_NEVER} ELSE coalesce(used_at + idle_seconds * 1000000, {_NEVER}) END
) AS due FROM sessions WHERE state = 'ready' AND due < {_NEVER}
"""  # noqa: S608
_USED = "UPDATE sessions SET used_at = max(used_at, ?) WHERE id = ?"


class Due(NamedTuple):
    """A session, when it ends if nothing happens, and how long it may go unused."""

    session_id: str
    at: datetime
    idle_seconds: int | None


class Expiries:
    """The times of sessions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def due(self) -> list[Due]:
        """Return when each ready session ends if nothing happens, the first first."""
        rows = await self._database.read(f"{_DUE} ORDER BY due")
        return [Due(row["id"], moment(row["due"]), row["idle_seconds"]) for row in rows]

    async def used(self, session_id: str, at: datetime) -> None:
        """Store that a session is used."""

        async def unit(connection: aiosqlite.Connection) -> None:
            await connection.execute(_USED, (to_micros(at), session_id))

        await self._database.write(unit)

    async def begin(self, session_id: str, at: datetime, instance: str) -> bool:
        """Begin to close a session; return whether it was still due, and nobody else was first."""

        async def unit(connection: aiosqlite.Connection) -> bool:
            due = await connection.execute_fetchall(
                f"{_DUE} AND id = ? AND due <= ?", (session_id, to_micros(at))
            )
            changes = {"state": SessionState.CLOSING, "instance": instance}
            return bool(list(due)) and await advance(
                connection,
                "sessions",
                session_id,
                sources(SESSION, SessionState.CLOSING),
                changes,
            )

        return await self._database.write(unit, durable=True)
