"""How new a mirror is: when its upstream is asked again, and what is said when it cannot be.

A fetch goes on behind the call that began it, and the calls after it see what it brought. What was
fetched after a call began is new enough for that call, whoever fetched it.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import anyio
from anyio.abc import TaskGroup

from debug_mcp.errors import DebugMcpError
from debug_mcp.models.base import Report, now, silent
from debug_mcp.models.repositories import Repository, RepositoryState
from debug_mcp.service.connections import Connections
from debug_mcp.service.fetches import Fetches
from debug_mcp.service.mirrors import Mirrors
from debug_mcp.service.transfers import LOOK_SECONDS, Teller
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
    """Fetches: of an upstream on this machine at once and here, of others under a shim."""

    def __init__(
        self,
        store: Repositories,
        mirrors: Mirrors,
        connections: Connections,
        fetches: Fetches,
        tasks: TaskGroup,
    ) -> None:
        self._store = store
        self._mirrors = mirrors
        self._connections = connections
        self._fetches = fetches
        self._tasks = tasks

    async def refresh(
        self,
        repository: Repository,
        connection: Connection,
        newer_than: datetime,
        seconds: float,
        report: Report = silent,
    ) -> str | None:
        """Bring a mirror to what its upstream has; return why it may be older than asked for.

        Args:
            repository: One whose mirror is there.
            connection: How to get there.
            newer_than: Nothing is done when the upstream was asked after this.
            seconds: How long to wait for it; it goes on after that.
            report: Told how far it is.
        """
        fetch = _Fetch()
        self._tasks.start_soon(self._bring, repository, connection, newer_than, fetch)
        teller = Teller(report)
        with anyio.move_on_after(seconds):
            while not fetch.done.is_set():
                with anyio.move_on_after(LOOK_SECONDS):
                    await fetch.done.wait()
                    break
                await teller.tell(await self._fetches.progress(repository))
        if not fetch.done.is_set():
            return f"{repository.name} is still being fetched; this is what was there before"
        return fetch.error

    async def _bring(
        self, repository: Repository, connection: Connection, newer_than: datetime, fetch: _Fetch
    ) -> None:
        bring = self._here if connection.upstream.is_local else self._fetches.bring
        try:
            fetch.error = await bring(repository, connection, newer_than)
        except (DebugMcpError, OSError) as error:
            fetch.error = str(error)
        finally:
            fetch.done.set()

    async def _here(
        self, repository: Repository, connection: Connection, newer_than: datetime
    ) -> str | None:
        """Fetch from an upstream on this machine, which takes no time to speak of."""
        try:
            async with self._mirrors.locked(repository):
                known = await self._store.get(repository.id)
                if known.state is RepositoryState.REMOVED:
                    return None
                if known.synced_at is None or known.synced_at < newer_than:
                    await self._fetch(known, connection)
        except (DebugMcpError, OSError) as error:
            await self._store.sync_failed(repository.id, str(error))
            return str(error)
        return None

    async def _fetch(self, repository: Repository, connection: Connection) -> None:
        asked = now()
        run = self._connections.run(connection)
        head = await self._mirrors.mirror(repository).fetch(connection, run, repository.depth)
        await self._store.synced(repository.id, head, asked)
