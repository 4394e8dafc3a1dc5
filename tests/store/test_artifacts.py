"""Rows of artifacts."""

from datetime import timedelta

import pytest

from debug_mcp.models.base import Owner
from tests.store.ledger import MIDDAY, Ledger, an_artifact

pytestmark = pytest.mark.anyio


async def test_an_artifact_comes_back_as_it_was_kept(ledger: Ledger) -> None:
    session = await ledger.session()
    [kept] = await ledger.artifacts.keep([an_artifact(session, created_at=MIDDAY)])
    assert await ledger.artifacts.owned(kept.id, Owner("local")) == kept
    assert await ledger.artifacts.owned(kept.id, Owner("bob")) is None


async def test_the_same_name_and_content_in_a_session_is_the_same_artifact(ledger: Ledger) -> None:
    session = await ledger.session()
    [first] = await ledger.artifacts.keep([an_artifact(session)])
    again, changed = await ledger.artifacts.keep(
        [an_artifact(session), an_artifact(session, sha256="b" * 64)]
    )
    assert again == first
    assert changed.id != first.id
    [elsewhere] = await ledger.artifacts.keep([an_artifact(await ledger.session())])
    assert elsewhere.id != first.id


async def test_what_stands_twice_in_one_collection_is_kept_once(ledger: Ledger) -> None:
    session = await ledger.session()
    one, other = await ledger.artifacts.keep([an_artifact(session), an_artifact(session)])
    assert one.id == other.id
    assert await ledger.count("artifacts") == 1


async def test_a_session_lists_its_own_artifacts_oldest_first(ledger: Ledger) -> None:
    session = await ledger.session()
    await ledger.artifacts.keep([an_artifact(await ledger.session())])
    kept = await ledger.artifacts.keep(
        [
            an_artifact(session, name=name, created_at=MIDDAY + timedelta(seconds=second))
            for second, name in enumerate("zya")
        ]
    )
    assert await ledger.artifacts.of_session(session.id) == kept


async def test_pages_hold_every_artifact_of_a_principal_once(ledger: Ledger) -> None:
    session = await ledger.session()
    # Many of the same moment: only the id tells them apart.
    kept = await ledger.artifacts.keep(
        [an_artifact(session, name=str(number), created_at=MIDDAY) for number in range(7)]
    )
    stranger = await ledger.session(principal="bob")
    await ledger.artifacts.keep([an_artifact(stranger)])
    found: list[str] = []
    after: str | None = None
    while page := await ledger.artifacts.page(Owner("local"), after, 3):
        assert len(page) <= 3
        found += [artifact.id for artifact in page]
        after = page[-1].id
    assert len(found) == 7
    assert set(found) == {artifact.id for artifact in kept}
