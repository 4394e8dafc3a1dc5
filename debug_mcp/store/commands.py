"""Rows of commands: the queue and the ledger."""

from dataclasses import dataclass
from datetime import datetime

import aiosqlite

from debug_mcp.lifecycle import COMMAND, sources
from debug_mcp.models.artifacts import Artifact
from debug_mcp.models.base import Owner
from debug_mcp.models.commands import Command, CommandState, Limit, Outcome
from debug_mcp.store.accepting import COUNTS, queue
from debug_mcp.store.artifacts import link
from debug_mcp.store.command_rows import command_of
from debug_mcp.store.database import Database
from debug_mcp.store.idempotency import KNOWN, Request, recall, remember
from debug_mcp.store.rows import (
    OWN,
    advance,
    to_micros,
)

# The next of each session that has nothing going on, and whatever runs beside its queue; but its
# set-up comes before all, also where another session builds what it sets up. Where
# places are few, the principal with the fewest running goes first, then who was served longest ago.
# Whatever looks for what is going on says state <> 'finished' as the partial index does, or it
# would read all.
_NEXT = """
SELECT head.id FROM commands AS head
WHERE head.state <> 'finished' AND head.state = 'queued'
  AND NOT EXISTS (
    SELECT 1 FROM commands AS other
    WHERE other.session_id = head.session_id AND other.state <> 'finished' AND NOT other.parallel
      AND (NOT head.parallel OR other.kind = 'setup')
      AND (other.state <> 'queued' OR (
        head.kind <> 'setup' AND (other.accepted_at, other.id) < (head.accepted_at, head.id)
      ))
  )
  AND (head.kind = 'setup' OR NOT EXISTS (
    SELECT 1 FROM sessions JOIN environments ON environments.id = sessions.environment
    WHERE sessions.id = head.session_id AND environments.state IN ('waiting', 'building')
      AND NOT EXISTS (
        SELECT 1 FROM commands AS own
        WHERE own.session_id = head.session_id AND own.kind = 'setup' AND own.state = 'finished'
      )
  ))
  AND (SELECT count(*) FROM commands WHERE state <> 'finished' AND state <> 'queued') < ?
ORDER BY
  (SELECT count(*) FROM commands AS own INDEXED BY commands_unfinished
   WHERE own.state <> 'finished' AND own.state <> 'queued' AND own.principal = head.principal),
  (SELECT max(started_at) FROM commands AS own WHERE own.principal = head.principal),
  (SELECT max(started_at) FROM commands AS own
   WHERE own.principal = head.principal AND own.session_id = head.session_id),
  head.accepted_at, head.id
LIMIT 1
"""
_AHEAD = """
SELECT id FROM commands
WHERE session_id = ? AND state <> 'finished' AND NOT parallel AND (NOT ? OR kind = 'setup')
  AND (state <> 'queued' OR (accepted_at, id) < (?, ?))
ORDER BY accepted_at, id
"""
# Where it is of the same principal: another's command is nothing to wait for.
_BUILDS = """
SELECT commands.id FROM sessions
JOIN environments ON environments.id = sessions.environment AND environments.state = 'building'
JOIN commands ON commands.id = environments.command_id
WHERE sessions.id = ? AND commands.principal = sessions.principal
  AND commands.session_id <> sessions.id
"""
_LIST = f"""
SELECT * FROM commands
WHERE {OWN} AND (accepted_at, id) < (:accepted_at, :id)
  AND (:state IS NULL OR state = :state) AND (:outcome IS NULL OR outcome = :outcome)
ORDER BY accepted_at DESC, id DESC LIMIT :limit
"""  # noqa: S608
_LIST_IN_SESSION = _LIST.replace("WHERE", "WHERE session_id = :session_id AND", 1)
_UNFINISHED = """
SELECT * FROM commands WHERE session_id = ? AND state <> 'finished' ORDER BY accepted_at, id
"""
_UNFINISHED_OF = f"SELECT * FROM commands WHERE state <> 'finished' AND {OWN}"  # noqa: S608
_OWNERS = """
SELECT DISTINCT instance FROM commands WHERE state <> 'finished' AND state <> 'queued'
"""
_ADOPT = """
UPDATE commands SET instance = :instance
WHERE state <> 'finished' AND state <> 'queued' AND instance = :dead RETURNING *
"""
_OWNED = f"SELECT * FROM commands WHERE id = :id AND {OWN}"  # noqa: S608
# Its environment's before its own: another session may have built what this one could not.
_SETUP = """
SELECT * FROM commands WHERE id = coalesce(
  (SELECT command_id FROM sessions JOIN environments ON environments.id = environment
   WHERE sessions.id = :id),
  (SELECT id FROM commands WHERE session_id = :id AND kind = 'setup')
)
"""
# With the end of what builds an environment. A build whose end nobody saw, or that ended with its
# session, is another's to begin again.
_BUILT = """
UPDATE environments SET state = CASE :outcome
    WHEN 'succeeded' THEN 'ready' WHEN 'cancelled' THEN 'waiting' WHEN 'lost' THEN 'waiting'
    ELSE 'failed' END
WHERE command_id = :id AND state = 'building'
"""
_RECENT = f"SELECT id FROM commands WHERE {OWN} ORDER BY accepted_at DESC LIMIT 20"  # noqa: S608


