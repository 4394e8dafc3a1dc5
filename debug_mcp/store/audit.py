"""Rows of the audit log. They are added and, when they are old, removed; never changed."""

from collections.abc import Sequence
from datetime import datetime

import aiosqlite

from debug_mcp.models.audit import AuditList, Entry
from debug_mcp.store.database import Database, Row
from debug_mcp.store.rows import moment, to_micros

_ADD = """
INSERT INTO audit (
    at, principal, token_id, operation, object_id, outcome, seconds, request_id, peer
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_PAGE = """
SELECT * FROM audit
WHERE (:before IS NULL OR number < :before)
  AND (:principal IS NULL OR principal = :principal)
  AND (:token_id IS NULL OR token_id = :token_id)
  AND (:operation IS NULL OR operation = :operation)
  AND (:object_id IS NULL OR object_id = :object_id)
  AND (:outcome IS NULL OR outcome = :outcome)
  AND (:since IS NULL OR at >= :since)
  AND (:until IS NULL OR at < :until)
ORDER BY number DESC LIMIT :limit
"""


class Audit:
    """The table of entries."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, entries: Sequence[Entry]) -> None:
        """Append entries, all or none."""
        rows = [
            (
                to_micros(entry.at),
                entry.principal,
                entry.token_id,
                entry.operation,
                entry.object_id,
                entry.outcome,
                entry.seconds,
                entry.request_id,
                entry.peer,
            )
            for entry in entries
        ]

        async def unit(connection: aiosqlite.Connection) -> None:
            await connection.executemany(_ADD, rows)

        await self._database.write(unit)

    async def page(self, args: AuditList, limit: int) -> list[Entry]:
        """Return at most ``limit`` entries that are as was asked, newest first."""
        asked = {
            **args.model_dump(include={"principal", "token_id", "operation", "object_id"}),
            "outcome": args.outcome,
            "since": None if args.since is None else to_micros(args.since),
            "until": None if args.until is None else to_micros(args.until),
            "before": None if args.cursor is None else int(args.cursor),
            "limit": limit,
        }
        return [_entry(row) for row in await self._database.read(_PAGE, asked)]

    async def count_before(self, before: datetime) -> int:
        """Return how many entries are older."""
        [row] = await self._database.read(
            "SELECT count(*) FROM audit WHERE at < ?", (to_micros(before),)
        )
        return int(row[0])

    async def forget_before(self, before: datetime) -> None:
        """Remove the entries that are older."""

        async def unit(connection: aiosqlite.Connection) -> None:
            await connection.execute("DELETE FROM audit WHERE at < ?", (to_micros(before),))

        await self._database.write(unit)


def _entry(row: Row) -> Entry:
    return Entry(
        at=moment(row["at"]),
        principal=row["principal"],
        token_id=row["token_id"],
        operation=row["operation"],
        object_id=row["object_id"],
        outcome=row["outcome"],
        seconds=row["seconds"],
        request_id=row["request_id"],
        peer=row["peer"],
        number=row["number"],
    )
