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
_SYMREF = "ref: refs/heads/"
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
        ref = _parse_head(listing.decode("utf-8", "surrogateescape"))
        await self._git(
            "fetch", "--quiet", "--prune", "--no-tags", "--no-write-fetch-head",
            "--no-auto-maintenance", "--no-recurse-submodules", "--end-of-options", "origin",
            "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*", f"+HEAD:{UPSTREAM_HEAD}",
        )  # fmt: skip
        if ref != "HEAD":
            await self._git("symbolic-ref", "HEAD", f"refs/heads/{ref}")
        # Asked of the mirror: the upstream may have moved between the listing and the fetch.
        return UpstreamHead(ref, await self.commit(UPSTREAM_HEAD))

    async def branches(self) -> list[str]:
        """Return the names of the upstream's branches, sorted."""
        return await anyio.to_thread.run_sync(lambda: self._refs.branches())  # noqa: PLW0108

    async def resolve(self, ref: str) -> str:
        """Return the full commit id of a branch, tag, commit id or ``HEAD``.

        Raises:
            InvalidInput: The name could not be one of these.
            NotFound: There is no such ref; the candidates are the branches and newest tags.
        """
        if ref == "HEAD":
            return await self.commit(UPSTREAM_HEAD)
        name = check_ref(ref, "ref")
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
        lines = output.decode("utf-8", "surrogateescape").split("\n")
        return sorted(
            (name, oid) for name, _, oid in (line.partition(" ") for line in lines if line)
        )

    async def import_bundle(self, bundle: Path, base: str, ref: str) -> str:
        """Take the HEAD of a bundle that a session made as ``ref``; return its commit.

        Args:
            bundle: Commits on top of ``base`` and what came before it.
            base: A commit of ours. It gets a ref while git takes only what it can reach: the
                upstream may have rewritten its history since the session started there.
            ref: One of our own; it is moved, whatever it names.

        Raises:
            ToolFailed: The bundle is damaged, or misses commits that we do not have either.
        """
        await self._git("update-ref", f"{OURS}/bases/{base}", base)
        await self._git(
            "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance",
            "--no-recurse-submodules", "--end-of-options", str(bundle), f"+HEAD:{ref}",
        )  # fmt: skip
        return await self.commit(ref)

    async def commit(self, ref: str) -> str:
        """Return the commit of a ref, given by its full name; one of our own is meant.

        Raises:
            ToolFailed: There is no such ref.
        """
        return parse_commit(
            await self._git("rev-parse", "--verify", "--end-of-options", f"{ref}^{{commit}}")
        )

    @property
    def _refs(self) -> "Refs":
        # GitPython takes 80 ms to import: only when it is needed, and in the thread that asks.
        from debug_mcp.worktrees.refs import Refs  # noqa: PLC0415

        return Refs(self.path)

    async def _git(self, *arguments: str) -> bytes:
        return await git(self._run, f"--git-dir={self.path}", *arguments)


def _parse_head(listing: str) -> str:
    """Return the branch that an upstream's HEAD stands on, or ``HEAD`` when it is on none."""
    lines = [line.partition("\t") for line in listing.split("\n")]
    values = [value for value, _, name in lines if name == "HEAD"]
    if not values:
        raise InvalidInput(
            "the upstream has no commit that its HEAD names: make one there, or check out a branch "
            "that has one",
            field="url",
        )
    branches = [value.removeprefix(_SYMREF) for value in values if value.startswith(_SYMREF)]
    return branches[0] if branches else "HEAD"
