"""One SQLite file: a writer that commits in groups, and a reader apart.

A unit of work is an async function that gets the writer's connection. Units that wait together
share one transaction, each inside a SAVEPOINT, so that one can fail without the others; a unit's
caller goes on only after the commit. ``synchronous`` is FULL for a group with a durable member
(an acceptance, an end), else NORMAL: a power cut may then lose the last moments, never the file.

What was handed over is committed also while everything around is being cancelled: the writer ends
when its inbox is closed and empty, and not before. Asyncio only, because aiosqlite is.
"""

import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, LiteralString, TypeVar

import aiosqlite
import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from debug_mcp.errors import Busy, Unavailable

T = TypeVar("T")
Row = sqlite3.Row
Parameters = Iterable[Any]
Unit = Callable[[aiosqlite.Connection], Awaitable[T]]

# A group stops taking members after this many, so that the first does not wait for long.
GROUP_LIMIT = 64
BUSY_MILLISECONDS = 10_000
RETRY_SECONDS = 5

# What the machine does to the file, as opposed to what is wrong with a statement.
_TAKEN = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_OUT_OF_ORDER = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
}
_PRIMARY_CODE = 0xFF  # an extended code holds its primary code in the lowest byte


@dataclass
class _Member(Generic[T]):
    """One unit on its way through the writer."""

    unit: Unit[T]
    durable: bool
    done: anyio.Event = field(default_factory=anyio.Event)
    value: T | None = None
    error: Exception | None = None


class Database:
    """The open file. Create one with ``open_database``."""

    def __init__(
        self,
        writer: aiosqlite.Connection,
        reader: aiosqlite.Connection,
        witness: sqlite3.Connection,
        inbox: MemoryObjectSendStream[_Member[Any]],
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._witness = witness
        self._inbox = inbox
        self._synchronous = ""

    async def write(self, unit: Unit[T], *, durable: bool = False) -> T:
        """Run a unit in a transaction and return its value once that is committed.

        Raises:
            Busy: Other servers kept the file for too long.
            Unavailable: The file cannot be written: the disk is full, for example.
            Exception: Whatever the unit raised. In each case nothing of it is stored.
        """
        member = _Member(unit, durable)
        # Once handed over, the unit runs to its end whatever becomes of the caller.
        await self._inbox.send(member)
        await member.done.wait()
        if member.error is not None:
            raise _explained(member.error)
        return member.value  # type: ignore[return-value]  # set whenever there is no error

    async def read(self, sql: LiteralString, parameters: Parameters = ()) -> list[Row]:
        """Return all rows of a query."""
        return list(await self._reader.execute_fetchall(sql, parameters))

    async def read_one(self, sql: LiteralString, parameters: Parameters = ()) -> Row | None:
        """Return the first row of a query, or None."""
        rows = await self.read(sql, parameters)
        return rows[0] if rows else None

    async def check_writable(self) -> None:
        """Write what is there already, and do nothing else.

        Raises:
            Busy: Other servers kept the file for too long.
            Unavailable: The file cannot be written.
        """

        async def unit(connection: aiosqlite.Connection) -> None:
            [[schema]] = await connection.execute_fetchall("PRAGMA user_version")
            # It takes no parameters; the number comes from the file.
            await connection.execute(f"PRAGMA user_version = {int(schema)}")

        await self.write(unit)

    def version(self) -> int:
        """Return a number that is another one after each commit, whoever made it.

        It takes microseconds, in which no thread is woken: what an idle server can afford. While
        the file cannot be read, the number is always another.
        """
        try:
            [[version]] = self._witness.execute("PRAGMA data_version")
        except sqlite3.Error:
            return -time.monotonic_ns()
        return int(version)

    async def serve(self, inbox: MemoryObjectReceiveStream[_Member[Any]]) -> None:
        """Commit groups until the inbox is closed and empty."""
        with anyio.CancelScope(shield=True):
            async with inbox:
                async for first in inbox:
                    group = [first]
                    with contextlib.suppress(anyio.WouldBlock, anyio.EndOfStream):
                        while len(group) < GROUP_LIMIT:
                            group.append(inbox.receive_nowait())
                    await self._settle(group)

    async def _settle(self, group: list[_Member[Any]]) -> None:
        """Commit a group and let its callers go on; if that fails, all of them learn why."""
        try:
            await self._commit(group)
        except Exception as error:  # noqa: BLE001  # it is raised again in every caller
            # A rollback that fails too leaves the next group's BEGIN to say so.
            with contextlib.suppress(Exception):
                await self._writer.rollback()
            for member in group:
                member.error = member.error or error
        for member in group:
            member.done.set()

    async def _commit(self, group: list[_Member[Any]]) -> None:
        # It cannot be changed inside a transaction.
        synchronous = "FULL" if any(member.durable for member in group) else "NORMAL"
        if synchronous != self._synchronous:
            await self._writer.execute(f"PRAGMA synchronous = {synchronous}")
            self._synchronous = synchronous
        await self._writer.execute("BEGIN IMMEDIATE")
        for member in group:
            await self._writer.execute("SAVEPOINT member")
            try:
                member.value = await member.unit(self._writer)
            except Exception as error:  # noqa: BLE001  # it is raised again in the unit's caller
                member.error = error
                await self._writer.execute("ROLLBACK TO member")
            await self._writer.execute("RELEASE member")
        await self._writer.commit()


def _explained(error: Exception) -> Exception:
    """Return what callers are told: a fault of the machine is theirs to know, one of ours is not.

    One error may be raised in many callers: each gets an exception of its own where it can.
    """
    code = getattr(error, "sqlite_errorcode", None)
    explained: Exception = error
    if code is not None and code & _PRIMARY_CODE in _TAKEN:
        explained = Busy(
            "other debug-mcp servers keep the ledger busy", retry_after_seconds=RETRY_SECONDS
        )
    elif code is not None and code & _PRIMARY_CODE in _OUT_OF_ORDER:
        explained = Unavailable(f"the ledger cannot be used: {error}")
    if explained is not error:
        explained.__cause__ = error
    return explained


async def connect(path: Path) -> aiosqlite.Connection:
    """Open one connection with the settings that every connection has."""
    # Transactions are begun by hand, always IMMEDIATE: a deferred one that reads and then writes
    # fails at once when another process wrote in between.
    connection = await aiosqlite.connect(path, isolation_level=None)
    try:
        connection.row_factory = sqlite3.Row
        await connection.execute_fetchall(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
        await connection.execute_fetchall("PRAGMA foreign_keys = ON")
    except BaseException:
        await close(connection)
        raise
    return connection


async def close(connection: aiosqlite.Connection) -> None:
    """Close a connection, also while being cancelled: its thread would keep the process."""
    with anyio.CancelScope(shield=True):
        await connection.close()


@contextlib.asynccontextmanager
async def open_database(path: Path) -> AsyncIterator[Database]:
    """Open the file, which ``store.migrate`` has brought to the present schema."""
    async with contextlib.AsyncExitStack() as stack:
        writer = await connect(path)
        stack.push_async_callback(close, writer)
        reader = await connect(path)
        stack.push_async_callback(close, reader)
        await reader.execute_fetchall("PRAGMA query_only = ON")
        witness = stack.enter_context(contextlib.closing(sqlite3.connect(path)))
        sender, receiver = anyio.create_memory_object_stream[_Member[Any]](GROUP_LIMIT)
        database = Database(writer, reader, witness, sender)
        tasks = await stack.enter_async_context(anyio.create_task_group())
        tasks.start_soon(database.serve, receiver)
        stack.callback(sender.close)
        yield database
