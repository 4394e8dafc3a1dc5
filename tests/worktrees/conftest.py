"""Real git on real repositories, on both event loops."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from debug_mcp.models.sessions import Isolation
from debug_mcp.runner.capture import Captured, capture
from debug_mcp.runner.sandbox import Confined
from debug_mcp.worktrees import checkouts, upstreams
from debug_mcp.worktrees.checkouts import Checkout, Identity
from debug_mcp.worktrees.connections import as_user
from debug_mcp.worktrees.git import (
    GitCall,
    Run,
    git_call,
    sandbox_environment,
    user_environment,
)
from debug_mcp.worktrees.mirrors import Mirror, UpstreamHead
from tests.upstream import Upstream


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


async def host_git(call: GitCall) -> Captured:
    """Run git as for a mirror: with the person's configuration."""
    environment = user_environment(os.environ)
    return await capture(
        Confined("git", tuple(call.command), environment, "/", Isolation.NONE), call.stdin
    )


def git_in(tree: Path) -> Run:
    """Return git as for a session's tree: with nobody's configuration."""

    async def run(call: GitCall) -> Captured:
        located = (f"--git-dir={tree}/.git", f"--work-tree={tree}", *call.arguments)
        environment = sandbox_environment(os.environ["PATH"])
        command = tuple(replace(call, arguments=located).command)
        program = Confined("git", command, environment, str(tree), Isolation.NONE)
        return await capture(program, call.stdin, into=call.into)

    return run


class Followed(Mirror):
    """The mirror of an upstream on this machine, as the person's own git makes it."""

    def __init__(self, path: Path, upstream: Path) -> None:
        super().__init__(path, host_git)
        self.connection = as_user(upstreams.Upstream(str(upstream), "file"), os.environ, None)

    async def clone(self, depth: int | None = None) -> UpstreamHead | None:
        await git_call(host_git, self.clone_call(self.connection, depth))
        return await self.settle(depth)

    async def sync(self, depth: int | None = None) -> UpstreamHead | None:
        return await self.fetch(self.connection, host_git, depth)


@pytest.fixture
async def mirror(tmp_path: Path, upstream: Upstream) -> Followed:
    """A mirror of the upstream."""
    mirror = Followed(tmp_path / "mirror", upstream.path)
    await mirror.clone()
    return mirror


class Tree:
    """A checked out working tree, and git in it."""

    def __init__(self, path: Path, base: str) -> None:
        self.path = path
        self.base = base
        self.run = git_in(path)

    def write(self, name: str, content: str | bytes) -> None:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)

    async def git(self, *arguments: str) -> str:
        result = await self.run(GitCall(arguments))
        assert result.exit_code == 0, result.message
        return result.output.decode()


@pytest.fixture
async def tree(tmp_path: Path, mirror: Mirror) -> Tree:
    """A working tree at the upstream's head."""
    return await open_tree(mirror, tmp_path / "tree")


async def open_tree(mirror: Mirror, path: Path, identity: Identity | None = None) -> Tree:
    base = await mirror.resolve("HEAD")
    checkout = Checkout(
        tree=path,
        objects=mirror.objects,
        branch="debug-mcp/s_test",
        commit=base,
        refs=await mirror.refs(),
        upstream_head="main",
        identity=identity or Identity("Ada Example", "ada@example.org"),
    )
    path.mkdir()
    checkouts.lay_out(checkout)
    tree = Tree(path, base)
    await checkouts.fill(tree.run)
    return tree
