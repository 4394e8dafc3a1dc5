"""What sessions that ended left in the ledger, and evidence; and their end."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import aiosqlite

from debug_mcp.store.database import Database
from debug_mcp.store.rows import moment

# Nothing of a session that is open, or on its way, is ever here.
_LEFT = """
SELECT 'command' AS kind, commands.id, coalesce(output_bytes, 0) AS size, '' AS sha256,
    ended_at AS since
FROM commands JOIN sessions ON sessions.id = session_id
WHERE commands.state = 'finished' AND sessions.state IN ('closed', 'failed')
UNION ALL
SELECT 'artifact', artifacts.id, size, sha256, artifacts.created_at
FROM artifacts JOIN sessions ON sessions.id = session_id
WHERE sessions.state IN ('closed', 'failed')
UNION ALL
SELECT 'evidence', id, 0, '', ended_at FROM evidence WHERE state = 'finished'
ORDER BY since, 2
"""
# A content that two artifacts share is there once.
_SIZE = """
SELECT (SELECT coalesce(sum(output_bytes), 0) FROM commands WHERE state = 'finished')
    + (SELECT coalesce(sum(size), 0) FROM (SELECT DISTINCT sha256, size FROM artifacts)) AS size
"""
_FORGET = {
    "command": (
        "DELETE FROM command_artifacts WHERE command_id = ?",
        "DELETE FROM tasks WHERE command_id = ?",
        "DELETE FROM debug_runs WHERE command_id = ?",
        "UPDATE environments SET command_id = NULL WHERE command_id = ?",
        "DELETE FROM idempotency_keys WHERE object_id = ?",
        "DELETE FROM commands WHERE id = ? AND state = 'finished'",
    ),
    "artifact": (
        "DELETE FROM command_artifacts WHERE artifact_id = ?",
        "DELETE FROM artifacts WHERE id = ?",
    ),
    "evidence": (
        "DELETE FROM idempotency_keys WHERE object_id = ?",
        "DELETE FROM evidence WHERE id = ? AND state = 'finished'",
    ),
}


@dataclass(frozen=True, slots=True)
class Left:
    """A finished command or an artifact of a session that ended, or evidence; ``size`` in bytes."""

    kind: Literal["command", "artifact", "evidence"]
    id: str
    size: int
    sha256: str
    since: datetime


class Retention:
    """What may be removed, oldest first."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def left(self) -> list[Left]:
        """Return what sessions that ended left, and evidence, oldest first."""
        rows = await self._database.read(_LEFT)
        return [
            Left(row["kind"], row["id"], row["size"], row["sha256"], moment(row["since"]))
            for row in rows
        ]

    async def size(self) -> int:
        """Return the bytes of all outputs and artifacts, those of open sessions too."""
        [row] = await self._database.read(_SIZE)
        return int(row["size"])

    async def forget(self, left: Sequence[Left]) -> None:
        """Delete rows, and whatever names them."""

        async def unit(connection: aiosqlite.Connection) -> None:
            for each in left:
                for statement in _FORGET[each.kind]:
                    await connection.execute(statement, (each.id,))

        await self._database.write(unit)

    async def unknown_commands(self, names: Collection[str]) -> set[str]:
        """Return those names that are of no command."""
        return set(names) - {
            row["id"] for row in await self._database.read("SELECT id FROM commands")
        }

    async def unknown_contents(self, names: Collection[str]) -> set[str]:
        """Return those names that are the sha256 of no artifact."""
        known = await self._database.read("SELECT DISTINCT sha256 FROM artifacts")
        return set(names) - {row["sha256"] for row in known}
