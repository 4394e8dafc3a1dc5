"""Rows of tasks: unguessable names for commands, for clients that follow tasks."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

import aiosqlite

from debug_mcp.models.base import now
from debug_mcp.store.database import Database
from debug_mcp.store.rows import insert, moment, to_micros

TIME_TO_LIVE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Task:
    """A task that stands for a command."""

    id: str
    command_id: str
    created_at: datetime


class Tasks:
    """The table of tasks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, principal: str, command_id: str) -> Task:
        """Store a task for a command, and forget those whose time is over."""
        task = Task(secrets.token_urlsafe(24), command_id, now())

        async def unit(connection: aiosqlite.Connection) -> None:
            over = to_micros(task.created_at - TIME_TO_LIVE)
            await connection.execute("DELETE FROM tasks WHERE created_at < ?", (over,))
            await insert(
                connection,
                "tasks",
                {
                    "id": task.id,
                    "principal": principal,
                    "command_id": command_id,
                    "created_at": to_micros(task.created_at),
                },
            )

        await self._database.write(unit, durable=True)
        return task

    async def owned(self, task_id: str, principal: str) -> Task | None:
        """Return the principal's task of this id whose time is not over, or None."""
        row = await self._database.read_one(
            "SELECT * FROM tasks WHERE id = ? AND principal = ? AND created_at >= ?",
            (task_id, principal, to_micros(now() - TIME_TO_LIVE)),
        )
        if row is None:
            return None
        return Task(row["id"], row["command_id"], moment(row["created_at"]))
