"""The writer that commits in groups: who shares a transaction, and what becomes of failures."""

import contextlib
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiosqlite
import anyio
import pytest

from debug_mcp.errors import Busy, Unavailable
from debug_mcp.store import database as module
from debug_mcp.store.database import GROUP_LIMIT, Database, Unit, connect, open_database

pytestmark = pytest.mark.anyio

OFF, NORMAL, FULL = range(3)


@pytest.fixture
async def database(path: Path) -> AsyncIterator[Database]:
    _make(path)
    async with open_database(path) as database:
        yield database


def _make(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA journal_mode = WAL")
        file.execute("CREATE TABLE parents (name TEXT PRIMARY KEY) STRICT")
        file.execute("CREATE TABLE notes (text TEXT, parent TEXT REFERENCES parents (name)) STRICT")


def note(text: str, parent: str | None = None) -> Unit[str]:
    async def unit(connection: aiosqlite.Connection) -> str:
        await connection.execute("INSERT INTO notes VALUES (?, ?)", (text, parent))
        return text

    return unit


async def notes(database: Database) -> list[str]:
    return [row["text"] for row in await database.read("SELECT text FROM notes ORDER BY text")]


@contextlib.contextmanager
def no_thread_is_left() -> Iterator[None]:
    """A thread that is left would keep the process from ending."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
        assert not thread.is_alive()


class Group:
    """Units that share one transaction: they gather while the writer is kept busy."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._go = anyio.Event()
        self.values: dict[str, object] = {}
        self.errors: dict[str, Exception] = {}

    @contextlib.asynccontextmanager
    async def gathered(self, **units: Unit[object]) -> AsyncIterator[None]:
        """Hand over all units in their order; they are begun when the block is left."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._database.write, self._hold)
            await anyio.wait_all_tasks_blocked()
            for name, unit in units.items():
                tasks.start_soon(self._write, name, unit)
                await anyio.wait_all_tasks_blocked()
            yield
            self._go.set()

    async def _hold(self, _connection: aiosqlite.Connection) -> None:
        await self._go.wait()

    async def _write(self, name: str, unit: Unit[object]) -> None:
        try:
            self.values[name] = await self._database.write(unit)
        except Exception as error:  # noqa: BLE001
            self.errors[name] = error


async def test_units_that_wait_together_share_one_transaction(database: Database) -> None:
    async def look(connection: aiosqlite.Connection) -> tuple[int, list[str]]:
        [row] = await connection.execute_fetchall("SELECT count(*) FROM notes")
        return row[0], await notes(database)

    group = Group(database)
    async with group.gathered(first=note("a"), look=look):
        pass
    assert group.values == {"first": "a", "look": (1, [])}
    assert await notes(database) == ["a"]


async def test_a_unit_that_raises_takes_back_its_own_changes_alone(database: Database) -> None:
    async def fail(connection: aiosqlite.Connection) -> None:
        await note("half")(connection)
        raise LookupError("no")

    group = Group(database)
    async with group.gathered(before=note("a"), wrong=fail, after=note("b")):
        pass
    assert group.values == {"before": "a", "after": "b"}
    assert [type(error) for error in group.errors.values()] == [LookupError]
    assert await notes(database) == ["a", "b"]


async def test_when_a_commit_fails_all_its_members_learn_why_and_the_next_group_is_stored(
    database: Database,
) -> None:
    async def orphan(connection: aiosqlite.Connection) -> None:
        # It is looked at when the transaction is committed, and not before.
        await connection.execute_fetchall("PRAGMA defer_foreign_keys = ON")
        await note("orphan", parent="nobody")(connection)

    group = Group(database)
    async with group.gathered(before=note("a"), wrong=orphan, after=note("b")):
        pass
    assert group.values == {}
    assert {name: type(error) for name, error in group.errors.items()} == {
        "before": sqlite3.IntegrityError,
        "wrong": sqlite3.IntegrityError,
        "after": sqlite3.IntegrityError,
    }
    assert await database.write(note("later")) == "later"
    assert await notes(database) == ["later"]


@pytest.mark.parametrize("statement", ["ROLLBACK", "COMMIT"])
async def test_a_unit_that_ends_the_transaction_is_an_error_of_its_whole_group(
    database: Database, statement: str
) -> None:
    async def end(connection: aiosqlite.Connection) -> None:
        await connection.execute(statement)

    group = Group(database)
    async with group.gathered(wrong=end, after=note("b")):
        pass
    assert group.errors.keys() == {"wrong", "after"}
    await database.write(note("later"))
    assert await notes(database) == ["later"]


async def test_a_failure_of_the_writer_itself_reaches_every_caller(database: Database) -> None:
    async def close(connection: aiosqlite.Connection) -> None:
        await connection.close()

    group = Group(database)
    async with group.gathered(wrong=close, after=note("b")):
        pass
    assert group.errors.keys() == {"wrong", "after"}
    with pytest.raises(ValueError, match=r"no active connection|Connection closed"):
        await database.write(note("later"))


async def test_a_unit_is_stored_although_its_caller_was_cancelled(database: Database) -> None:
    group = Group(database)
    async with group.gathered(), anyio.create_task_group() as callers:
        callers.start_soon(database.write, note("a"))
        await anyio.wait_all_tasks_blocked()
        callers.cancel_scope.cancel()
    await database.write(note("b"))
    assert await notes(database) == ["a", "b"]


async def test_closing_first_stores_what_was_handed_over(path: Path) -> None:
    _make(path)
    stored: list[str] = []
    go = anyio.Event()

    async def hold(_connection: aiosqlite.Connection) -> None:
        await go.wait()

    async def write(database: Database, text: str) -> None:
        stored.append(await database.write(note(text)))

    async with anyio.create_task_group() as callers, open_database(path) as database:
        callers.start_soon(database.write, hold)
        await anyio.wait_all_tasks_blocked()
        for text in "abc":
            callers.start_soon(write, database, text)
        await anyio.wait_all_tasks_blocked()
        go.set()
    assert stored == ["a", "b", "c"]
    async with open_database(path) as database:
        assert await notes(database) == ["a", "b", "c"]


async def test_a_group_at_work_is_committed_while_everything_is_cancelled(path: Path) -> None:
    _make(path)

    async def slow(connection: aiosqlite.Connection) -> None:
        await note("first")(connection)
        outside.cancel()
        await anyio.lowlevel.checkpoint()
        await note("second")(connection)

    with no_thread_is_left(), anyio.CancelScope() as outside:
        async with open_database(path) as database:
            await database.write(slow)
    assert outside.cancelled_caught
    # The last connection to close takes it away: so both are closed, and not only about to be.
    assert not Path(f"{path}-wal").exists()
    async with open_database(path) as database:
        assert await notes(database) == ["first", "second"]


async def test_more_units_than_a_group_takes_are_all_stored(database: Database) -> None:
    wanted = [f"{number:04}" for number in range(3 * GROUP_LIMIT)]
    async with anyio.create_task_group() as callers:
        for text in wanted:
            callers.start_soon(database.write, note(text))
    assert await notes(database) == wanted


async def test_a_group_with_a_durable_member_is_synced(database: Database) -> None:
    async def level(connection: aiosqlite.Connection) -> int:
        [row] = await connection.execute_fetchall("PRAGMA synchronous")
        return int(row[0])

    assert await database.write(level) == NORMAL
    assert await database.write(level, durable=True) == FULL
    assert await database.write(level) == NORMAL


async def test_two_servers_write_to_one_file_without_losing_anything(path: Path) -> None:
    _make(path)

    async def add(connection: aiosqlite.Connection) -> None:
        [row] = await connection.execute_fetchall("SELECT count(*) FROM notes")
        await note(f"{row[0]:03}")(connection)

    async with (
        open_database(path) as one,
        open_database(path) as other,
        anyio.create_task_group() as callers,
    ):
        for _ in range(50):
            callers.start_soon(one.write, add)
            callers.start_soon(other.write, add)
    async with open_database(path) as database:
        assert await notes(database) == [f"{number:03}" for number in range(100)]


async def test_a_file_that_others_keep_busy_is_said_to_be_so(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _make(path)
    monkeypatch.setattr(module, "BUSY_MILLISECONDS", 10)
    async with open_database(path) as database:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(Busy, match="other debug-mcp servers") as caught:
                await database.write(note("a"))
            assert caught.value.details == {"retry_after_seconds": 5}
        await database.write(note("b"))
        assert await notes(database) == ["b"]


async def test_a_full_disk_is_named_and_the_writer_goes_on_when_there_is_room(
    database: Database,
) -> None:
    async def limit(connection: aiosqlite.Connection, pages: int) -> None:
        await connection.execute_fetchall(f"PRAGMA max_page_count = {pages}")

    await database.write(lambda connection: limit(connection, 1))
    with pytest.raises(Unavailable, match="database or disk is full"):
        await database.write(note("x" * 100_000))
    await database.write(lambda connection: limit(connection, 1_000_000))
    await database.write(note("fits"))
    assert await notes(database) == ["fits"]


async def test_references_are_enforced(database: Database) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        await database.write(note("orphan", parent="nobody"))


async def test_a_reader_cannot_write(database: Database) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        await database.read("DELETE FROM notes")


async def test_a_connection_that_cannot_be_set_up_leaves_no_thread_behind(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BUSY_MILLISECONDS", "not SQL")
    with no_thread_is_left(), pytest.raises(sqlite3.OperationalError):
        await connect(path)


async def test_the_version_changes_with_each_commit_of_anybody_and_with_nothing_else(
    database: Database, path: Path
) -> None:
    before = database.version()
    await notes(database)
    assert database.version() == before
    await database.write(note("ours"))
    ours = database.version()
    assert ours != before
    assert database.version() == ours
    async with open_database(path) as other:
        assert database.version() == ours
        await other.write(note("theirs"))
        assert database.version() != ours
