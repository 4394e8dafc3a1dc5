"""Numbered SQL migrations, counted by ``PRAGMA user_version``.

Several servers may share one data directory. Each holds a shared lock on ``schema.lock`` for as
long as it lives; migrating needs the lock alone, so the schema never changes under a running
server. A file of a newer schema is refused.
"""

import contextlib
import fcntl
import os
import re
import sqlite3
from collections.abc import AsyncIterator
from importlib import resources
from pathlib import Path

import aiosqlite
import anyio

from debug_mcp.errors import Conflict, Unavailable
from debug_mcp.store.database import close, connect

# Another server that starts just now looks at the file alone, too: try again before blaming it.
ATTEMPTS = 3


def migrations() -> list[tuple[int, str]]:
    """Return (number, SQL) of every migration, in order."""
    folder = resources.files("debug_mcp.store") / "migrations"
    found = [
        (int(match[1]), entry.read_text("utf-8"))
        for entry in folder.iterdir()
        if (match := re.fullmatch(r"(\d{4})_\w+\.sql", entry.name))
    ]
    return sorted(found)


@contextlib.asynccontextmanager
async def schema_of(path: Path) -> AsyncIterator[None]:
    """Bring the file to the newest schema and hold it there.

    Raises:
        Conflict: The file's schema is newer than this program, or another running server would
            have it changed under its feet.
        Unavailable: The file is not a database.
    """
    lock = os.open(path.parent / "schema.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        connection = await connect(path)
        try:
            await _hold(lock, connection, path.parent)
        except sqlite3.DatabaseError as error:
            raise Unavailable(f"{path} cannot be used: {error}") from error
        finally:
            await close(connection)
        yield
    finally:
        os.close(lock)


async def _hold(lock: int, connection: aiosqlite.Connection, folder: Path) -> None:
    """Return with a shared lock on the newest schema."""
    for _ in range(ATTEMPTS):
        if _lock(lock, fcntl.LOCK_EX):
            await _migrate(connection, folder)
        # Giving up an exclusive lock for a shared one lets go of it in between: look again.
        if not _lock(lock, fcntl.LOCK_SH):
            # One is migrating; it is done in a moment.
            await anyio.to_thread.run_sync(fcntl.flock, lock, fcntl.LOCK_SH)
        if not await _pending(connection, folder):
            return
    raise Conflict(
        f"the data directory {folder} is in use by an older debug-mcp, and its schema must be "
        "changed for this one: end the other, or use another --data-dir"
    )


def _lock(lock: int, kind: int) -> bool:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


async def _migrate(connection: aiosqlite.Connection, folder: Path) -> None:
    """Run what the file has not seen; each migration is stored whole or not at all."""
    for number, sql in await _pending(connection, folder):
        if number == 1:
            await connection.execute_fetchall("PRAGMA journal_mode = WAL")
        await connection.executescript(
            f"BEGIN IMMEDIATE;\n{sql}\nPRAGMA user_version = {number};\nCOMMIT;"
        )


async def _pending(connection: aiosqlite.Connection, folder: Path) -> list[tuple[int, str]]:
    known = migrations()
    newest = known[-1][0]
    version = await schema_version(connection)
    if version > newest:
        raise Conflict(
            f"the data directory {folder} has schema {version}, and this debug-mcp knows only "
            f"{newest}: use the newer debug-mcp that wrote it, or another --data-dir"
        )
    return known[version:]


async def schema_version(connection: aiosqlite.Connection) -> int:
    """Return the number of the last migration that the file has seen."""
    rows = list(await connection.execute_fetchall("PRAGMA user_version"))
    return int(rows[0][0])
