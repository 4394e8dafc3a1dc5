"""Rows of sessions."""

import json
from dataclasses import replace
from typing import Any, LiteralString

import aiosqlite

from debug_mcp.errors import Conflict
from debug_mcp.lifecycle import SESSION, sources
from debug_mcp.models.base import Owner, now
from debug_mcp.models.sessions import Isolation, SessionState, WorkSession
from debug_mcp.store.database import Database, Row
from debug_mcp.store.idempotency import KNOWN, Request, forget, recall, remember
from debug_mcp.store.rows import (
    OWN_SESSIONS,
    adopt,
    advance,
    fresh_id,
    insert,
    moment,
    to_micros,
    to_moment,
)

_OWNED = f"SELECT * FROM sessions WHERE id = :id AND {OWN_SESSIONS}"  # noqa: S608
_PAGE = f"""
SELECT * FROM sessions WHERE {OWN_SESSIONS} AND (created_at, id) < (:created_at, :id)
ORDER BY created_at DESC, id DESC LIMIT :limit
"""  # noqa: S608
_EXPORTING = f"""
SELECT id FROM sessions
WHERE {OWN_SESSIONS} AND repository_id = :repository AND exported_ref IS NOT NULL
ORDER BY created_at DESC LIMIT 200
"""  # noqa: S608
_OPEN = f"""
SELECT id FROM sessions WHERE {OWN_SESSIONS} AND state = 'ready' ORDER BY created_at DESC LIMIT 20
"""  # noqa: S608

_FOR_EVER = 2**63 - 1


