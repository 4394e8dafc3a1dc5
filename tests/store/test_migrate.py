"""From nothing and from old files to the present schema, with other servers about."""

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from debug_mcp.errors import Conflict, Unavailable
from debug_mcp.models.base import Owner
from debug_mcp.store import migrate
from debug_mcp.store.migrate import migrations, schema_of
from tests.store.ledger import open_ledger
from tests.store.schema import RENEW, SNAPSHOT, fresh, schema

pytestmark = pytest.mark.anyio

NEWEST = migrations()[-1][0]
OLD_FILES = sorted(Path(__file__).parent.glob("ledger_*.sql"))


NEXT = "CREATE TABLE later (name TEXT) STRICT;"


@contextlib.contextmanager
def a_newer_program(monkeypatch: pytest.MonkeyPatch, sql: str = NEXT) -> Iterator[None]:
    """Within it, this program knows one migration more."""
    newer = [*migrations(), (NEWEST + 1, sql)]
    with monkeypatch.context() as patch:
        patch.setattr(migrate, "migrations", lambda: newer)
        yield


def hold_alone(path: Path) -> int:
    """Take the lock as a server does that changes the schema; closing it lets go."""
    lock = os.open(path.parent / "schema.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


async def somebody_waits_for(lock: int) -> None:
    """Wait until the kernel says so: a blocked lock stands behind an arrow."""
    inode = f":{os.fstat(lock).st_ino} "
    with anyio.fail_after(20):
        while not any(
            "->" in line and inode in line for line in Path("/proc/locks").read_text().splitlines()
        ):
            await anyio.sleep(0.001)


def version(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(path)) as file:
        return int(file.execute("PRAGMA user_version").fetchone()[0])


def test_migrating_from_nothing_gives_the_schema_of_the_snapshot() -> None:
    with contextlib.closing(fresh()) as connection:
        assert schema(connection) == SNAPSHOT.read_text(), f"if it is meant, run {RENEW}"


def test_migrations_are_numbered_without_a_gap() -> None:
    assert [number for number, _ in migrations()] == list(range(1, NEWEST + 1))


async def test_a_new_file_has_the_snapshot_s_schema_and_a_write_ahead_log(path: Path) -> None:
    async with schema_of(path):
        pass
    with contextlib.closing(sqlite3.connect(path)) as file:
        assert schema(file) == SNAPSHOT.read_text()
        assert file.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert version(path) == NEWEST


@pytest.mark.parametrize("old", OLD_FILES, ids=lambda old: old.stem)
async def test_an_old_file_opens_with_everything_in_it(path: Path, old: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as file:
        file.executescript(old.read_text())
    async with open_ledger(path) as ledger:
        [repository] = await ledger.repositories.all()
        session = await ledger.sessions.owned("s_2222", Owner("local"))
        assert session is not None
        assert session.repository_id == repository.id
        states = [(await ledger.commands.get(f"c_222{number}")).state for number in range(2, 6)]
        assert states == ["queued", "starting", "running", "finished"]
        [artifact] = await ledger.artifacts.of_session(session.id)
        assert artifact.name == "build/junit.xml"
        # And it goes on from there.
        await ledger.command(session)
    assert version(path) == NEWEST


def test_there_is_an_old_file_for_each_schema() -> None:
    assert [old.stem for old in OLD_FILES] == [f"ledger_{n:04}" for n in range(1, NEWEST + 1)]


async def test_servers_that_start_at_once_on_a_fresh_directory_all_open_it(path: Path) -> None:
    count = 8
    inside: list[str] = []
    all_inside = anyio.Event()

    async def start() -> None:
        async with open_ledger(path) as ledger:
            repository = await ledger.repository()
            inside.append(repository.id)
            if len(inside) == count:
                all_inside.set()
            await all_inside.wait()

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            for _ in range(count):
                tasks.start_soon(start)
    assert len(set(inside)) == 1


async def test_a_server_waits_while_another_one_migrates(path: Path) -> None:
    lock = hold_alone(path)
    opened = anyio.Event()

    async def start() -> None:
        async with schema_of(path):
            opened.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(start)
        await somebody_waits_for(lock)
        with contextlib.closing(sqlite3.connect(path)) as file:
            for number, sql in migrations():
                file.executescript(f"{sql}; PRAGMA user_version = {number};")
        assert not opened.is_set()
        os.close(lock)
    assert opened.is_set()


async def test_a_server_takes_over_from_one_that_died_before_it_migrated(path: Path) -> None:
    lock = hold_alone(path)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_open, path)
        await somebody_waits_for(lock)
        os.close(lock)
    assert version(path) == NEWEST


async def _open(path: Path) -> None:
    async with schema_of(path):
        pass


async def test_a_newer_schema_is_refused_in_one_sentence(path: Path) -> None:
    await _open(path)
    with contextlib.closing(sqlite3.connect(path)) as file:
        file.execute(f"PRAGMA user_version = {NEWEST + 1}")
    with pytest.raises(Conflict) as caught:
        await _open(path)
    assert caught.value.message == (
        f"the data directory {path.parent} has schema {NEWEST + 1}, and this debug-mcp knows only "
        f"{NEWEST}: use the newer debug-mcp that wrote it, or another --data-dir"
    )
    assert version(path) == NEWEST + 1


async def test_the_schema_never_changes_under_a_running_server(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with schema_of(path):
        with (
            a_newer_program(monkeypatch),
            pytest.raises(Conflict, match="is in use by an older debug-mcp"),
        ):
            await _open(path)
        assert version(path) == NEWEST
        # One of the same version still gets in.
        await _open(path)


async def test_a_newer_server_migrates_when_the_older_one_has_ended(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _open(path)
    with a_newer_program(monkeypatch):
        await _open(path)
    assert version(path) == NEWEST + 1
    with pytest.raises(Conflict, match="use the newer debug-mcp"):
        await _open(path)


async def test_a_migration_that_fails_leaves_the_file_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _open(path)
    broken = "CREATE TABLE half (name TEXT) STRICT; CREATE TABLE nonsense"
    with a_newer_program(monkeypatch, broken), pytest.raises(Unavailable):
        await _open(path)
    assert version(path) == NEWEST
    with contextlib.closing(sqlite3.connect(path)) as file:
        assert schema(file) == SNAPSHOT.read_text()


async def test_a_file_that_is_no_database_is_refused_in_one_sentence(path: Path) -> None:
    path.write_text("This is a letter and not a database, whatever its name may say. " * 20)
    with pytest.raises(Unavailable) as caught:
        await _open(path)
    assert caught.value.message == f"{path} cannot be used: file is not a database"
