"""The audit log, behind the calls."""

import sqlite3
from pathlib import Path
from typing import Any

import anyio
import pytest

from debug_mcp.auth.principal import LOCAL, Principal, Scope
from debug_mcp.config import Settings
from debug_mcp.errors import Busy, InvalidInput, NotFound
from debug_mcp.models.audit import AuditList, EntryView
from debug_mcp.service import audit as module
from debug_mcp.service.audit import AuditService, object_in
from debug_mcp.service.origins import Origin, coming_from
from debug_mcp.service.services import Services
from debug_mcp.store.audit import Audit
from debug_mcp.store.database import open_database
from debug_mcp.store.migrate import schema_of

pytestmark = pytest.mark.anyio

ADA = Principal("ada", frozenset(Scope), token_id="t_1")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


async def logged(service: AuditService, **asked: Any) -> list[EntryView]:
    """Return what is there, oldest first."""
    return (await service.listing(LOCAL, AuditList(**asked))).entries[::-1]


async def test_a_change_is_recorded_with_its_outcome(services: Services) -> None:
    with coming_from(Origin("r1", "192.0.2.1")), services.audit.watching(ADA, "x", "s_1"):
        pass
    with pytest.raises(InvalidInput), services.audit.watching(ADA, "x"):
        raise InvalidInput("wrong")
    with pytest.raises(ZeroDivisionError), services.audit.watching(ADA, "x"):
        raise ZeroDivisionError
    first, second, third = await logged(services.audit)
    assert (first.principal, first.token_id, first.object_id) == ("ada", "t_1", "s_1")
    assert (first.request_id, first.peer) == ("r1", "192.0.2.1")
    assert [e.outcome for e in (first, second, third)] == ["done", "invalid_input", "fault"]


async def test_of_what_changes_nothing_only_refusals_are_recorded(services: Services) -> None:
    for error in (None, InvalidInput("x"), NotFound("x"), Busy("x")):
        with (
            pytest.raises(type(error)) if error else anyio.CancelScope(),
            services.audit.watching(ADA, "look", changes=False),
        ):
            if error:
                raise error
    assert [entry.outcome for entry in await logged(services.audit)] == ["not_found", "busy"]


async def test_entries_are_stored_while_nobody_asks(services: Services, settings: Settings) -> None:
    with services.audit.watching(ADA, "x"):
        pass
    ledger = sqlite3.connect(settings.data_dir / "debug-mcp.sqlite3")
    with anyio.fail_after(10):
        while not ledger.execute("SELECT 1 FROM audit").fetchall():
            await anyio.sleep(0.02)
    ledger.close()


async def test_what_was_recorded_can_neither_be_changed_nor_come_twice(
    services: Services, settings: Settings
) -> None:
    with services.audit.watching(ADA, "x"):
        pass
    await logged(services.audit)
    assert len(await logged(services.audit)) == 1
    ledger = sqlite3.connect(settings.data_dir / "debug-mcp.sqlite3")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        ledger.execute("UPDATE audit SET principal = 'somebody else'")
    ledger.close()


async def test_whoever_reads_sees_what_is_being_stored_just_then(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    async with schema_of(path), open_database(path) as database:
        service, busy, go_on = AuditService(Audit(database)), anyio.Event(), anyio.Event()
        seen: list[list[EntryView]] = []

        async def occupy(_: object) -> None:
            busy.set()
            await go_on.wait()

        async def read() -> None:
            seen.append(await logged(service))

        with service.watching(ADA, "x"):
            pass
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(database.write, occupy)
            await busy.wait()
            tasks.start_soon(read)
            tasks.start_soon(read)
            with anyio.move_on_after(0.2):  # for one that would not wait
                while not seen:
                    await anyio.sleep(0.01)
            go_on.set()
        assert [[entry.operation for entry in entries] for entries in seen] == [["x"], ["x"]]


async def test_what_cannot_be_stored_is_kept_and_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    async with schema_of(path), open_database(path) as database:
        await database.read("SELECT 1")
        service = AuditService(Audit(database))
        with service.watching(ADA, "x"):
            pass
        other = sqlite3.connect(path)
        other.execute("ALTER TABLE audit RENAME TO elsewhere")
        with pytest.raises(sqlite3.OperationalError):
            await service.listing(LOCAL, AuditList())
        other.execute("ALTER TABLE elsewhere RENAME TO audit")
        other.close()
        assert [entry.operation for entry in await logged(service)] == ["x"]


async def test_a_ledger_that_is_out_of_order_holds_up_no_call(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    async with schema_of(path), open_database(path) as database, anyio.create_task_group() as tasks:
        service = AuditService(Audit(database))
        tasks.start_soon(service.serve)
        with service.watching(ADA, "one"):
            pass
        await service.stored()
        assert len(await database.read("SELECT 1 FROM audit")) == 1
        ledger = sqlite3.connect(path)
        ledger.execute("ALTER TABLE audit RENAME TO elsewhere")
        with service.watching(ADA, "two"):
            pass
        with anyio.fail_after(20):
            await service.stored()
        assert len(await database.read("SELECT 1 FROM elsewhere")) == 1
        ledger.execute("ALTER TABLE elsewhere RENAME TO audit")
        ledger.close()
        tasks.cancel_scope.cancel()
    async with open_database(path) as database:
        assert len(await database.read("SELECT 1 FROM audit")) == 2


async def test_a_ledger_that_is_long_out_of_order_takes_no_more_than_its_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "PENDING", 2)
    path = tmp_path / "ledger"
    async with schema_of(path), open_database(path) as database:
        service = AuditService(Audit(database))
        for name in ("first", "second", "third"):
            with service.watching(ADA, name):
                pass
        assert [entry.operation for entry in await logged(service)] == ["second", "third"]
    assert "1 entries of the audit log are lost" in caplog.text


def test_the_object_is_the_most_particular_that_is_named() -> None:
    assert object_in({"session_id": "s_1", "command_id": "c_1"}) == "c_1"
    assert object_in({"name": "app"}) == "app"
    assert object_in({}) is None


@pytest.mark.parametrize(
    "value", ["dmcp_" + "A" * 43, "a b", "x" * 200, "https://u:p@example.org", 1, None, "", "a\nb"]
)
def test_what_is_no_id_is_not_recorded(value: object) -> None:
    assert object_in({"token": value}) is None


async def test_of_a_refused_call_no_name_is_kept_since_it_may_be_anything(
    services: Services,
) -> None:
    for sent in ("s_hunter2-in-the-environment", "hunter2", "s_22"):
        with pytest.raises(NotFound), services.audit.watching(ADA, "session_get", sent):
            raise NotFound("x")
    assert [entry.object_id for entry in await logged(services.audit)] == [None, None, "s_22"]
