"""Rows of repositories."""

from dataclasses import replace
from typing import Any

import anyio
import pytest

from debug_mcp.models.repositories import RepositoryState
from tests.store.ledger import BASE, MIDDAY, Ledger

pytestmark = pytest.mark.anyio


async def test_a_repository_comes_back_as_it_was_registered(ledger: Ledger) -> None:
    repository = await ledger.repository(created_at=MIDDAY)
    assert await ledger.repositories.get(repository.id) == repository
    assert await ledger.repositories.named("calculator") == repository
    assert await ledger.repositories.named("other") is None


async def test_a_name_is_registered_once_however_many_ask_at_once(ledger: Ledger) -> None:
    ids: list[str] = []

    async def register(url: str) -> None:
        ids.append((await ledger.repository(url=url)).id)

    async with anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(register, f"/{number}")
    assert len(set(ids)) == 1
    assert len(await ledger.repositories.all()) == 1


async def test_a_repository_goes_where_the_lifecycle_allows_with_its_facts(ledger: Ledger) -> None:
    repository = await ledger.repository()
    advance = ledger.repositories.advance
    assert not await advance(repository.id, RepositoryState.SYNCING)
    assert await advance(repository.id, RepositoryState.FAILED, error="no such host")
    failed = await ledger.repositories.get(repository.id)
    assert failed == replace(repository, state=RepositoryState.FAILED, error="no such host")
    assert await advance(repository.id, RepositoryState.CLONING)
    assert (await ledger.repositories.get(repository.id)).error is None
    assert await advance(repository.id, RepositoryState.READY)
    assert (await ledger.repositories.get(repository.id)).state == "ready"


async def test_settings_are_stored_with_it_and_changed_alone(ledger: Ledger) -> None:
    settings: dict[str, Any] = {
        "default_ref": "trunk",
        "depth": 5,
        "setup": ("make deps", "pip install -e ."),
        "artifacts": ("build/**/*.xml",),
        "env": {"MODE": "test"},
    }
    repository = await ledger.repository(**settings)
    assert await ledger.repositories.get(repository.id) == replace(repository, **settings)
    await ledger.repositories.synced(repository.id, ("main", BASE), MIDDAY)
    await ledger.repositories.configure(replace(repository, setup=(), env={}, head_ref=None))
    changed = await ledger.repositories.get(repository.id)
    assert (changed.setup, changed.env, changed.artifacts) == ((), {}, settings["artifacts"])
    assert (changed.state, changed.head_ref) == ("ready", "main")


async def test_a_fetch_moves_the_head_and_says_when(ledger: Ledger) -> None:
    repository = await ledger.repository()
    await ledger.repositories.synced(repository.id, ("trunk", BASE), MIDDAY)
    moved = await ledger.repositories.get(repository.id)
    assert (moved.state, moved.head_ref, moved.head_commit) == ("ready", "trunk", BASE)
    assert moved.synced_at == MIDDAY
    await ledger.repositories.synced(repository.id, None, MIDDAY)
    assert (await ledger.repositories.get(repository.id)).head_ref is None


async def test_a_fetch_that_failed_leaves_what_was_there_and_the_next_one_forgets_it(
    ledger: Ledger,
) -> None:
    repository = await ledger.repository()
    await ledger.repositories.synced(repository.id, ("main", BASE), MIDDAY)
    await ledger.repositories.advance(repository.id, RepositoryState.SYNCING)
    assert (await ledger.repositories.get(repository.id)).head_ref == "main"
    await ledger.repositories.sync_failed(repository.id, "no such host")
    failed = await ledger.repositories.get(repository.id)
    assert (failed.state, failed.error, failed.head_ref) == ("ready", "no such host", "main")
    assert failed.synced_at == MIDDAY
    await ledger.repositories.synced(repository.id, ("main", BASE), MIDDAY)
    assert (await ledger.repositories.get(repository.id)).error is None


async def test_a_removed_repository_is_not_brought_back_by_a_fetch(ledger: Ledger) -> None:
    repository = await ledger.repository()
    await ledger.repositories.advance(repository.id, RepositoryState.READY)
    await ledger.repositories.advance(repository.id, RepositoryState.REMOVED)
    await ledger.repositories.synced(repository.id, ("main", BASE), MIDDAY)
    await ledger.repositories.sync_failed(repository.id, "no such host")
    assert (await ledger.repositories.get(repository.id)).state == "removed"


async def test_a_removed_repository_is_not_listed_and_its_name_is_free(ledger: Ledger) -> None:
    removed = await ledger.repository()
    await ledger.repositories.advance(removed.id, RepositoryState.READY)
    await ledger.repositories.advance(removed.id, RepositoryState.REMOVED)
    assert await ledger.repositories.named("calculator") is None
    again = await ledger.repository()
    assert again.id != removed.id
    another = await ledger.repository(name="abacus")
    assert await ledger.repositories.all() == [another, again]
