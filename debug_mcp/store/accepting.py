"""Taking a command into the queue, where there is room for it."""

from dataclasses import replace
from datetime import datetime, timedelta

import aiosqlite

from debug_mcp.errors import Busy, Conflict
from debug_mcp.models.commands import Command, CommandState
from debug_mcp.models.sessions import SessionState
from debug_mcp.store.database import RETRY_SECONDS
from debug_mcp.store.rows import fresh_id, insert, moment, to_micros

_QUEUE = """
SELECT count(*) FILTER (WHERE state = 'queued') AS waiting, max(accepted_at) AS newest
FROM commands WHERE session_id = ? AND state <> 'finished'
"""
# Its own, or another session's of which it waits for the environment.
_SETTING_UP = """
SELECT 1 FROM commands WHERE session_id = :id AND kind = 'setup' AND state <> 'finished'
UNION ALL
SELECT 1 FROM sessions JOIN environments ON environments.id = sessions.environment
WHERE sessions.id = :id AND environments.state IN ('waiting', 'building')
  AND NOT EXISTS (
    SELECT 1 FROM commands WHERE session_id = :id AND kind = 'setup' AND state = 'finished'
  )
"""
COUNTS = """
SELECT count(*) FILTER (WHERE state = 'queued') AS waiting,
    count(*) FILTER (WHERE state <> 'queued') AS begun
FROM commands WHERE state <> 'finished'
"""


async def queue(connection: aiosqlite.Connection, command: Command, limit: int) -> Command:
    """Store a command under a fresh id, if it is admitted; return it as it is stored.

    Raises:
        Busy: The session's queue is full, or all places are taken.
        Conflict: The session is not ready.
    """
    newest = await _admit(connection, command, limit)
    stored = replace(
        command,
        id=await fresh_id(connection, "commands", "c"),
        # First accepted, first run, also when the clock was set back in between.
        accepted_at=max(command.accepted_at, newest + timedelta(microseconds=1)),
    )
    await insert(
        connection,
        "commands",
        {
            "id": stored.id,
            "session_id": stored.session_id,
            "principal": stored.principal,
            "state": stored.state,
            "request": stored.request.model_dump_json(),
            "instance": stored.instance,
            "parallel": stored.request.parallel,
            "kind": stored.kind,
            "accepted_at": to_micros(stored.accepted_at),
        },
    )
    return stored


async def _admit(connection: aiosqlite.Connection, command: Command, limit: int) -> datetime:
    """Return when the session's newest unfinished command was accepted, if there is room.

    Raises:
        Busy: The session's queue is full, or all places are taken; or its set-up goes on, for what
            does not queue.
        Conflict: The session is not ready: it began to close after its caller had looked.
    """
    session_id = command.session_id
    [session] = await connection.execute_fetchall(
        "SELECT state FROM sessions WHERE id = ?", (session_id,)
    )
    if session["state"] != SessionState.READY:
        raise Conflict(f"session {session_id} is {session['state']}", field="session_id")
    [queued] = await connection.execute_fetchall(_QUEUE, (session_id,))
    if command.state is not CommandState.QUEUED:
        if list(await connection.execute_fetchall(_SETTING_UP, {"id": session_id})):
            raise Busy(
                "the set-up of the session goes on; session_get tells of it",
                retry_after_seconds=RETRY_SECONDS,
                next_call={"tool": "session_get", "arguments": {"session_id": session_id}},
            )
        [counts] = await connection.execute_fetchall(COUNTS)
        if counts["begun"] >= limit:
            raise Busy(
                f"{counts['begun']} commands are running; the limit is {limit}",
                retry_after_seconds=RETRY_SECONDS,
            )
    elif queued["waiting"] >= limit:
        raise Busy(
            f"{queued['waiting']} commands are queued in this session; the limit is {limit}",
            retry_after_seconds=RETRY_SECONDS,
            next_call={
                "tool": "command_list",
                "arguments": {"session_id": session_id, "state": CommandState.QUEUED.value},
            },
        )
    return moment(queued["newest"] or 0)
