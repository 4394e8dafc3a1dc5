"""Removing a repository: its sessions first, and never their work."""

import anyio

from debug_mcp.auth.principal import Principal, Scope
from debug_mcp.errors import Conflict
from debug_mcp.folders import delete_tree
from debug_mcp.models.repositories import (
    RemovedView,
    Repository,
    RepositoryRemove,
    RepositoryState,
)
from debug_mcp.models.sessions import SessionClose, WorkSession
from debug_mcp.service.clones import Clones
from debug_mcp.service.closing import Closing
from debug_mcp.service.fetches import Fetches
from debug_mcp.service.mirrors import Mirrors
from debug_mcp.service.pool import Pool
from debug_mcp.service.repositories import RepositoryService
from debug_mcp.store.repositories import Repositories
from debug_mcp.store.sessions import Sessions
from debug_mcp.worktrees.mirrors import OURS

_SHOWN = 20


class Removal:
    """Takes repositories away. A mirror stays for as long as exported work is in it."""

    def __init__(
        self,
        store: Repositories,
        sessions: Sessions,
        repositories: RepositoryService,
        mirrors: Mirrors,
        clones: Clones,
        fetches: Fetches,
        closing: Closing,
        pool: Pool,
    ) -> None:
        self._store = store
        self._sessions = sessions
        self._repositories = repositories
        self._mirrors = mirrors
        self._clones = clones
        self._fetches = fetches
        self._closing = closing
        self._pool = pool

    async def remove(self, principal: Principal, args: RepositoryRemove) -> RemovedView:
        """Remove a repository; its name is free then.

        Raises:
            NotFound: There is none of this name.
            Conflict: Sessions are open in it, and ``force`` was not given or they are not all the
                principal's own.
        """
        principal.require(Scope.REPOSITORY_WRITE)
        repository = await self._repositories.named(principal, args.name)
        sessions = await self._sessions.open_in(repository.id)
        theirs = [session for session in sessions if session.principal != principal.name]
        if theirs or (sessions and not args.force):
            raise _in_use(repository, principal, sessions)
        for session in sessions:
            await self._closing.close(principal, SessionClose(session_id=session.id))
        if repository.state is RepositoryState.CLONING:
            await self._clones.cancel(repository)
        if repository.state is RepositoryState.SYNCING:
            await self._fetches.cancel(repository)
        with anyio.CancelScope(shield=True):
            async with self._mirrors.locked(repository):
                kept = await self._take_away(repository)
            await self._pool.drop(repository.id)
        return RemovedView(
            repository=repository.name,
            closed=tuple(session.id for session in sessions),
            hint=f"{kept} exported branches can still be fetched" if kept else None,
        )

    async def _take_away(self, repository: Repository) -> int:
        """Mark it removed, and delete what nobody needs; return how many exports stay."""
        opened = await self._sessions.open_in(repository.id)
        if opened:
            raise Conflict(f"a session was opened in {repository.name} meanwhile", field="name")
        if not await self._store.advance(repository.id, RepositoryState.REMOVED):
            state = (await self._store.get(repository.id)).state
            raise Conflict(f"{repository.name} is {state}; try again", field="name")
        mirror = self._mirrors.mirror(repository)
        if not mirror.path.exists():
            return 0
        exports = await mirror.count(f"{OURS}/exports")
        if not exports:
            await anyio.to_thread.run_sync(delete_tree, mirror.path)
        return exports


def _in_use(repository: Repository, principal: Principal, sessions: list[WorkSession]) -> Conflict:
    own = [session.id for session in sessions if session.principal == principal.name]
    others = len(sessions) - len(own)
    said = ", ".join([*own[:_SHOWN], *([f"{others} of others"] if others else [])])
    message = f"sessions are open in {repository.name}: {said}"
    if others:
        return Conflict(f"{message}; they are not yours to close", field="name")
    arguments: dict[str, object] = {"name": repository.name, "force": True}
    return Conflict(
        f"{message}; close them, or give force to close them with their work saved",
        field="force",
        next_call={"tool": "repository_remove", "arguments": arguments},
    )