_FOR_EVER = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which commands to list; None means any."""

    session_id: str | None = None
    state: CommandState | None = None
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class End:
    """How a command ended, as it is stored."""

    outcome: Outcome
    ended_at: datetime
    exit_code: int | None = None
    elapsed_seconds: float | None = None
    cpu_seconds: float | None = None
    memory_bytes: int | None = None
    stragglers: int | None = None
    output_bytes: int | None = None
    stderr_bytes: int | None = None
    output_dropped: int | None = None
    message: str | None = None
    limit: Limit | None = None
    collected: tuple[Artifact, ...] | None = None


_USED = """
    UPDATE sessions SET used_at = max(used_at, ?)
    WHERE id = (SELECT session_id FROM commands WHERE id = ?)
"""


class Commands:
    """The table of commands."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def accept(
        self, command: Command, request: Request | None, limit: int
    ) -> tuple[Command, bool]:
        """Queue a command under a fresh id; return it, and whether it is new.

        One in state ``starting`` passes the queue by: its own server starts it at once.

        Args:
            command: It; its id is not looked at.
            request: Its key, if its caller gave one.
            limit: How many may be queued in its session; for one that passes the queue by, how
                many commands may have begun in all.

        Raises:
            Busy: The session's queue is full, or all places are taken.
            Conflict: The session is not ready any more, or the idempotency key was used with other
                arguments.
        """

        async def unit(connection: aiosqlite.Connection) -> tuple[Command, bool]:
            known = await recall(connection, request)
            if known is not None:
                rows = await connection.execute_fetchall(
                    "SELECT * FROM commands WHERE id = ?", (known,)
                )
                return command_of(next(iter(rows))), False
            stored = await queue(connection, command, limit)
            await remember(connection, request, stored.id)
            return stored, True

        return await self._database.write(unit, durable=True)

    async def is_known(self, request: Request | None) -> bool:
        """Return whether a request's key stands for a command, whatever its arguments were."""
        if request is None:
            return False
        return await self._database.read_one(KNOWN, request.identity) is not None

    def version(self) -> int:
        """Return what changes with each change of the ledger (see ``Database.version``)."""
        return self._database.version()

    async def claim(self, instance: str, running_limit: int) -> Command | None:
        """Take the next queued command for this server, or return None.

        A session runs one command at a time, in the order of acceptance, and its parallel ones
        beside that; ``running_limit`` holds over all sessions and all servers.
        """

        async def unit(connection: aiosqlite.Connection) -> Command | None:
            rows = list(await connection.execute_fetchall(_NEXT, (running_limit,)))
            if not rows:
                return None
            command_id = rows[0]["id"]
            await advance(
                connection,
                "commands",
                command_id,
                sources(COMMAND, CommandState.STARTING),
                {"state": CommandState.STARTING, "instance": instance},
            )
            taken = await connection.execute_fetchall(
                "SELECT * FROM commands WHERE id = ?", (command_id,)
            )
            return command_of(next(iter(taken)))

        # Looked up first: an idle server must not open a transaction at each of its looks.
        if await self._database.read_one(_NEXT, (running_limit,)) is None:
            return None
        return await self._database.write(unit)

    async def started(self, command_id: str, moment: datetime) -> bool:
        """Note that a command's shim is at work; return whether it was still awaited."""
        return await self._database.write(
            lambda connection: advance(
                connection,
                "commands",
                command_id,
                sources(COMMAND, CommandState.RUNNING),
                {"state": CommandState.RUNNING, "started_at": to_micros(moment)},
            )
        )

    async def finish(self, command_id: str, end: End, *, only_queued: bool = False) -> bool:
        """Store the end; return False when it had ended before. The first end stands.

        With it is stored what it collected: once, however often an end was tried.
        """
        states = (CommandState.QUEUED,) if only_queued else sources(COMMAND, CommandState.FINISHED)

        async def unit(connection: aiosqlite.Connection) -> bool:
            ended = await advance(
                connection,
                "commands",
                command_id,
                states,
                {
                    "state": CommandState.FINISHED,
                    "outcome": end.outcome,
                    "ended_at": to_micros(end.ended_at),
                    "exit_code": end.exit_code,
                    "elapsed_seconds": end.elapsed_seconds,
                    "cpu_seconds": end.cpu_seconds,
                    "memory_bytes": end.memory_bytes,
                    "stragglers": end.stragglers,
                    "output_bytes": end.output_bytes,
                    "stderr_bytes": end.stderr_bytes,
                    "output_dropped": end.output_dropped,
                    "message": end.message,
                    "limit_name": None if end.limit is None else end.limit.name,
                    "limit_value": None if end.limit is None else end.limit.value,
                    "collected": None if end.collected is None else len(end.collected),
                },
            )
            if ended:
                await connection.execute(_BUILT, {"outcome": end.outcome, "id": command_id})
                await link(connection, command_id, end.collected or ())
                # A session goes unused from the end of its last command on.
                await connection.execute(_USED, (to_micros(end.ended_at), command_id))
            return ended

        return await self._database.write(unit, durable=True)

    async def request_cancel(self, command_id: str) -> None:
        """Set the flag that asks for a command's end."""

        async def unit(connection: aiosqlite.Connection) -> None:
            await connection.execute(
                "UPDATE commands SET cancel_requested = 1 WHERE id = ? AND state <> 'finished'",
                (command_id,),
            )

        await self._database.write(unit, durable=True)

    async def owners(self) -> set[str]:
        """Return the servers that have begun commands which nobody has ended."""
        return {row["instance"] for row in await self._database.read(_OWNERS)}

    async def adopt(self, dead: str, instance: str) -> list[Command]:
        """Take over what a server that is gone had begun, in one step; two never get the same."""

        async def unit(connection: aiosqlite.Connection) -> list[Command]:
            rows = await connection.execute_fetchall(_ADOPT, {"dead": dead, "instance": instance})
            return sorted(map(command_of, rows), key=lambda command: command.accepted_at)

        return await self._database.write(unit)

    async def owned(self, command_id: str, owner: Owner) -> Command | None:
        """Return the owner's command of this id, or None."""
        row = await self._database.read_one(_OWNED, {"id": command_id, **owner.parameters})
        return None if row is None else command_of(row)

    async def get(self, command_id: str) -> Command:
        """Return a command that is known to exist."""
        rows = await self._database.read("SELECT * FROM commands WHERE id = ?", (command_id,))
        return command_of(rows[0])

    async def page(
        self, owner: Owner, wanted: Wanted, after: Command | None, limit: int
    ) -> list[Command]:
        """Return some of the owner's commands, newest first, from the one after another on."""
        rows = await self._database.read(
            _LIST if wanted.session_id is None else _LIST_IN_SESSION,
            {
                **owner.parameters,
                "session_id": wanted.session_id,
                "state": wanted.state,
                "outcome": wanted.outcome,
                "accepted_at": _FOR_EVER if after is None else to_micros(after.accepted_at),
                "id": "" if after is None else after.id,
                "limit": limit,
            },
        )
        return [command_of(row) for row in rows]

    async def ahead(self, command: Command) -> list[str]:
        """Return the ids for which a queued command of a session's queue waits, in their order.

        With none of them it may wait for the one that builds its session's environment.
        """
        asked = (command.session_id, command.request.parallel)
        rows = await self._database.read(
            _AHEAD, (*asked, to_micros(command.accepted_at), command.id)
        ) or await self._database.read(_BUILDS, (command.session_id,))
        return [row["id"] for row in rows]

    async def setup_of(self, session_id: str) -> Command | None:
        """Return what prepares or prepared a session, or None."""
        row = await self._database.read_one(_SETUP, {"id": session_id})
        return None if row is None else command_of(row)

    async def recent_ids(self, owner: Owner) -> list[str]:
        """Return the ids of the owner's newest commands, at most 20."""
        rows = await self._database.read(_RECENT, owner.parameters)
        return [row["id"] for row in rows]

    async def has_any(self, session_id: str, principal: str) -> bool:
        """Return whether a session ever had a command."""
        row = await self._database.read_one(
            "SELECT 1 FROM commands WHERE principal = ? AND session_id = ? LIMIT 1",
            (principal, session_id),
        )
        return row is not None

    async def unfinished(self, session_id: str) -> list[Command]:
        """Return the commands of a session that have not ended, in their order."""
        return [command_of(row) for row in await self._database.read(_UNFINISHED, (session_id,))]

    async def unfinished_of(self, owner: Owner) -> list[Command]:
        """Return the owner's commands that have not ended."""
        rows = await self._database.read(_UNFINISHED_OF, owner.parameters)
        return [command_of(row) for row in rows]

    async def count_unfinished(self) -> tuple[int, int]:
        """Return how many are queued, and how many are starting or running."""
        [row] = await self._database.read(COUNTS)
        return row["waiting"], row["begun"]
