"""Rows of debug runs: what was asked, and the last that was shown of each."""

import json
from typing import Any

import aiosqlite

from debug_mcp.models.base import Owner, now
from debug_mcp.models.commands import Command
from debug_mcp.models.debugging import DebugRow, DebugRun
from debug_mcp.store.database import Database, Row
from debug_mcp.store.rows import OWN, fresh_id, insert, to_micros

_OWNED = f"SELECT * FROM debug_runs WHERE id = :id AND {OWN}"  # noqa: S608
_RECENT = f"SELECT id FROM debug_runs WHERE {OWN} ORDER BY created_at DESC LIMIT 20"  # noqa: S608


class DebugRuns:
    """The table of debug runs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, command: Command, asked: DebugRun) -> DebugRow:
        """Store a run under a fresh id; return the one that a command has already."""

        async def unit(connection: aiosqlite.Connection) -> DebugRow:
            known = list(
                await connection.execute_fetchall(
                    "SELECT * FROM debug_runs WHERE command_id = ?", (command.id,)
                )
            )
            if known:
                return _row(known[0])
            row: DebugRow = DebugRow(
                id=await fresh_id(connection, "debug_runs", "d"),
                command_id=command.id,
                session_id=command.session_id,
                principal=command.principal,
                asked=asked,
                view={},
            )
            await insert(
                connection,
                "debug_runs",
                {
                    "id": row.id,
                    "command_id": row.command_id,
                    "session_id": row.session_id,
                    "principal": row.principal,
                    "asked": asked.model_dump_json(exclude_defaults=True),
                    "created_at": to_micros(now()),
                },
            )
            return row

        return await self._database.write(unit, durable=True)

    async def restart(self, run_id: str, command: Command, asked: DebugRun) -> None:
        """Note that a run goes on under another command, with what is asked now."""

        async def unit(connection: aiosqlite.Connection) -> None:
            await connection.execute(
                "UPDATE debug_runs SET command_id = ?, asked = ?, view = '{}' WHERE id = ?",
                (command.id, asked.model_dump_json(exclude_defaults=True), run_id),
            )

        await self._database.write(unit, durable=True)

    async def note(self, run_id: str, view: dict[str, Any]) -> None:
        """Store what was shown last."""

        async def unit(connection: aiosqlite.Connection) -> None:
            await connection.execute(
                "UPDATE debug_runs SET view = ? WHERE id = ?", (json.dumps(view), run_id)
            )

        await self._database.write(unit)

    async def owned(self, run_id: str, owner: Owner) -> DebugRow | None:
        """Return the owner's run of this id, or None."""
        row = await self._database.read_one(_OWNED, {"id": run_id, **owner.parameters})
        return None if row is None else _row(row)

    async def recent_ids(self, owner: Owner) -> list[str]:
        """Return the ids of the owner's newest runs, at most 20."""
        return [row["id"] for row in await self._database.read(_RECENT, owner.parameters)]


def _row(row: Row) -> DebugRow:
    return DebugRow(
        id=row["id"],
        command_id=row["command_id"],
        session_id=row["session_id"],
        principal=row["principal"],
        asked=DebugRun.model_validate_json(row["asked"]),
        view=json.loads(row["view"]),
    )
