"""Mirrors: following an upstream, whatever it does."""

from pathlib import Path

import pytest

from debug_mcp.errors import InvalidInput, NotFound, ToolFailed
from debug_mcp.worktrees import export, handover
from debug_mcp.worktrees.mirrors import UpstreamHead
from tests.upstream import Upstream
from tests.worktrees.conftest import Followed, Tree

pytestmark = pytest.mark.anyio


async def test_a_mirror_has_every_branch_and_tag_and_nothing_else(
    mirror: Followed, upstream: Upstream
) -> None:
    upstream.git("tag", "-a", "v1", "-m", "one")
    upstream.git("branch", "feature/one")
    upstream.git("update-ref", "refs/pull/1/head", "HEAD")
    await mirror.sync()
    assert [name for name, _ in await mirror.refs()] == [
        "refs/heads/feature/one", "refs/heads/main", "refs/tags/v1",
    ]  # fmt: skip
    assert await mirror.branches() == ["feature/one", "main"]


async def test_a_name_that_became_a_folder_of_names_is_followed(
    mirror: Followed, upstream: Upstream
) -> None:
    upstream.git("branch", "work")
    await mirror.sync()
    upstream.git("branch", "-m", "work", "work/one")
    await mirror.sync()
    assert await mirror.branches() == ["main", "work/one"]


async def test_the_head_follows_the_upstream_from_branch_to_branch_to_none(
    mirror: Followed, upstream: Upstream
) -> None:
    first = upstream.git("rev-parse", "HEAD")
    upstream.git("branch", "-m", "main", "trunk")
    assert await mirror.sync() == UpstreamHead("trunk", first)
    assert (mirror.path / "HEAD").read_text() == "ref: refs/heads/trunk\n"
    upstream.git("checkout", "-q", "--detach")
    alone = upstream.commit("On no branch", {"new.txt": "new\n"})
    assert await mirror.sync() == UpstreamHead("HEAD", alone)
    assert await mirror.resolve("HEAD") == alone


async def test_an_upstream_without_a_commit_is_refused(tmp_path: Path) -> None:
    empty = Upstream(tmp_path / "empty")
    with pytest.raises(InvalidInput, match="no commit"):
        await Followed(tmp_path / "mirror", empty.path).clone()


async def test_an_upstream_that_is_gone_is_named(mirror: Followed, upstream: Upstream) -> None:
    upstream.path.rename(upstream.path.with_name("moved"))
    with pytest.raises(ToolFailed, match=r"^git ls-remote failed: .*calculator"):
        await mirror.sync()


async def test_names_as_people_write_them_stand_for_commits(
    mirror: Followed, upstream: Upstream
) -> None:
    first = upstream.git("rev-parse", "HEAD")
    upstream.git("tag", "-a", "v1", "-m", "one")
    upstream.git("tag", "light")
    upstream.git("branch", "fix/#12-größe")
    newest = upstream.commit("Second", {"second.txt": ""})
    await mirror.sync()
    for ref in ("v1", "light", "fix/#12-größe", "refs/tags/v1", "origin/fix/#12-größe",
                first, first[:7], first.upper()):  # fmt: skip
        assert await mirror.resolve(ref) == first
    for ref in ("main", "origin/main", "refs/heads/main", "HEAD"):
        assert await mirror.resolve(ref) == newest


async def test_a_name_without_a_commit_behind_it_is_answered_with_those_that_have_one(
    mirror: Followed, upstream: Upstream
) -> None:
    blob = upstream.git("rev-parse", "HEAD:calculator.py")
    tree = upstream.git("rev-parse", "HEAD^{tree}")
    upstream.git("tag", "a-file", blob)
    await mirror.sync()
    for ref in ("a-file", blob, blob[:8], tree, "0" * 40, "abcd", "mian", "refs/heads/mian"):
        with pytest.raises(NotFound) as caught:
            await mirror.resolve(ref)
        assert caught.value.field == "ref"
    assert caught.value.candidates == ("main",)


async def test_a_commit_that_the_upstream_dropped_is_still_there(
    mirror: Followed, upstream: Upstream
) -> None:
    first = upstream.git("rev-parse", "HEAD")
    upstream.git("commit", "-q", "--amend", "--message=Rewritten")
    await mirror.sync()
    assert await mirror.resolve("main") != first
    assert await mirror.resolve(first) == first


async def test_refs_of_our_own_outlive_a_pruning_fetch_and_are_nobodys_to_name(
    mirror: Followed, upstream: Upstream, tree: Tree, tmp_path: Path
) -> None:
    tree.write("new", "new\n")
    ref = "refs/debug-mcp/exports/s_test/work"
    commit = await exported(tree, mirror, ref, tmp_path)
    upstream.git("branch", "gone")
    await mirror.sync()
    upstream.git("branch", "-D", "gone")
    await mirror.sync()
    assert await mirror.commit(ref) == commit
    for name in (ref, ref.removeprefix("refs/"), "debug-mcp/exports/s_test/work"):
        with pytest.raises(NotFound) as caught:
            await mirror.resolve(name)
        assert caught.value.candidates == ("main",)


async def test_work_comes_out_although_the_upstream_rewrote_where_it_started(
    mirror: Followed, upstream: Upstream, tree: Tree, tmp_path: Path
) -> None:
    tree.write("new", "new\n")
    upstream.git("commit", "-q", "--amend", "--message=Rewritten")
    await mirror.sync()
    commit = await exported(tree, mirror, "refs/debug-mcp/exports/s_test/work", tmp_path)
    assert await mirror.commit(f"{commit}~1") == tree.base


async def test_only_names_for_what_the_upstream_has_are_kept_without_a_bundle(
    mirror: Followed, tree: Tree, tmp_path: Path
) -> None:
    (tree.path / "work").touch()
    ours = await exported(tree, mirror, "refs/debug-mcp/exports/s_test/work", tmp_path)
    refs = {"refs/tags/ours": ours, "refs/tags/none": "1" * 40, "refs/tags/odd": "; rm -r /"}
    assert not await handover.name_known(mirror, refs, "refs/debug-mcp/rest/s_test/")
    refs["refs/tags/light"] = tree.base
    assert await handover.name_known(mirror, refs, "refs/debug-mcp/rest/s_test/")
    assert await handover.names_below(mirror, "refs/debug-mcp/rest/s_test/") == ["tags/light"]


async def test_a_bundle_that_is_none_is_refused_and_moves_no_ref(
    mirror: Followed, tree: Tree, tmp_path: Path
) -> None:
    ref = "refs/debug-mcp/exports/s_test/work"
    file = tmp_path / "bundle"
    for content in (b"", b"hello\n", b"# v2 git bundle\n" + b"0" * 40 + b" HEAD\n\nPACK"):
        file.write_bytes(content)
        with pytest.raises(ToolFailed, match=r"^git fetch failed"):
            await handover.import_bundle(mirror, file, tree.base, ref)
    with pytest.raises(ToolFailed):
        await mirror.commit(ref)


async def exported(tree: Tree, mirror: Followed, ref: str, folder: Path) -> str:
    await export.commit_everything(tree.run, "Work")
    file = folder / "bundle"
    with file.open("wb") as bundle:
        await export.bundle(tree.run, tree.base, bundle.fileno())
    commit = await handover.import_bundle(mirror, file, tree.base, ref)
    assert commit == await export.head(tree.run)
    return commit
