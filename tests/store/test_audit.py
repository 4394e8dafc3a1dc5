"""Rows of the audit log."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from debug_mcp.models.audit import AuditList, Entry
from debug_mcp.store.audit import Audit
from tests.store.ledger import open_ledger

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
ENTRY = Entry(NOON, "ada", "t_1", "command_run", "c_1", "done", 0.25, "r1", "192.0.2.1")


@pytest.mark.parametrize(
    "changes",
    [
        {"principal": "bob"},
        {"token_id": "t_2"},
        {"operation": "file_edit"},
        {"object_id": "c_2"},
        {"outcome": "not_found"},
    ],
    ids=lambda changes: next(iter(changes)),
)
async def test_entries_are_found_by_each_of_what_they_say(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    async with open_ledger(tmp_path / "ledger") as ledger:
        audit = Audit(ledger.database)
        other = replace(ENTRY, **changes)
        await audit.add([ENTRY, other])
        found = await audit.page(AuditList(**changes), 10)
        assert [replace(entry, number=0) for entry in found] == [other]


async def test_a_span_has_its_beginning_and_not_its_end(tmp_path: Path) -> None:
    async with open_ledger(tmp_path / "ledger") as ledger:
        audit = Audit(ledger.database)
        for minutes in range(4):
            await audit.add([replace(ENTRY, at=NOON + timedelta(minutes=minutes))])
        span = AuditList(since=NOON + timedelta(minutes=1), until=NOON + timedelta(minutes=3))
        minutes_found = [entry.at.minute for entry in await audit.page(span, 10)]
        assert minutes_found == [2, 1]


async def test_old_entries_go_and_their_numbers_are_never_given_again(tmp_path: Path) -> None:
    async with open_ledger(tmp_path / "ledger") as ledger:
        audit = Audit(ledger.database)
        await audit.add([ENTRY, replace(ENTRY, principal=None, token_id=None, peer=None)])
        assert await audit.count_before(NOON) == 0
        later = NOON + timedelta(seconds=1)
        assert await audit.count_before(later) == 2
        await audit.forget_before(later)
        await audit.add([ENTRY])
        [entry] = await audit.page(AuditList(), 10)
        assert entry.number == 3
