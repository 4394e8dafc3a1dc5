"""Rows of sessions."""

from dataclasses import replace

import pytest

from debug_mcp.errors import Conflict
from debug_mcp.models.base import Owner
from debug_mcp.models.sessions import Isolation, SessionState
from debug_mcp.store.idempotency import Request
from tests.store.ledger import MIDDAY, Ledger

pytestmark = pytest.mark.anyio

REQUEST = Request("local", "session_create", "key", "digest")


async def test_a_session_comes_back_as_it_was_created(ledger: Ledger) -> None:
    session = await ledger.session(
        isolation=Isolation.BWRAP, created_at=MIDDAY, patch_digest="sha256:1"
    )
    assert await ledger.sessions.get(session.id) == session
    assert await ledger.sessions.owned(session.id, Owner("local")) == session
    assert await ledger.sessions.owned(session.id, Owner("bob")) is None
    assert await ledger.sessions.owned("s_none", Owner("local")) is None


async def test_a_session_goes_where_the_lifecycle_allows_and_nowhere_else(ledger: Ledger) -> None:
    session = await ledger.session(state=SessionState.PREPARING)
    advance = ledger.sessions.advance
    assert not await advance(session.id, SessionState.CLOSING)
    assert await advance(session.id, SessionState.READY)
    assert await advance(session.id, SessionState.CLOSING, instance="other")
    assert not await advance(session.id, SessionState.CLOSING)
    assert await advance(session.id, SessionState.CLOSED, closed_why="by caller")
    for state in SessionState:
        assert not await advance(session.id, state)
    closed = await ledger.sessions.get(session.id)
    assert closed.closed_at is not None
    assert replace(closed, closed_at=None) == replace(
        session, state=SessionState.CLOSED, instance="other", closed_why="by caller"
    )


async def test_the_same_key_means_the_same_session(ledger: Ledger) -> None:
    first = await ledger.session(REQUEST)
    assert (await ledger.session(REQUEST)).id == first.id
    with pytest.raises(Conflict, match=f"'key' was used for {first.id} with other arguments"):
        await ledger.session(replace(REQUEST, digest="another"))


async def test_a_session_that_failed_frees_its_key(ledger: Ledger) -> None:
    failed = await ledger.session(REQUEST, state=SessionState.PREPARING)
    await ledger.sessions.fail(failed.id)
    assert (await ledger.sessions.get(failed.id)).state is SessionState.FAILED
    assert (await ledger.session(REQUEST)).id != failed.id


async def test_a_session_that_is_ready_does_not_fail_and_keeps_its_key(ledger: Ledger) -> None:
    session = await ledger.session(REQUEST)
    await ledger.sessions.fail(session.id)
    assert (await ledger.session(REQUEST)) == session


@pytest.mark.parametrize("state", [SessionState.PREPARING, SessionState.CLOSING])
async def test_what_a_dead_server_left_is_adopted_once(ledger: Ledger, state: SessionState) -> None:
    session = await ledger.session(state=state, instance="dead")
    assert not await ledger.sessions.adopt(session.id, "another", "two")
    assert await ledger.sessions.adopt(session.id, "dead", "two")
    assert not await ledger.sessions.adopt(session.id, "dead", "three")
    assert (await ledger.sessions.get(session.id)).instance == "two"


async def test_a_session_in_which_nothing_is_half_done_is_not_adopted(ledger: Ledger) -> None:
    session = await ledger.session(instance="dead")
    assert not await ledger.sessions.adopt(session.id, "dead", "two")


async def test_sessions_are_found_by_their_state(ledger: Ledger) -> None:
    ready = [await ledger.session() for _ in range(2)]
    preparing = await ledger.session(state=SessionState.PREPARING)
    closing = await ledger.session(state=SessionState.CLOSING)
    found = await ledger.sessions.in_state(SessionState.PREPARING, SessionState.CLOSING)
    assert [session.id for session in found] == [preparing.id, closing.id]
    assert await ledger.sessions.count_open() == 2
    assert await ledger.sessions.open_ids(Owner("local")) == [ready[1].id, ready[0].id]
    assert await ledger.sessions.open_ids(Owner("bob")) == []


async def test_where_a_session_was_exported_is_kept(ledger: Ledger) -> None:
    session = await ledger.session()
    await ledger.sessions.note_export(session.id, "refs/heads/fix")
    assert (await ledger.sessions.get(session.id)).exported_ref == "refs/heads/fix"