class Sessions:
    """The table of sessions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self, session: WorkSession, request: Request | None
    ) -> tuple[WorkSession, bool]:
        """Store a session under a fresh id; return it, and whether it is new.

        Raises:
            Conflict: The idempotency key was used with other arguments, or another session of the
                principal's that is open has the name.
        """

        async def unit(connection: aiosqlite.Connection) -> tuple[WorkSession, bool]:
            known = await recall(connection, request)
            if known is not None:
                rows = await connection.execute_fetchall(
                    "SELECT * FROM sessions WHERE id = ?", (known,)
                )
                return _session(next(iter(rows))), False
            await _check_name(connection, session)
            stored = replace(session, id=await fresh_id(connection, "sessions", "s"))
            await insert(
                connection,
                "sessions",
                {
                    "id": stored.id,
                    "repository_id": stored.repository_id,
                    "principal": stored.principal,
                    "state": stored.state,
                    "ref": stored.ref,
                    "base": stored.base,
                    "isolation": stored.isolation,
                    "instance": stored.instance,
                    "created_at": to_micros(stored.created_at),
                    "patch_digest": stored.patch_digest,
                    "name": stored.name,
                    "env": json.dumps(dict(stored.env)),
                    "expires_at": stored.expires_at and to_micros(stored.expires_at),
                    "idle_seconds": stored.idle_seconds,
                    "used_at": stored.used_at and to_micros(stored.used_at),
                },
            )
            await remember(connection, request, stored.id)
            return stored, True

        return await self._database.write(unit, durable=True)

    async def asked_for(self, request: Request | None) -> WorkSession | None:
        """Return the session that this very request made before, or None."""
        if request is None:
            return None
        row = await self._database.read_one(KNOWN, request.identity)
        return None if row is None or row[0] != request.digest else await self.get(row[1])

    async def advance(
        self,
        session_id: str,
        state: SessionState,
        *,
        instance: str | None = None,
        closed_why: str | None = None,
    ) -> bool:
        """Move to a state that the lifecycle allows; return whether it was reached.

        Args:
            session_id: The session.
            state: Where to.
            instance: The server that is at work on it from now on.
            closed_why: Why it ended, with ``closed``.
        """
        changes: dict[LiteralString, Any] = {"state": state, "closed_why": closed_why}
        if state is SessionState.CLOSED:
            changes["closed_at"] = to_micros(now())
        if instance is not None:
            changes["instance"] = instance
        return await self._database.write(
            lambda connection: advance(
                connection, "sessions", session_id, sources(SESSION, state), changes
            ),
            durable=True,
        )

    async def fail(self, session_id: str) -> None:
        """Give up a session that could not be prepared; its idempotency key is free again."""

        async def unit(connection: aiosqlite.Connection) -> None:
            if await advance(
                connection,
                "sessions",
                session_id,
                sources(SESSION, SessionState.FAILED),
                {"state": SessionState.FAILED},
            ):
                await forget(connection, session_id)

        await self._database.write(unit)

    async def adopt(self, session_id: str, from_instance: str, instance: str) -> bool:
        """Take over what a server that is gone left half-made or half-closed.

        Returns whether nobody else did: only one may set right what is wrong.
        """
        halfway = (SessionState.PREPARING, SessionState.CLOSING)
        return await self._database.write(
            lambda connection: adopt(
                connection, "sessions", session_id, halfway, from_instance, instance
            )
        )

    async def note_export(self, session_id: str, ref: str) -> None:
        """Store which ref of the mirror holds the session's work."""

        async def unit(connection: aiosqlite.Connection) -> None:
            await connection.execute(
                "UPDATE sessions SET exported_ref = ? WHERE id = ?", (ref, session_id)
            )

        await self._database.write(unit)

    async def owned(self, session_id: str, owner: Owner) -> WorkSession | None:
        """Return the owner's session of this id, or None."""
        row = await self._database.read_one(_OWNED, {"id": session_id, **owner.parameters})
        return None if row is None else _session(row)

    async def get(self, session_id: str) -> WorkSession:
        """Return a session that is known to exist."""
        rows = await self._database.read("SELECT * FROM sessions WHERE id = ?", (session_id,))
        return _session(rows[0])

    async def open_ids(self, owner: Owner) -> list[str]:
        """Return the ids of the owner's ready sessions, newest first, at most 20."""
        rows = await self._database.read(_OPEN, owner.parameters)
        return [row["id"] for row in rows]

    async def page(self, owner: Owner, after: WorkSession | None, limit: int) -> list[WorkSession]:
        """Return some of the owner's sessions, newest first, from the one after another on."""
        rows = await self._database.read(
            _PAGE,
            {
                **owner.parameters,
                "created_at": _FOR_EVER if after is None else to_micros(after.created_at),
                "id": "" if after is None else after.id,
                "limit": limit,
            },
        )
        return [_session(row) for row in rows]

    async def exporting(self, owner: Owner, repository_id: str) -> list[str]:
        """Return the ids of the owner's newest sessions of a repository whose work was saved."""
        asked = {**owner.parameters, "repository": repository_id}
        return [row["id"] for row in await self._database.read(_EXPORTING, asked)]

    async def open_in(self, repository_id: str) -> list[WorkSession]:
        """Return every session of a repository that is not at its end, oldest first."""
        rows = await self._database.read(
            "SELECT * FROM sessions WHERE repository_id = ? "
            "AND state NOT IN ('closed', 'failed') ORDER BY created_at",
            (repository_id,),
        )
        return [_session(row) for row in rows]

    async def in_state(self, *states: SessionState) -> list[WorkSession]:
        """Return every session in one of the states, oldest first."""
        rows = await self._database.read(
            "SELECT * FROM sessions WHERE state IN (SELECT value FROM json_each(?)) "
            "ORDER BY created_at",
            (json.dumps(states),),
        )
        return [_session(row) for row in rows]

    async def count_open(self) -> int:
        """Return how many sessions are ready."""
        rows = await self._database.read("SELECT count(*) FROM sessions WHERE state = 'ready'")
        return int(rows[0][0])


async def _check_name(connection: aiosqlite.Connection, session: WorkSession) -> None:
    rows = await connection.execute_fetchall(
        "SELECT id FROM sessions WHERE principal = ? AND name = ? "
        "AND state NOT IN ('closed', 'failed')",
        (session.principal, session.name),
    )
    for row in rows:
        raise Conflict(
            f"session {row['id']} of yours is open under the name {session.name!r}: work in that "
            "one, or give this one another name",
            field="name",
            candidates=[row["id"]],
        )


def _session(row: Row) -> WorkSession:
    return WorkSession(
        id=row["id"],
        repository_id=row["repository_id"],
        principal=row["principal"],
        state=SessionState(row["state"]),
        ref=row["ref"],
        base=row["base"],
        isolation=Isolation(row["isolation"]),
        instance=row["instance"],
        created_at=moment(row["created_at"]),
        patch_digest=row["patch_digest"],
        closed_why=row["closed_why"],
        exported_ref=row["exported_ref"],
        name=row["name"],
        env=json.loads(row["env"]),
        expires_at=to_moment(row["expires_at"]),
        idle_seconds=row["idle_seconds"],
        used_at=to_moment(row["used_at"]),
        closed_at=to_moment(row["closed_at"]),
        environment=row["environment"],
    )
