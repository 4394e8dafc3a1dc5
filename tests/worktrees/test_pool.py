"""Prepared trees on disk: given away once, told from half-made ones, whole wherever they go."""

import threading
from pathlib import Path

import pytest

from debug_mcp.worktrees import checkouts
from debug_mcp.worktrees.checkouts import Checkout, Identity
from debug_mcp.worktrees.pool import Shelf, shelves
from tests.upstream import CALCULATOR, Upstream
from tests.worktrees.conftest import Followed, Tree, git_in, open_tree

ONE, TWO = "1" * 40, "2" * 40


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "pool" / "r_1")


def offer(shelf: Shelf, commit: str, content: str = "x") -> None:
    tree = shelf.begin("abcd")
    (tree / "file").write_text(content)
    shelf.offer(tree, commit)


def test_a_tree_at_the_commit_is_taken_before_any_other(shelf: Shelf, tmp_path: Path) -> None:
    assert shelf.take(ONE, tmp_path / "tree") is None
    offer(shelf, ONE, "one")
    offer(shelf, TWO, "two")
    assert shelf.take(ONE, tmp_path / "first") == ONE
    assert (tmp_path / "first/file").read_text() == "one"
    assert shelf.take(ONE, tmp_path / "second") == TWO
    assert shelf.take(ONE, tmp_path / "third") is None
    assert not (tmp_path / "third").exists()


def test_many_takers_at_once_never_get_one_tree_twice(shelf: Shelf, tmp_path: Path) -> None:
    for number in range(20):
        offer(shelf, ONE, str(number))
    start = threading.Barrier(8)
    taken: list[Path] = []

    def take(taker: int) -> None:
        start.wait()
        number = 0
        while shelf.take(ONE, target := tmp_path / f"{taker}-{number}"):
            taken.append(target)
            number += 1

    threads = [threading.Thread(target=take, args=(taker,)) for taker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    contents = sorted(int((tree / "file").read_text()) for tree in taken)
    assert contents == list(range(20))


def test_a_tree_that_is_being_made_is_not_given_away_and_ends_with_its_maker(
    shelf: Shelf, tmp_path: Path
) -> None:
    living, dead = shelf.begin("a1"), shelf.begin("b2")
    dead.with_name(f"{dead.name}.git").mkdir()
    offer(shelf, ONE)
    shelf.sweep(lambda instance: instance == "a1")
    assert shelf.take(TWO, tmp_path / "tree") == ONE
    assert [path.name for path in shelf.folder.iterdir()] == [living.name]


def test_a_tree_that_somebody_took_is_neither_switched_nor_removed(
    shelf: Shelf, tmp_path: Path
) -> None:
    offer(shelf, ONE)
    [tree] = shelf.ready()
    shelf.take(ONE, tmp_path / "tree")
    assert shelf.begin_with(tree, "a1") is None
    shelf.discard(tree, "a1")
    assert (tmp_path / "tree/file").exists()


def test_a_shelf_knows_what_its_trees_take_on_disk(shelf: Shelf) -> None:
    offer(shelf, ONE, "x" * 1_000_000)
    [tree] = shelf.ready()
    assert 1_000_000 <= tree.size < 1_200_000


def test_only_folders_of_repositories_are_shelves(tmp_path: Path) -> None:
    assert list(shelves(tmp_path / "none")) == []
    (tmp_path / ".empty").mkdir()
    (tmp_path / "r_1").mkdir()
    (tmp_path / "r_1.lock").touch()
    assert [shelf.folder.name for shelf in shelves(tmp_path)] == ["r_1"]


@pytest.mark.anyio
async def test_a_prepared_tree_is_clean_and_sound_for_whoever_gets_it(
    mirror: Followed, tmp_path: Path, shelf: Shelf, upstream: Upstream
) -> None:
    shelf.folder.mkdir(parents=True)
    prepared = await open_tree(mirror, shelf.folder / "0a.0b")
    shelf.offer(prepared.path, prepared.base)
    upstream.commit("Second", {"second/one.txt": "2\n", "calculator.py": "pass\n"})
    upstream.git("rm", "--quiet", "pytest.ini")
    upstream.commit("Third", {})
    await mirror.sync()
    later = await mirror.resolve("HEAD")
    target = tmp_path / "session"
    assert shelf.take(later, target) == prepared.base
    checkout = Checkout(
        tree=target, objects=mirror.objects, branch="debug-mcp/s_2", commit=later,
        refs=await mirror.refs(), upstream_head="main", identity=Identity("Bo", "bo@example.org"),
    )  # fmt: skip
    checkouts.lay_out_again(checkout)
    run = git_in(target)
    await checkouts.fill(run)
    tree = Tree(target, later)
    assert await tree.git("status", "--porcelain", "--branch") == "## debug-mcp/s_2\n"
    assert await tree.git("for-each-ref", "--format=%(refname)", "refs/heads") == (
        "refs/heads/debug-mcp/s_2\n"
    )
    assert await tree.git("config", "--local", "user.name") == "Bo\n"
    files = {path.name for path in target.rglob("*") if ".git" not in path.parts}
    assert files == CALCULATOR.keys() - {"pytest.ini"} | {"second", "one.txt"}
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "calculator",
        "mirror",
        "pool",
        "session",
    ]
