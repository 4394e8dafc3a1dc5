"""Private working trees: git works in one as in a clone, and nothing leaves it."""

import os
import subprocess
from pathlib import Path

import pytest

from debug_mcp.worktrees.checkouts import Identity
from tests.upstream import Upstream
from tests.worktrees.conftest import Followed, Tree, open_tree

pytestmark = pytest.mark.anyio


def work(tree: Tree, *arguments: str) -> str:
    """Run git as a command of the session would: without our options."""
    done = subprocess.run(
        ["git", *arguments], cwd=tree.path, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


async def test_a_tree_is_whole_and_clean(
    mirror: Followed, tmp_path: Path, upstream: Upstream
) -> None:
    upstream.commit("Odd", {"folder with space/größe\nx": "odd\n"})
    (upstream.path / "run.sh").write_text("#!/bin/sh\n")
    (upstream.path / "run.sh").chmod(0o755)
    (upstream.path / "link").symlink_to("run.sh")
    upstream.commit("More", {})
    await mirror.sync()
    tree = await open_tree(mirror, tmp_path / "tree")
    assert work(tree, "status", "--porcelain") == ""
    assert (tree.path / "folder with space/größe\nx").read_text() == "odd\n"
    assert os.access(tree.path / "run.sh", os.X_OK)
    assert (tree.path / "link").readlink() == Path("run.sh")
    work(tree, "fsck", "--strict", "--no-progress")


async def test_the_upstreams_branches_and_tags_are_there_by_their_usual_names(
    mirror: Followed, tmp_path: Path, upstream: Upstream
) -> None:
    upstream.git("tag", "-a", "v1", "-m", "one")
    upstream.git("branch", "größe/1")
    feature = upstream.git("rev-parse", "HEAD")
    upstream.commit("Second", {"second.txt": ""})
    await mirror.sync()
    tree = await open_tree(mirror, tmp_path / "tree")
    assert work(tree, "describe").startswith("v1-1-g")
    assert work(tree, "rev-parse", "origin/größe/1") == feature
    assert work(tree, "rev-parse", "origin/HEAD") == tree.base
    assert work(tree, "branch", "--format=%(refname:short)") == "debug-mcp/s_test"
    # As in a clone, the name of an upstream's branch makes a local one of it.
    work(tree, "switch", "-q", "größe/1")
    assert work(tree, "rev-parse", "HEAD") == feature


async def test_commits_branches_tags_and_stashes_touch_neither_mirror_nor_neighbour(
    mirror: Followed, tree: Tree, tmp_path: Path
) -> None:
    other = await open_tree(mirror, tmp_path / "other")
    before = snapshot(mirror.path), snapshot(other.path)
    work(tree, "branch", "mine")
    work(tree, "tag", "-a", "v9", "-m", "mine")
    tree.write("new", "1\n")
    work(tree, "add", "--all")
    work(tree, "commit", "--quiet", "--message=Mine")
    tree.write("new", "2\n")
    work(tree, "stash", "--quiet")
    work(tree, "gc", "--quiet", "--prune=now")
    work(tree, "repack", "-a", "-d", "-q", "-l")
    assert work(tree, "log", "-1", "--format=%an <%ae>") == "Ada Example <ada@example.org>"
    assert (snapshot(mirror.path), snapshot(other.path)) == before
    work(other, "fsck", "--no-progress")


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("Ada Example", "Ada Example"),
        ('Ada "the; first" #1 \\ Example', 'Ada "the; first" #1 \\ Example'),
        ("Зоя Пример", "Зоя Пример"),
        ("  Ada\n[core]\n\thooksPath = x", "  Ada[core]hooksPath = x"),
        ("\n", "unknown"),
    ],
)
async def test_a_name_stands_in_the_configuration_as_it_is_and_as_nothing_else(
    mirror: Followed, tmp_path: Path, name: str, read: str
) -> None:
    tree = await open_tree(mirror, tmp_path / "tree", Identity(name, "ada@example.org"))
    assert work(tree, "config", "--local", "user.name") == read.strip()
    settings = work(tree, "config", "--local", "--name-only", "--list").splitlines()
    assert "core.hookspath" not in settings


async def test_caches_and_environments_are_no_changes(tree: Tree) -> None:
    for name in ("__pycache__/a.pyc", ".pytest_cache/x", ".venv/bin/python", "node_modules/a/b",
                 "src/x.egg-info/y", ".coverage"):  # fmt: skip
        tree.write(name, "x")
    assert work(tree, "status", "--porcelain", "--untracked-files=all") == ""
