"""Mirrors: bare repositories of our own that follow an upstream. No session can write to one.

Explicit refspecs, because ``--mirror`` would bring every pull request and prune our own refs. What
fetches is git itself; names and commits are read with GitPython (``worktrees.refs``).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from debug_mcp.errors import InvalidInput, NotFound
from debug_mcp.worktrees.git import Run, check_ref, git, parse_commit

if TYPE_CHECKING:
    from debug_mcp.worktrees.refs import Refs

OURS = "refs/debug-mcp"
UPSTREAM_HEAD = f"{OURS}/upstream-head"
# Borrowers break when objects vanish.
_SETTINGS = {"gc.auto": "0", "gc.pruneExpire": "never", "core.logAllRefUpdates": "false"}


@dataclass(frozen=True, slots=True)
class UpstreamHead:
    """The upstream's default branch; ``HEAD`` for the name when it stands on no branch."""

    ref: str
    commit: str


class Mirror:
    """One bare repository. ``run`` is the host's git."""

    def __init__(self, path: Path, run: Run) -> None:
        self.path = path
        self._run = run

    @property
    def objects(self) -> Path:
        """What sessions borrow from, read-only."""
        return self.path / "objects"

    async def create(self, url: str) -> UpstreamHead:
        """Make the mirror of an upstream at this path; it must not exist.

        Raises:
            ToolFailed: The upstream cannot be read; the message is git's own.
            InvalidInput: The upstream has no commit.
        """
        await git(self._run, "init", "--quiet", "--bare", "--template=", "--", str(self.path))
        for key, value in _SETTINGS.items():
            await self._git("config", key, value)
        await self._git("config", "remote.origin.url", url)
        return await self.fetch()

    async def fetch(self) -> UpstreamHead:
        """Bring every branch and tag to where the upstream has it.

        Raises:
            ToolFailed: The upstream cannot be read; the message is git's own.
            InvalidInput: The upstream has no commit.
        """
        listing = await self._git("ls-remote", "--symref", "--end-of-options", "origin", "HEAD")
        head = _parse_head(listing.decode("utf-8", "surrogateescape"))
        await self._git(
            "fetch", "--quiet", "--prune", "--no-tags", "--no-write-fetch-head",
            "--no-auto-maintenance", "--no-recurse-submodules", "--end-of-options", "origin",
            "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*", f"+HEAD:{UPSTREAM_HEAD}",
        )  # fmt: skip
        if head.ref != "HEAD":
            await self._git("symbolic-ref", "HEAD", f"refs/heads/{head.ref}")
        return head

    async def branches(self) -> list[str]:
        """Return the names of the upstream's branches, sorted."""
        return await anyio.to_thread.run_sync(lambda: self._refs.branches())  # noqa: PLW0108

    async def resolve(self, ref: str) -> str:
        """Return the full commit id of a branch, tag, commit id or ``HEAD``.

        Raises:
            InvalidInput: The name could not be one of these.
            NotFound: There is no such ref; the candidates are the branches and newest tags.
        """
        name = UPSTREAM_HEAD if ref == "HEAD" else check_ref(ref, "ref")
        commit = await anyio.to_thread.run_sync(lambda: self._refs.resolve(name))
        if commit is None:
            raise NotFound(
                f"no branch, tag or commit {ref!r} in this repository",
                field="ref",
                candidates=await anyio.to_thread.run_sync(lambda: self._refs.names_like(ref)),
            )
        return commit

    async def refs(self) -> list[tuple[str, str]]:
        """Return (full name, object id) of every branch and tag, sorted by name."""
        output = await self._git(
            "for-each-ref", "--format=%(refname) %(objectname)", "refs/heads", "refs/tags"
        )
        lines = output.decode("utf-8", "surrogateescape").splitlines()
        return sorted((name, oid) for name, _, oid in (line.partition(" ") for line in lines))

    async def import_bundle(self, bundle: Path, ref: str) -> str:
        """Take the HEAD of a bundle that a session made as ``ref``; return its commit.

        Raises:
            ToolFailed: The bundle is damaged, or misses commits that we do not have either.
        """
        await self._git(
            "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance",
            "--no-recurse-submodules", "--end-of-options", str(bundle), f"+HEAD:{ref}",
        )  # fmt: skip
        output = await self._git("rev-parse", "--verify", "--end-of-options", f"{ref}^{{commit}}")
        return parse_commit(output)

    @property
    def _refs(self) -> "Refs":
        # GitPython takes 80 ms to import: only when it is needed, and in the thread that asks.
        from debug_mcp.worktrees.refs import Refs  # noqa: PLC0415

        return Refs(self.path)

    async def _git(self, *arguments: str) -> bytes:
        return await git(self._run, f"--git-dir={self.path}", *arguments)


def _parse_head(listing: str) -> UpstreamHead:
    ref, commit = "HEAD", None
    for line in listing.splitlines():
        value, _, name = line.partition("\t")
        if name != "HEAD":
            continue
        if value.startswith("ref: refs/heads/"):
            ref = value.removeprefix("ref: refs/heads/")
        else:
            commit = value
    if commit is None:
        raise InvalidInput("the upstream has no commit that its HEAD names", field="url")
    return UpstreamHead(ref, commit)
