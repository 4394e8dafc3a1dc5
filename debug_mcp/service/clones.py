"""Clones: made beside the mirror's place and moved there, so a mirror is whole or not there.

What nobody can see the end of has failed, and the next call for it begins again.
"""

from datetime import timedelta
from functools import partial

import anyio

from debug_mcp.errors import Conflict, DebugMcpError, ToolFailed
from debug_mcp.folders import delete_tree
from debug_mcp.models.base import Report, now, silent
from debug_mcp.models.repositories import Repository, RepositoryState
from debug_mcp.runner.supervisor import Exit
from debug_mcp.service.connections import confined
from debug_mcp.service.mirrors import Mirrors
from debug_mcp.service.transfers import GRACE_SECONDS, Teller, Transfers, began
from debug_mcp.store.repositories import Repositories
from debug_mcp.worktrees.connections import Connection

# A row is there before its shim: so long nobody else takes it for given up.
_BEGIN = timedelta(seconds=60)
_UNFINISHED = "the clone was interrupted, by the machine or by somebody: send the call again"

_CLONING = RepositoryState.CLONING


class Clones:
    """Begins clones, and settles what they made."""

    def __init__(self, store: Repositories, mirrors: Mirrors, transfers: Transfers) -> None:
        self._store = store
        self._mirrors = mirrors
        self._transfers = transfers

    async def begin(self, repository: Repository, connection: Connection) -> None:
        """Start a clone, unless one is under way or was made: then that one is followed.

        Raises:
            Busy: The mirror is taken for too long.
            Conflict: There was a mirror, and somebody took it away.
        """
        # Shielded: what has started must be followed.
        with anyio.CancelScope(shield=True):
            async with self._mirrors.locked(repository):
                state = (await self._store.get(repository.id)).state
                begun = state is _CLONING and await self._transfers.begun(repository)
                if not begun and not self._mirrors.mirror(repository).path.exists():
                    begun = await self._start(repository, state, connection)
                    if not begun:
                        return
            self.follow(repository, connection)

    async def _start(
        self, repository: Repository, state: RepositoryState, connection: Connection
    ) -> bool:
        """Start a clone; return whether git may go there, else it has failed already."""
        await self._clear(repository)
        if state is not _CLONING and not await self._store.advance(repository.id, _CLONING):
            raise Conflict(
                f"the mirror of {repository.name} is gone from the data directory",
                field="repository",
                next_call={"tool": "repository_remove", "arguments": {"name": repository.name}},
            )
        unfinished = self._mirrors.unfinished(repository)
        call = unfinished.clone_call(connection, repository.depth)
        try:
            program = confined(connection, tuple(call.command))
        except DebugMcpError as error:
            await self._store.advance(repository.id, RepositoryState.FAILED, error=error.message)
            return False
        await self._transfers.start(repository, program, unfinished.path)
        return True

    async def wait(
        self, repository: Repository, seconds: float, report: Report = silent
    ) -> Repository:
        """Return the repository once its clone has ended, or as it is after some seconds."""
        teller = Teller(report)
        with anyio.move_on_after(seconds):
            while (repository := await self._store.get(repository.id)).state is _CLONING:
                if not await self._transfers.pause(repository):
                    await teller.tell(await self.progress(repository))
        return await self._store.get(repository.id)

    async def progress(self, repository: Repository) -> tuple[int, str] | None:
        """Return how far a clone is, in percent and in words; None before it said anything."""
        return await self._transfers.progress(repository)

    async def cancel(self, repository: Repository) -> None:
        """End a clone that is under way, and wait until that is noted."""
        await self._transfers.cancel(repository)
        self.follow(repository)
        await self.wait(repository, GRACE_SECONDS * 4)

    def follow(self, repository: Repository, connection: Connection | None = None) -> None:
        """See to it that somebody here settles a clone, whichever server began it."""
        self._transfers.follow(repository, partial(self._settle, connection))

    async def _settle(
        self, connection: Connection | None, repository: Repository, seen: Exit | None
    ) -> None:
        """Bring a clone that has ended to where it belongs."""
        if repository.state is not _CLONING:
            return  # another server was first
        mirror = self._mirrors.mirror(repository)
        unfinished = self._mirrors.unfinished(repository)
        try:
            if mirror.path.exists():
                head = await mirror.head()
            elif seen is None:
                folder = self._transfers.folder(repository)
                if not folder.exists() and now() - repository.created_at < _BEGIN:
                    return
                raise ToolFailed(_UNFINISHED)
            elif seen.reason != "exit" or seen.code != 0:
                raise self._transfers.fault(repository, seen, connection)
            else:
                head = await unfinished.settle(repository.depth)
                await anyio.Path(unfinished.path).rename(mirror.path)
        except DebugMcpError as error:
            await self._store.advance(repository.id, RepositoryState.FAILED, error=error.message)
        else:
            moment = repository.created_at if seen is None else began(seen)
            await self._store.synced(repository.id, head, moment)
        await self._clear(repository)

    async def _clear(self, repository: Repository) -> None:
        """Remove what a clone left; its mirror is not touched."""
        await self._transfers.clear(repository)
        unfinished = self._mirrors.unfinished(repository).path
        await anyio.to_thread.run_sync(delete_tree, unfinished)
