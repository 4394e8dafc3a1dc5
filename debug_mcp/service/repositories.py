"""Registering repositories, and where sessions start in them."""

import contextlib
import itertools
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

import anyio

from debug_mcp.auth.principal import LOCAL, Principal, Scope
from debug_mcp.errors import Busy, Conflict, InvalidInput, NotFound, PermissionDenied, ToolFailed
from debug_mcp.models.base import Report, now, silent
from debug_mcp.models.repositories import (
    RepositoriesView,
    Repository,
    RepositoryInit,
    RepositoryList,
    RepositoryState,
    RepositoryView,
)
from debug_mcp.models.sessions import SessionCreate
from debug_mcp.service.clones import Clones
from debug_mcp.service.connections import Connections
from debug_mcp.service.corrected import create_again
from debug_mcp.service.fetches import Fetches
from debug_mcp.service.freshness import FRESH, Freshness
from debug_mcp.service.mirrors import Mirrors
from debug_mcp.service.repository_views import (
    again,
    may_see,
    row,
    with_branches,
    with_progress,
)
from debug_mcp.store.repositories import Repositories
from debug_mcp.worktrees.connections import Connection
from debug_mcp.worktrees.git import check_ref
from debug_mcp.worktrees.handover import push
from debug_mcp.worktrees.mirrors import Mirror, is_request
from debug_mcp.worktrees.upstreams import NAME_CHARACTERS, parse_upstream, registered

# How long session_create waits for a clone, and then for a fetch: clients cut calls at 60 s.
CLONE_WAIT_SECONDS = 25
FETCH_WAIT_SECONDS = 20
# And for one that another call began, where the ref is there already.
OTHERS_FETCH_WAIT_SECONDS = 3
REPOSITORIES_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Start:
    """Where a session starts: a full commit id, and what was known of the upstream then.

    ``ref`` is what the commit was found by; ``head_ref`` the upstream's default branch, if any.
    """

    ref: str
    commit: str
    head_ref: str | None
    synced_at: datetime | None
    hint: str | None


