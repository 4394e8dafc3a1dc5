"""Trees that are there before they are asked for: shared, refilled, bounded, never used twice."""

from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from debug_mcp.app import open_services
from debug_mcp.auth.principal import LOCAL
from debug_mcp.config import Layout, Settings
from debug_mcp.models.repositories import RepositoryRemove
from debug_mcp.service.services import Services
from debug_mcp.worktrees.pool import Shelf, shelves
from tests.service.house import House, text
from tests.upstream import Upstream

pytestmark = pytest.mark.anyio

FILL_SECONDS = 30


@pytest.fixture
def house(services: Services, settings: Settings) -> House:
    return House(services, settings)


def shelf(settings: Settings) -> Shelf:
    """Return the only repository's trees."""
    found = list(shelves(Layout(settings.data_dir).pool))
    return found[0] if found else Shelf(settings.data_dir / "none")


def commits(settings: Settings) -> list[str]:
    return [tree.commit for tree in shelf(settings).ready()]


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for what the pool does in the background."""
    with anyio.fail_after(FILL_SECONDS):
        while not is_so():
            await anyio.sleep(0.01)


def inode(path: Path) -> int:
    return path.stat().st_ino


async def test_a_session_gets_a_prepared_tree_and_another_is_made(
    house: House, settings: Settings, upstream: Upstream
) -> None:
    head = upstream.git("rev-parse", "HEAD")
    await house.open(upstream)
    await until(lambda: commits(settings) == [head, head])
    offered = {inode(tree.path) for tree in shelf(settings).ready()}
    session = await house.open(upstream)
    assert inode(house.file(session, ".")) in offered
    await until(lambda: commits(settings) == [head, head])
    assert inode(house.file(session, ".")) not in {
        inode(tree.path) for tree in shelf(settings).ready()
    }
    view = await house.run(session, "git status --short --branch; git log -1 --format=%an")
    assert text(view) == f"## debug-mcp/{session}\nAda Example\n"


async def test_prepared_trees_follow_the_upstream_and_serve_its_other_commits(
    house: House, settings: Settings, upstream: Upstream
) -> None:
    first = upstream.git("rev-parse", "HEAD")
    await house.open(upstream)
    await until(lambda: len(commits(settings)) == 2)
    second = upstream.commit("Second", {"second.txt": "2\n"})
    session = await house.open(upstream)
    assert house.file(session, "second.txt").read_text() == "2\n"
    await until(lambda: commits(settings) == [second, second])
    older = await house.open(upstream, ref=first)
    assert not house.file(older, "second.txt").exists()
    view = await house.run(older, "git status --short; git rev-parse HEAD")
    assert text(view) == f"{first}\n"


async def test_a_tree_in_which_something_ran_is_never_offered_again(
    house: House, settings: Settings, upstream: Upstream
) -> None:
    session = await house.open(upstream)
    await house.run(session, "touch build; git update-index --skip-worktree calculator.py")
    used = inode(house.file(session, "."))
    await until(lambda: len(commits(settings)) == 2)
    await house.close(session)
    assert not house.file(session, ".").exists()
    assert used not in {inode(tree.path) for tree in shelf(settings).ready()}


async def test_two_servers_share_the_trees_and_make_no_more_of_them(
    house: House, settings: Settings, upstream: Upstream
) -> None:
    await house.open(upstream)
    async with open_services(settings) as others:
        other = House(others, settings)
        await until(lambda: len(commits(settings)) == 2)
        sessions: list[str] = []

        async def open_one(by: House) -> None:
            sessions.append(await by.open(upstream))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(open_one, house)
            tasks.start_soon(open_one, other)
        assert len({inode(house.file(session, ".")) for session in sessions}) == 2
        await until(lambda: len(commits(settings)) == 2)


async def test_what_a_dead_server_was_making_and_trees_of_nobody_are_removed(
    settings: Settings, upstream: Upstream
) -> None:
    pool = Layout(settings.data_dir).pool
    async with open_services(settings) as services:
        await House(services, settings).open(upstream)
        await until(lambda: len(commits(settings)) == 2)
        here = shelf(settings).folder
    half_made = here / "0abc.0dead"
    half_made.mkdir()
    (pool / "r_gone" / f"{'1' * 40}-4-0a").mkdir(parents=True)
    async with open_services(settings):
        assert not half_made.exists()
        assert not (pool / "r_gone").exists()
        assert len(commits(settings)) == 2


async def test_trees_of_a_removed_repository_go_with_it(
    house: House, settings: Settings, upstream: Upstream
) -> None:
    session = await house.open(upstream)
    await house.run(session, "echo work > exported")
    await until(lambda: len(commits(settings)) == 2)
    [folder] = [shelf.folder for shelf in shelves(Layout(settings.data_dir).pool)]
    await house.services.removal.remove(LOCAL, RepositoryRemove(name="calculator", force=True))
    assert not folder.exists()


@pytest.mark.parametrize("bound", [{"pool_trees": 0}, {"pool_bytes": 0}])
async def test_without_room_there_are_no_prepared_trees_and_sessions_all_the_same(
    settings: Settings, upstream: Upstream, bound: dict[str, int]
) -> None:
    bounded = settings.model_copy(update=bound)
    async with open_services(bounded) as services:
        house = House(services, bounded)
        await house.open(upstream)
        session = await house.open(upstream)
        assert house.file(session, "calculator.py").exists()
    assert commits(bounded) == []
