"""Repositories that are too large: to clone, to fetch, and to check out."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from debug_mcp.config import IsolationPolicy, Settings, load
from tests.clients import connect, run
from tests.gitserver import GitServer
from tests.upstream import Upstream, write_object

pytestmark = pytest.mark.anyio

MIB = 1 << 20


@pytest.fixture
def host(upstream: Upstream) -> Iterator[GitServer]:
    with GitServer(upstream.path.parent).serving() as host:
        yield host


def limited(tmp_path: Path, **limits: int) -> Settings:
    return load(data_dir=tmp_path / "data", isolation=IsolationPolicy.NONE, **limits)


def commit_noise(upstream: Upstream, size: int) -> str:
    """Commit a file that no compression makes smaller."""
    (upstream.path / "noise").write_bytes(os.urandom(size))
    return upstream.commit("Noise", {})


def left(settings: Settings) -> list[str]:
    """Return what is in the folder of mirrors beside whole ones, and half-made files in those."""
    folders = settings.data_dir / "repositories"
    halves = [path.name for path in folders.rglob("*") if "tmp_" in path.name]
    return [
        *halves,
        *(path.name for path in folders.iterdir() if path.suffix in (".tmp", ".clone", ".fetch")),
    ]


async def test_a_clone_beyond_the_limit_fails_says_which_and_leaves_nothing(
    tmp_path: Path, upstream: Upstream, host: GitServer
) -> None:
    commit_noise(upstream, 4 * MIB)
    settings = limited(tmp_path, repository_bytes=2 * MIB)
    async with connect("memory-modern", settings) as agent:
        for url in (f"{host.url}/calculator", str(upstream.path)):
            refused = await agent.refused("repository_init", url=url, name="large")
            message = refused["error"]["message"]
            assert "the clone was ended: its mirror would take more than 2 MiB of disk" in message
            assert "repository_bytes" in message
            [row] = (await agent.call("repository_list"))["repositories"]
            assert (row["state"], row["error"] in message) == ("failed", True)
            assert left(settings) == []
    async with connect("memory-modern", limited(tmp_path, repository_bytes=8 * MIB)) as agent:
        assert (await agent.call("repository_init", url=url, name="large"))["state"] == "ready"


async def test_a_fetch_beyond_the_limit_leaves_the_mirror_as_it_was(
    tmp_path: Path, upstream: Upstream, host: GitServer
) -> None:
    settings = limited(tmp_path, repository_bytes=2 * MIB)
    url = f"{host.url}/calculator"
    async with connect("memory-modern", settings) as agent:
        before = await agent.call("repository_init", url=url)
        [mirror] = settings.data_dir.glob("repositories/r_????")
        files = sorted(path.name for path in (mirror / "objects").rglob("*"))
        commit_noise(upstream, 4 * MIB)
        view = await agent.call("repository_init", url=url)
        assert "the fetch was ended" in view["hint"]
        assert "repository_bytes" in view["hint"]
        assert (view["state"], view["head"]) == ("ready", before["head"])
        assert sorted(path.name for path in (mirror / "objects").rglob("*")) == files
        assert left(settings) == []
        session = await agent.call("session_create", repository="calculator")
        assert session["commit"] == before["head"]["commit"]
        assert await run(agent, session["session_id"], "git fsck && git status --short") == ""
        upstream.git("reset", "-q", "--hard", "HEAD~1")
        small = upstream.commit("Small", {"small.txt": ""})
        assert (await agent.call("repository_init", url=url))["head"]["commit"] == small


async def test_a_pull_request_beyond_the_limit_is_not_fetched(
    tmp_path: Path, upstream: Upstream, host: GitServer
) -> None:
    settings = limited(tmp_path, repository_bytes=2 * MIB)
    async with connect("memory-modern", settings) as agent:
        await agent.call("repository_init", url=f"{host.url}/calculator")
        large = commit_noise(upstream, 4 * MIB)
        upstream.git("update-ref", "refs/pull/7/head", large)
        upstream.git("reset", "-q", "--hard", "HEAD~1")
        for ref in ("pull/7/head", large):
            refused = await agent.refused("session_create", ref=ref)
            assert "setting repository_bytes" in refused["error"]["message"]
        assert await agent.call("session_create", ref="main")


async def test_a_clone_that_takes_too_long_is_ended(tmp_path: Path, host: GitServer) -> None:
    host.gate.clear()
    async with connect("memory-modern", limited(tmp_path, clone_seconds=1)) as agent:
        refused = await agent.refused("repository_init", url=f"{host.url}/calculator")
        assert "the clone took longer than 1 s" in refused["error"]["message"]


def commit_tree(upstream: Upstream, tree: bytes, branch: str) -> None:
    commit = upstream.git("commit-tree", "-m", branch, tree.hex())
    upstream.git("branch", branch, commit)


def folders_of_folders(upstream: Upstream, leaf: bytes, depth: int) -> bytes:
    """Return a tree with ten times the same tree in it, so many levels deep."""
    for _ in range(depth):
        entries = b"".join(b"40000 %d\0%b" % (number, leaf) for number in range(10))
        leaf = write_object(upstream, "tree", entries)
    return leaf


async def test_a_tree_that_is_too_large_is_not_checked_out_and_says_what_would_help(
    tmp_path: Path, upstream: Upstream
) -> None:
    blob = write_object(upstream, "blob", b"")
    one = write_object(upstream, "tree", b"100644 file\0" + blob)
    none = write_object(upstream, "tree", b"")
    # A few kilobytes each: ten thousand million files, as many folders, and 64 MiB of nothing.
    commit_tree(upstream, folders_of_folders(upstream, one, 10), "files")
    commit_tree(upstream, folders_of_folders(upstream, none, 10), "folders")
    zeros = write_object(upstream, "blob", bytes(64 * MIB))
    commit_tree(upstream, write_object(upstream, "tree", b"100644 zeros\0" + zeros), "giant")
    settings = limited(tmp_path, tree_files=5_000, session_disk_bytes=32 * MIB)
    async with connect("memory-modern", settings) as agent:
        for ref, expected, setting in (
            ("files", "more than 5000 files and folders", "tree_files"),
            ("folders", "more than 5000 files and folders", "tree_files"),
            ("giant", "64 MiB of files, more than 32 MiB", "session_disk_bytes"),
        ):
            refused = await agent.refused("session_create", repository=str(upstream.path), ref=ref)
            assert refused["error"]["code"] == "invalid_input"
            assert expected in refused["error"]["message"]
            assert setting in refused["error"]["message"]
        upstream.git("checkout", "-q", "--detach")
        upstream.git("branch", "-f", "main", "folders")
        upstream.git("symbolic-ref", "HEAD", "refs/heads/main")
        assert "tree_files" in (await agent.refused("session_create"))["error"]["message"]
        listed = await agent.call("session_get")
        assert not listed.get("sessions")
        session = await agent.call("session_create", ref=upstream.git("rev-parse", "HEAD@{1}"))
        assert "calculator.py" in await run(agent, session["session_id"], "ls")
    assert not [path for path in settings.data_dir.glob("pool/*/*") if path.is_dir()]


async def test_zero_is_no_limit(tmp_path: Path, upstream: Upstream) -> None:
    settings = limited(tmp_path, tree_files=0, session_disk_bytes=0, repository_bytes=0)
    async with connect("memory-modern", settings) as agent:
        session = await agent.call("session_create", repository=str(upstream.path))
        assert "calculator.py" in await run(agent, session["session_id"], "ls")