class RepositoryService:
    """Repositories are shared by everybody who may read them; their names are unique."""

    def __init__(
        self,
        store: Repositories,
        mirrors: Mirrors,
        clones: Clones,
        fetches: Fetches,
        freshness: Freshness,
        connections: Connections,
    ) -> None:
        self._store = store
        self._mirrors = mirrors
        self._clones = clones
        self._fetches = fetches
        self._freshness = freshness
        self._connections = connections

    async def init(
        self, principal: Principal, args: RepositoryInit, report: Report = silent
    ) -> RepositoryView:
        """Register a repository, or change the settings of a known one and fetch it.

        Raises:
            InvalidInput: The URL is not one that can be registered.
            Conflict: The name stands for another URL.
            ToolFailed: The upstream cannot be cloned.
        """
        principal.require(Scope.REPOSITORY_WRITE)
        if args.default_ref is not None:
            check_ref(args.default_ref, "default_ref")
        repository = await self._register(principal, args.url, args.name, "url")
        settings = args.settings()
        if settings:
            repository = replace(repository, **settings)
            await self._store.configure(repository)
        hint = None
        connection = await self.connection(repository, principal)
        if self._is_there(repository):
            hint = await self._freshness.refresh(
                repository, connection, now(), args.wait_seconds, report
            )
        else:
            repository = await self._cloned(repository, connection, args.wait_seconds, report)
        view = await self._view(await self._store.get(repository.id), principal)
        return view.model_copy(update={"hint": hint})

    async def listing(self, principal: Principal, args: RepositoryList) -> RepositoriesView:
        """Return every repository, or one of them with its branches.

        Raises:
            NotFound: There is none of this name.
        """
        principal.require(Scope.REPOSITORY_READ)
        if args.name is not None:
            wanted = await self.named(principal, args.name)
            return RepositoriesView(repositories=(await self._view(wanted, principal),))
        known = await self._reached(principal)
        rows = tuple(row(repository, principal) for repository in known[:REPOSITORIES_SHOWN])
        return RepositoriesView(repositories=rows, more=max(len(known) - len(rows), 0) or None)

    async def named(self, principal: Principal, name: str, field: str = "name") -> Repository:
        """Return the repository of a name.

        Raises:
            NotFound: There is none; the candidates are those that are there.
        """
        principal.require(Scope.REPOSITORY_READ)
        repository = await self._store.named(name)
        if repository is None or not principal.reaches(name):
            raise NotFound(
                f"no repository {name!r}; a URL or an absolute path registers one",
                field=field,
                candidates=[known.name for known in await self._reached(principal)],
            )
        return repository

    async def find(self, principal: Principal, wanted: str | None) -> Repository:
        """Return the repository of a name; one that is named by its URL or path is registered.

        Raises:
            NotFound: There is none of this name.
            InvalidInput: No name was given and there is not exactly one.
        """
        principal.require(Scope.REPOSITORY_READ)
        if wanted is None:
            known = await self._reached(principal)
            if len(known) == 1:
                return known[0]
            raise InvalidInput(
                "which repository?"
                if known
                else "no repository is registered yet: name its URL or path",
                field="repository",
                candidates=[repository.name for repository in known],
            )
        if not {"/", ":"} & set(wanted):
            return await self.named(principal, wanted, "repository")
        principal.require(Scope.REPOSITORY_WRITE)
        return await self._register(principal, wanted, None, "repository")

    async def start(
        self,
        principal: Principal,
        repository: Repository,
        args: SessionCreate,
        sessions: Sequence[str] = (),
    ) -> Start:
        """Return where a session starts, with the mirror as new as it has to be for that.

        Args:
            principal: Who asks.
            repository: Cloned now if it was not yet.
            args: The ref, where ``HEAD`` means the repository's own default, or the upstream's
                HEAD for a session with uncommitted work; and whether to ask the upstream.
            sessions: Of the principal; their exported commits may be named too.

        Raises:
            NotFound: There is no such ref; the candidates are the branches and tags.
            InvalidInput: Its tree is larger than the settings allow.
            Busy: It is still being cloned.
            ToolFailed: The upstream cannot be cloned.
        """
        connection = await self.connection(repository, principal)
        default = None if args.include_uncommitted else repository.default_ref
        wanted = (default or args.ref) if args.ref == "HEAD" else args.ref
        resolve = partial(self.mirror(repository).resolve, sessions=sessions)
        hint = None
        if not self._is_there(repository):
            known = await self._cloned(repository, connection, CLONE_WAIT_SECONDS, silent)
            if known.state is RepositoryState.CLONING:
                raise Busy(
                    f"{known.name} is still being cloned; wait for it with repository_init, then "
                    "send this call again",
                    next_call=again(known),
                )
        elif args.sync:
            local = connection.upstream.is_local
            new_enough = now() if local else now() - FRESH
            seconds = await self._patience(repository, partial(resolve, wanted))
            hint = await self._freshness.refresh(repository, connection, new_enough, seconds)
        commit, old = await self._resolve(repository, connection, wanted, args, resolve)
        said = [f"{hint}; the session starts from the mirror as it was"] if hint else []
        said += [old] if old else []
        said += await self._mirrors.contents.check(self.mirror(repository), commit)
        repository = await self._store.get(repository.id)
        head = repository.head_ref
        return Start(
            ref=head if wanted == "HEAD" and head is not None else wanted,
            commit=commit,
            head_ref=None if head == "HEAD" else head,
            synced_at=repository.synced_at,
            hint="; ".join(said) or None,
        )

    async def look(self) -> bool:
        """Take over what other servers left, and follow them; return whether there is any."""
        under_way = await self._store.in_state(RepositoryState.CLONING, RepositoryState.SYNCING)
        for repository in under_way:
            if repository.state is RepositoryState.CLONING:
                self._clones.follow(repository)
            else:
                await self._fetches.look(repository)
        return bool(under_way)

    def mirror(self, repository: Repository) -> Mirror:
        """Return the mirror of a repository."""
        return self._mirrors.mirror(repository)

    def locked(self, repository: Repository) -> contextlib.AbstractAsyncContextManager[None]:
        """Hold the mirror alone, among all servers; raises ``Busy`` when that takes too long."""
        return self._mirrors.locked(repository)

    async def connection(self, repository: Repository, principal: Principal) -> Connection:
        """Return how git goes to a repository's upstream for a principal, if it may."""
        return await self._connections.to(registered(repository.url), principal)

    async def push(
        self, principal: Principal, repository: Repository, ref: str, branch: str
    ) -> None:
        """Make a new branch of the upstream from a ref of the mirror.

        Raises:
            Conflict: The upstream has such a branch.
            ToolFailed: It refuses, or cannot be reached.
        """
        connection = await self.connection(repository, principal)
        run = self._connections.run(connection)
        try:
            await push(self.mirror(repository), ref, branch, connection, run)
        except ToolFailed as error:
            raise connection.explain(error) from error

    async def _resolve(
        self,
        repository: Repository,
        connection: Connection,
        ref: str,
        args: SessionCreate,
        resolve: Callable[[str], Awaitable[str]],
    ) -> tuple[str, str | None]:
        """Return the commit of a ref, and why it may be older than what the upstream has.

        What is unknown here may have come to the upstream since. What no fetch of branches and tags
        brings, such as a pull request, is asked for each time: it may have moved.
        """
        if not args.sync:
            try:
                return await resolve(ref), None
            except NotFound as error:
                error.next_call = create_again(repository, args, without={"sync"})
                raise
        if is_request(ref):
            came = await self._requested(repository, connection, ref)
            old = f"the upstream did not give {ref}; the session starts where it was last seen"
            return await resolve(ref), None if came else old
        try:
            return await resolve(ref), None
        except NotFound:
            if not connection.upstream.is_local:
                await self._freshness.refresh(repository, connection, now(), FETCH_WAIT_SECONDS)
            await self._requested(repository, connection, ref)
            return await resolve(ref), None

    async def _requested(self, repository: Repository, connection: Connection, ref: str) -> bool:
        """Ask the upstream for a ref that is neither branch nor tag; return whether it came."""
        async with self.locked(repository):
            room = await self._mirrors.room(repository)
            run = self._connections.run(connection, room)
            return await self.mirror(repository).request(ref, connection, run)

    async def _patience(
        self, repository: Repository, resolve: Callable[[], Awaitable[str]]
    ) -> float:
        """Return how long a call waits for what is new: not for a slow fetch of somebody else's."""
        known = await self._store.get(repository.id)
        if known.state is RepositoryState.SYNCING:
            with contextlib.suppress(NotFound):
                await resolve()
                return OTHERS_FETCH_WAIT_SECONDS
        return FETCH_WAIT_SECONDS

    async def _cloned(
        self, repository: Repository, connection: Connection, seconds: float, report: Report
    ) -> Repository:
        """Clone, waiting some seconds for the end."""
        await self._clones.begin(repository, connection)
        repository = await self._clones.wait(repository, seconds, report)
        if repository.state is RepositoryState.FAILED:
            raise ToolFailed(f"{repository.name} cannot be cloned: {repository.error}")
        return repository

    async def _view(self, repository: Repository, principal: Principal) -> RepositoryView:
        view = row(repository, principal)
        match repository.state:
            case RepositoryState.CLONING:
                view = with_progress(view, await self._clones.progress(repository))
            case RepositoryState.SYNCING:
                view = with_progress(view, await self._fetches.progress(repository))
        if self._is_there(repository):
            return with_branches(view, await self.mirror(repository).branches())
        return view.model_copy(update={"next": again(repository)})

    def _is_there(self, repository: Repository) -> bool:
        return repository.state in (RepositoryState.READY, RepositoryState.SYNCING)

    async def _reached(self, principal: Principal) -> list[Repository]:
        """Return every repository that the principal's token names, or all when it names none."""
        return [known for known in await self._store.all() if principal.reaches(known.name)]

    async def _register(
        self, principal: Principal, url: str, name: str | None, field: str
    ) -> Repository:
        """Return the repository that stands for a URL, under the name that was asked for if any."""
        upstream = await anyio.to_thread.run_sync(
            lambda: parse_upstream(url, field, local=principal.name == LOCAL.name)
        )
        # Before anything is stored: it may not be one that this principal can reach.
        refused = (await self._connections.to(upstream, principal)).fault
        if isinstance(refused, InvalidInput):
            raise refused
        known = await self._store.all()
        for repository in known:
            if repository.name == (name or repository.name) and upstream.same(repository.url):
                _check_reach(principal, repository.name)
                return repository
        _check_reach(principal, name or upstream.name)
        wanted = Repository(
            id="",
            name=name or upstream.name,
            url=upstream.url,
            state=RepositoryState.CLONING,
            created_at=now(),
        )
        stored = await self._store.register(wanted)
        if not upstream.same(stored.url) and stored.state is RepositoryState.FAILED:
            # Nothing was ever cloned under this name, so nothing depends on it.
            await self._store.advance(stored.id, RepositoryState.REMOVED)
            stored = await self._store.register(wanted)
        if not upstream.same(stored.url):
            taken = {repository.name for repository in known}
            free = next(new for new in _numbered(stored.name) if new not in taken)
            raise Conflict(
                f"the name {stored.name!r} stands for another repository"
                f"{f', {stored.url}' if may_see(principal, stored) else ''}; give this one another",
                field="name",
                next_call={"tool": "repository_init", "arguments": {"url": url, "name": free}},
            )
        return stored


def _check_reach(principal: Principal, name: str) -> None:
    """Do nothing when the principal may use the repository of a name.

    Raises:
        PermissionDenied: Its token is for others; they are the candidates.
    """
    if not principal.reaches(name):
        raise PermissionDenied(
            f"your token does not reach the repository {name!r}",
            candidates=sorted(principal.repositories or ()),
        )


def _numbered(name: str) -> Iterator[str]:
    return (f"{name[:NAME_CHARACTERS]}-{number}" for number in itertools.count(2))
