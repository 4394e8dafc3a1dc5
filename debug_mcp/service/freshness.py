"""How new a mirror is: when its upstream is asked again, and what is said when it cannot be.

A fetch goes on behind the call that began it, and the calls after it see what it brought. What was
fetched after a call began is new enough for that call, whoever fetched it.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import anyio
from anyio.abc import TaskGroup

from debug_mcp.errors import Busy, DebugMcpError, ToolFailed
from debug_mcp.models.base import now
from debug_mcp.models.repositories import Repository, RepositoryState
from debug_mcp.service.connections import Connections
from debug_mcp.service.mirrors import Mirrors
from debug_mcp.store.repositories import Repositories
from debug_mcp.worktrees.connections import Connection

# A remote upstream is not asked again so soon, unless the call needs it.
FRESH = timedelta(seconds=60)


@dataclass
class _Fetch:
    """One on its way."""

    done: anyio.Event = field(default_factory=anyio.Event)
    error: str | None = None


class Freshness:
    """Fetches."""

    def __init__(
        self, store: Repositories, mirrors: Mirrors, connections: Connections, tasks: TaskGroup
    ) -> None:
        self._store = store
        self._mirrors = mirrors
        self._connections = connections
        self._tasks = tasks

    async def refresh(
        self, repository: Repository, connection: Connection, newer_than: datetime, seconds: float
    ) -> str | None:
        """Bring a mirror to what its upstream has; return why it may be older than asked for.

        Args:
            repository: One whose mirror is there.
            connection: How to get there.
            newer_than: Nothing is done when the upstream was asked after this.
            seconds: How long to wait for it; it goes on after that.
        """
        fetch = _Fetch()
        self._tasks.start_soon(self._bring, repository, connection, newer_than, fetch)
        with anyio.move_on_after(seconds):
            await fetch.done.wait()
        if not fetch.done.is_set():
            return f"{repository.name} is still being fetched; this is what was there before"
        return fetch.error

    async def set_right(self, repository: Repository) -> None:
        """Say that a fetch is over which a server that died left in the middle."""
        try:
            async with self._mirrors.locked(repository, 0):
                await self._store.advance(repository.id, RepositoryState.READY)
        except Busy:
            pass  # it goes on

    async def _bring(
        self, repository: Repository, connection: Connection, newer_than: datetime, fetch: _Fetch
    ) -> None:
        try:
            async with self._mirrors.locked(repository):
                known = await self._store.get(repository.id)
                if known.state is RepositoryState.REMOVED:
                    return
                if known.synced_at is None or known.synced_at < newer_than:
                    await self._fetch(known, connection)
        except (DebugMcpError, OSError) as error:
            explained = connection.explain(error) if isinstance(error, ToolFailed) else error
            fetch.error = str(explained)
            await self._store.sync_failed(repository.id, fetch.error)
        finally:
            fetch.done.set()

    async def _fetch(self, repository: Repository, connection: Connection) -> None:
        if not connection.upstream.is_local:  # that takes no time to speak of
            await self._store.advance(repository.id, RepositoryState.SYNCING)
        asked = now()
        run = self._connections.run(connection)
        try:
            head = await self._mirrors.mirror(repository).fetch(connection, run, repository.depth)
        except BaseException:  # also when the server ends: it is not being fetched any more
            with anyio.CancelScope(shield=True):
                await self._store.advance(repository.id, RepositoryState.READY)
            raise
        await self._store.synced(repository.id, head, asked)
