"""Numbered SQL migrations, counted by ``PRAGMA user_version``.

Several servers may share one data directory. Each holds a shared lock on ``schema.lock`` for as
long as it lives; migrating needs the lock alone, so the schema never changes under a running
server. A file of a newer schema is refused.
"""

import contextlib
import fcntl
import os
import re
from collections.abc import AsyncIterator
from importlib import resources
from pathlib import Path

import aiosqlite
import anyio

from debug_mcp.errors import Conflict
from debug_mcp.store.database import connect


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
    """
    lock = os.open(path.parent / "schema.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            alone = True
        except BlockingIOError:
            # Others run, or one is migrating: then this waits until it is done.
            await anyio.to_thread.run_sync(fcntl.flock, lock, fcntl.LOCK_SH)
            alone = False
        await _migrate(path, alone=alone)
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield
    finally:
        os.close(lock)


async def _migrate(path: Path, *, alone: bool) -> None:
    known = migrations()
    newest = known[-1][0]
    connection = await connect(path)
    try:
        version = await schema_version(connection)
        if version > newest:
            raise Conflict(
                f"the data directory {path.parent} has schema {version}, and this debug-mcp knows "
                f"only {newest}: use the newer debug-mcp that wrote it, or another --data-dir"
            )
        if version < newest and not alone:
            raise Conflict(
                f"the data directory {path.parent} is in use by an older debug-mcp, and its schema "
                "must be changed for this one: end the other, or use another --data-dir"
            )
        if version == 0:
            await connection.execute_fetchall("PRAGMA journal_mode = WAL")
        for number, sql in known[version:]:
            await connection.executescript(
                f"BEGIN IMMEDIATE;\n{sql}\nPRAGMA user_version = {number};\nCOMMIT;"
            )
    finally:
        await connection.close()


async def schema_version(connection: aiosqlite.Connection) -> int:
    """Return the number of the last migration that the file has seen."""
    rows = list(await connection.execute_fetchall("PRAGMA user_version"))
    return int(rows[0][0])
