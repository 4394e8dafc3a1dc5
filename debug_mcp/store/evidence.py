"""Rows of evidence: what is to be shown, and what came of it."""

import json
from dataclasses import replace
from typing import Any

import aiosqlite

from debug_mcp.lifecycle import EVIDENCE, sources
from debug_mcp.models.base import Owner, now
from debug_mcp.models.evidence import EvidenceKind, EvidenceRow, EvidenceState
from debug_mcp.store.database import Database, Row
from debug_mcp.store.idempotency import KNOWN, Request, forget, recall, remember
from debug_mcp.store.rows import OWN_SESSIONS, adopt, advance, fresh_id, insert, moment, to_micros

_OWNED = f"""
SELECT * FROM evidence WHERE id = :id AND kind = :kind AND {OWN_SESSIONS}
"""  # noqa: S608
_OWNED_OF_ANY_KIND = f"SELECT * FROM evidence WHERE id = :id AND {OWN_SESSIONS}"  # noqa: S608
# Each step has a key of its own that begins with the id; "0" comes after "/".
_COMMANDS = """
SELECT object_id FROM idempotency_keys WHERE principal = ? AND operation = 'command_run'
  AND key >= ? || '/' AND key < ? || '0' ORDER BY key
"""
_RECENT = f"""
SELECT id FROM evidence WHERE kind = :kind AND {OWN_SESSIONS} ORDER BY created_at DESC LIMIT 20
"""  # noqa: S608


class Evidence:
    """The table of evidence."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def accept(self, asked: EvidenceRow, request: Request | None) -> tuple[EvidenceRow, bool]:
        """Store what is asked under a fresh id; return it, and whether it is new.

        Raises:
            Conflict: The idempotency key was used with other arguments.
        """

        async def unit(connection: aiosqlite.Connection) -> tuple[EvidenceRow, bool]:
            known = await recall(connection, request)
            if known is not None:
                rows = await connection.execute_fetchall(
                    "SELECT * FROM evidence WHERE id = ?", (known,)
                )
                return _evidence(next(iter(rows))), False
            stored = replace(asked, id=await fresh_id(connection, "evidence", "x"))
            await insert(
                connection,
                "evidence",
                {
                    "id": stored.id,
                    "kind": stored.kind,
                    "principal": stored.principal,
                    "repository_id": stored.repository_id,
                    "state": stored.state,
                    "instance": stored.instance,
                    "asked": json.dumps(stored.asked),
                    "created_at": to_micros(stored.created_at),
                },
            )
            await remember(connection, request, stored.id)
            return stored, True

        return await self._database.write(unit, durable=True)

    async def asked_for(self, request: Request | None) -> EvidenceRow | None:
        """Return what this very request asked for before, or None."""
        if request is None:
            return None
        row = await self._database.read_one(KNOWN, request.identity)
        return None if row is None or row[0] != request.digest else await self.get(row[1])

    async def note(self, evidence_id: str, progress: dict[str, Any]) -> None:
        """Store how far it is."""
        await self._database.write(
            lambda connection: advance(
                connection,
                "evidence",
                evidence_id,
                (EvidenceState.RUNNING,),
                {"progress": json.dumps(progress)},
            )
        )

    async def finish(
        self, evidence_id: str, result: dict[str, Any], *, free_key: bool = False
    ) -> bool:
        """Store what came of it, and let its idempotency key be used again where that is said.

        Returns:
            False when something was stored before.
        """

        async def unit(connection: aiosqlite.Connection) -> bool:
            if free_key:
                await forget(connection, evidence_id)
            return await advance(
                connection,
                "evidence",
                evidence_id,
                sources(EVIDENCE, EvidenceState.FINISHED),
                {
                    "state": EvidenceState.FINISHED,
                    "result": json.dumps(result),
                    "ended_at": to_micros(now()),
                },
            )

        return await self._database.write(unit, durable=True)

    async def adopt(self, evidence_id: str, from_instance: str, instance: str) -> bool:
        """Take over from a server that is gone; return whether nobody else did."""
        running = (EvidenceState.RUNNING,)
        return await self._database.write(
            lambda connection: adopt(
                connection, "evidence", evidence_id, running, from_instance, instance
            )
        )

    async def owned(self, evidence_id: str, kind: EvidenceKind, owner: Owner) -> EvidenceRow | None:
        """Return the owner's evidence of this id and kind, or None."""
        wanted = {"id": evidence_id, "kind": kind, **owner.parameters}
        row = await self._database.read_one(_OWNED, wanted)
        return None if row is None else _evidence(row)

    async def owned_of_any_kind(self, evidence_id: str, owner: Owner) -> EvidenceRow | None:
        """Return the owner's evidence of this id, or None."""
        row = await self._database.read_one(
            _OWNED_OF_ANY_KIND, {"id": evidence_id, **owner.parameters}
        )
        return None if row is None else _evidence(row)

    async def command_ids(self, row: EvidenceRow) -> list[str]:
        """Return the commands that evidence is made of, by the names of its steps."""
        found = await self._database.read(_COMMANDS, (row.principal, row.id, row.id))
        return [each["object_id"] for each in found]

    async def get(self, evidence_id: str) -> EvidenceRow:
        """Return evidence that is known to exist."""
        [row] = await self._database.read("SELECT * FROM evidence WHERE id = ?", (evidence_id,))
        return _evidence(row)

    async def running(self) -> list[EvidenceRow]:
        """Return what some server is at work on, or was."""
        rows = await self._database.read("SELECT * FROM evidence WHERE state = 'running'")
        return [_evidence(row) for row in rows]

    async def recent_ids(self, kind: EvidenceKind, owner: Owner) -> list[str]:
        """Return the ids of the owner's newest evidence of a kind, at most 20."""
        wanted = {"kind": kind, **owner.parameters}
        return [row["id"] for row in await self._database.read(_RECENT, wanted)]


def _evidence(row: Row) -> EvidenceRow:
    return EvidenceRow(
        id=row["id"],
        kind=EvidenceKind(row["kind"]),
        principal=row["principal"],
        repository_id=row["repository_id"],
        state=EvidenceState(row["state"]),
        instance=row["instance"],
        asked=json.loads(row["asked"]),
        created_at=moment(row["created_at"]),
        progress=json.loads(row["progress"]),
        result=None if row["result"] is None else json.loads(row["result"]),
    )
