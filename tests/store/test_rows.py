"""Times, ids and compare-and-set."""

from datetime import UTC, datetime

import aiosqlite
import pytest
from hypothesis import given
from hypothesis import strategies as st

from debug_mcp.models.sessions import SessionState
from debug_mcp.store.rows import ALPHABET, advance, fresh_id, moment, to_micros, to_moment
from tests.store.ledger import Ledger


@given(st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))
def test_a_time_comes_back_to_the_microsecond(when: datetime) -> None:
    assert moment(to_micros(when)) == when


def test_no_time_stays_no_time() -> None:
    assert to_moment(None) is None
    assert to_moment(0) == datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.anyio
async def test_an_id_is_short_and_has_no_look_alikes(ledger: Ledger) -> None:
    found = await ledger.database.write(lambda connection: fresh_id(connection, "sessions", "s"))
    prefix, characters = found.split("_")
    assert (prefix, len(characters)) == ("s", 4)
    assert set(characters) <= set(ALPHABET)
    assert not set("01oil") & set(ALPHABET)


@pytest.mark.anyio
async def test_ids_grow_longer_when_the_short_ones_are_used_up(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("debug_mcp.store.rows.ALPHABET", "x")
    sessions = [await ledger.session() for _ in range(3)]
    assert [session.id for session in sessions] == ["s_xxxx", "s_xxxxx", "s_xxxxxx"]


@pytest.mark.anyio
async def test_only_the_first_of_two_changes_from_a_state_is_made(ledger: Ledger) -> None:
    session = await ledger.session()

    async def close(connection: aiosqlite.Connection) -> bool:
        return await advance(
            connection, "sessions", session.id, ["ready"], {"state": SessionState.CLOSING}
        )

    assert [await ledger.database.write(close) for _ in range(2)] == [True, False]


@pytest.mark.anyio
async def test_a_row_that_is_not_there_is_not_changed(ledger: Ledger) -> None:
    async def close(connection: aiosqlite.Connection) -> bool:
        return await advance(connection, "sessions", "s_none", ["ready"], {"state": "closing"})

    assert await ledger.database.write(close) is False
