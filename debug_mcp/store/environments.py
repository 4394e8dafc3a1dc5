"""Rows of environments: who builds one, and who has it."""

import json
from collections.abc import Callable
from dataclasses import dataclass

import aiosqlite

from debug_mcp.lifecycle import ENVIRONMENT, sources
from debug_mcp.models.base import now
from debug_mcp.models.commands import Command
from debug_mcp.models.environments import Environment, EnvironmentState
from debug_mcp.store.accepting import queue
from debug_mcp.store.database import Database, Row
from debug_mcp.store.rows import advance, insert, moment, to_micros

_OF_SESSION = """
SELECT environments.*, commands.principal AS builder FROM sessions
JOIN environments ON environments.id = sessions.environment
LEFT JOIN commands ON commands.id = environments.command_id
WHERE sessions.id = ?
"""
# One session for each environment that nobody builds: the oldest that has not tried itself.
_LEFT = """
SELECT environment, id FROM sessions
WHERE environment IN (SELECT id FROM environments WHERE state = 'waiting') AND state = 'ready'
  AND id NOT IN (SELECT session_id FROM commands WHERE kind = 'setup')
ORDER BY created_at DESC
"""
_NOT_USED = """
NOT EXISTS (
  SELECT 1 FROM sessions WHERE environment = environments.id AND state NOT IN ('closed', 'failed')
)
"""
_UNUSED = f"""
SELECT * FROM environments WHERE state <> 'building' AND {_NOT_USED} ORDER BY used_at, id
"""  # noqa: S608
_DROP = f"DELETE FROM environments WHERE id = ? AND state <> 'building' AND {_NOT_USED}"  # noqa: S608


@dataclass(frozen=True, slots=True)
class Asked:
    """An environment for which a session waits, or that it has; and whose session built it."""

    environment: Environment
    builder: str | None


class Environments:
    """The table of environments."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def join(
        self,
        session_id: str,
        wanted: Environment,
        command: Command | None = None,
        limit: int = 0,
        *,
        there: bool,
    ) -> Environment | None:
        """Give a session an environment: one that is there, or is being built, or by its command.

        However many sessions and servers ask for the same at once, one of them builds it.

        Args:
            session_id: The session.
            wanted: The environment, in state ``waiting``.
            command: What builds it, where nobody else does.
            limit: How many commands may be queued in the session.
            there: Whether its files are there; a ready one without them is built again.

        Returns:
            The environment as it is then; None when it is to be built and there is no ``command``.

        Raises:
            Busy: The session's queue is full.
            Conflict: The session is not ready any more.
        """

        async def unit(connection: aiosqlite.Connection) -> Environment | None:
            known = await _get(connection, wanted.id)
            usable = known is not None and (
                known.state is EnvironmentState.BUILDING
                or (known.state is EnvironmentState.READY and there)
            )
            if not usable:
                if command is None:
                    return None
                if known is None:
                    await _insert(connection, wanted)
                queued = await queue(connection, command, limit)
                await advance(
                    connection,
                    "environments",
                    wanted.id,
                    sources(ENVIRONMENT, EnvironmentState.BUILDING),
                    {"state": EnvironmentState.BUILDING, "command_id": queued.id, "size": 0},
                )
            await connection.execute(
                "UPDATE environments SET used_at = ? WHERE id = ?",
                (to_micros(wanted.used_at), wanted.id),
            )
            await connection.execute(
                "UPDATE sessions SET environment = ? WHERE id = ?", (wanted.id, session_id)
            )
            return await _get(connection, wanted.id)

        return await self._database.write(unit, durable=True)

    async def of_session(self, session_id: str) -> Asked | None:
        """Return the environment of a session, if it has one."""
        row = await self._database.read_one(_OF_SESSION, (session_id,))
        return None if row is None else Asked(_environment(row), row["builder"])

    async def get(self, environment_id: str) -> Environment | None:
        """Return an environment, or None."""
        row = await self._database.read_one(
            "SELECT * FROM environments WHERE id = ?", (environment_id,)
        )
        return None if row is None else _environment(row)

    async def built_by(self, command_id: str) -> Environment | None:
        """Return the environment that a command builds, or None when it builds none."""
        row = await self._database.read_one(
            "SELECT * FROM environments WHERE command_id = ?", (command_id,)
        )
        return None if row is None else _environment(row)

    async def left(self) -> list[str]:
        """Return sessions that can build what others left: one for each such environment."""
        rows = await self._database.read(_LEFT)
        return list({row["environment"]: str(row["id"]) for row in rows}.values())

    async def leave(self, session_id: str) -> None:
        """Have a session want no environment any more."""

        async def unit(connection: aiosqlite.Connection) -> None:
            await connection.execute(
                "UPDATE sessions SET environment = NULL WHERE id = ?", (session_id,)
            )

        await self._database.write(unit)

    async def sealed(self, environment_id: str, size: int) -> None:
        """Store how large an environment is."""

        async def unit(connection: aiosqlite.Connection) -> None:
            await connection.execute(
                "UPDATE environments SET size = ? WHERE id = ?", (size, environment_id)
            )

        await self._database.write(unit)

    async def size(self) -> int:
        """Return the bytes of all environments together."""
        [row] = await self._database.read("SELECT coalesce(sum(size), 0) AS size FROM environments")
        return int(row["size"])

    async def unused(self) -> list[Environment]:
        """Return those that no open session has, the longest unused first."""
        return [_environment(row) for row in await self._database.read(_UNUSED)]

    async def drop(self, environment_id: str, move_away: Callable[[str], None]) -> bool:
        """Forget an environment, unless a session has come to use it; return whether it is gone.

        ``move_away`` is called within the transaction: whoever builds it anew finds an empty place.
        """

        async def unit(connection: aiosqlite.Connection) -> bool:
            cursor = await connection.execute(_DROP, (environment_id,))
            if cursor.rowcount:
                move_away(environment_id)
            return cursor.rowcount == 1

        return await self._database.write(unit)

    async def unknown(self, names: set[str]) -> set[str]:
        """Return those names that are of no environment."""
        return names - {
            row["id"] for row in await self._database.read("SELECT id FROM environments")
        }


def waiting(environment_id: str, repository_id: str, outputs: tuple[str, ...]) -> Environment:
    """Return the record of an environment that nobody has built."""
    at = now()
    return Environment(
        environment_id, repository_id, EnvironmentState.WAITING, outputs, created_at=at, used_at=at
    )


async def _get(connection: aiosqlite.Connection, environment_id: str) -> Environment | None:
    rows = await connection.execute_fetchall(
        "SELECT * FROM environments WHERE id = ?", (environment_id,)
    )
    return next((_environment(row) for row in rows), None)


async def _insert(connection: aiosqlite.Connection, environment: Environment) -> None:
    await insert(
        connection,
        "environments",
        {
            "id": environment.id,
            "repository_id": environment.repository_id,
            "state": EnvironmentState.WAITING,
            "outputs": json.dumps(environment.outputs),
            "created_at": to_micros(environment.created_at),
            "used_at": to_micros(environment.used_at),
        },
    )


def _environment(row: Row) -> Environment:
    return Environment(
        id=row["id"],
        repository_id=row["repository_id"],
        state=EnvironmentState(row["state"]),
        outputs=tuple(json.loads(row["outputs"])),
        created_at=moment(row["created_at"]),
        used_at=moment(row["used_at"]),
        command_id=row["command_id"],
        size=row["size"],
    )
