"""Fetches of remote upstreams: each under a shim, as clones are.

What is fetched lands in the mirror as git does it, object by object and then ref by ref, so a
mirror can be used meanwhile. A fetch that was killed is mended at its settling.
"""

from datetime import datetime
from functools import partial

import anyio

from debug_mcp.errors import Busy, DebugMcpError, ToolFailed
from debug_mcp.models.repositories import Repository, RepositoryState
from debug_mcp.runner.supervisor import Exit
from debug_mcp.service.connections import confined
from debug_mcp.service.mirrors import Mirrors
from debug_mcp.service.transfers import GRACE_SECONDS, Transfers, began
from debug_mcp.store.repositories import Repositories
from debug_mcp.worktrees.connections import Connection

_LISTING = "listing"
_UNFINISHED = (
    "the fetch was interrupted, by the machine or by somebody; the next call fetches again"
)
# The first may be somebody else's, begun too early or with another login; the second is ours.
_ROUNDS = 2


class Fetches:
    """Begins fetches, follows them, and settles what they brought."""

    def __init__(self, store: Repositories, mirrors: Mirrors, transfers: Transfers) -> None:
        self._store = store
        self._mirrors = mirrors
        self._transfers = transfers

    async def bring(
        self, repository: Repository, connection: Connection, newer_than: datetime
    ) -> str | None:
        """Fetch unless that was done after a moment; return why it failed, if it did."""
        known = repository
        for _ in range(_ROUNDS):
            ours = await self._begin(repository, connection, newer_than)
            if ours is None:
                return None
            known = await self._wait(repository)
            if known.synced_at is not None and known.synced_at >= newer_than:
                return None
            if ours:
                break
        return known.error

    async def look(self, repository: Repository) -> None:
        """Follow a fetch that another server began, or say that it is over when it is."""
        if await self._transfers.begun(repository):
            self._follow(repository)
            return
        try:
            async with self._mirrors.locked(repository, 0):
                if not await self._transfers.begun(repository):
                    await self._store.advance(repository.id, RepositoryState.READY)
        except Busy:
            pass  # somebody is at it

    async def progress(self, repository: Repository) -> tuple[int, str] | None:
        """Return how far a fetch is, in percent and in words; None before it said anything."""
        return await self._transfers.progress(repository)

    async def cancel(self, repository: Repository) -> None:
        """End a fetch that is under way, and wait until that is noted."""
        await self._transfers.cancel(repository)
        self._follow(repository)
        with anyio.move_on_after(GRACE_SECONDS * 4):
            await self._wait(repository)

    async def _begin(
        self, repository: Repository, connection: Connection, newer_than: datetime
    ) -> bool | None:
        """Start a fetch, or follow one; return whether it is ours, None when none is needed."""
        async with self._mirrors.locked(repository):
            known = await self._store.get(repository.id)
            if known.state is RepositoryState.REMOVED:
                return None
            if known.synced_at is not None and known.synced_at >= newer_than:
                return None
            ours = not await self._transfers.begun(repository)
            # Shielded: what has started must be followed.
            with anyio.CancelScope(shield=True):
                if ours:
                    await self._start(known, connection)
                self._follow(repository, connection if ours else None)
        return ours

    async def _start(self, repository: Repository, connection: Connection) -> None:
        await self._transfers.clear(repository)
        await self._store.advance(repository.id, RepositoryState.SYNCING)
        listing = self._transfers.folder(repository) / _LISTING
        mirror = self._mirrors.mirror(repository)
        command = mirror.fetch_script(connection, listing, repository.depth)
        try:
            program = confined(connection, command)
            await self._transfers.start(repository, program, mirror.path)
        except BaseException:
            await self._store.advance(repository.id, RepositoryState.READY)
            raise

    def _follow(self, repository: Repository, connection: Connection | None = None) -> None:
        self._transfers.follow(repository, partial(self._settle, connection))

    async def _wait(self, repository: Repository) -> Repository:
        """Return the repository once it is not being fetched any more."""
        while (known := await self._store.get(repository.id)).state is RepositoryState.SYNCING:
            await self._transfers.pause(repository)
        return known

    async def _settle(
        self, connection: Connection | None, repository: Repository, seen: Exit | None
    ) -> None:
        if repository.state is not RepositoryState.SYNCING:
            return  # another server was first
        mirror = self._mirrors.mirror(repository)
        try:
            if seen is None:
                raise ToolFailed(_UNFINISHED)
            if seen.reason != "exit" or seen.code != 0:
                raise self._transfers.fault(repository, seen, connection)
            head = await mirror.settle_fetch(self._transfers.folder(repository) / _LISTING)
        except (DebugMcpError, OSError, ValueError) as error:
            await anyio.to_thread.run_sync(mirror.mend)
            await self._store.sync_failed(repository.id, str(error))
        else:
            await self._store.synced(repository.id, head, began(seen))
        await self._transfers.clear(repository)
