"""Sessions: opening one, and finding it again."""

from collections.abc import Callable
from datetime import timedelta

import anyio

from debug_mcp.auth.principal import Principal, Scope
from debug_mcp.config import Settings
from debug_mcp.errors import Conflict, InvalidInput, NextCall, NotFound
from debug_mcp.models.base import iso, now
from debug_mcp.models.repositories import Repository
from debug_mcp.models.sessions import EXPIRED, SessionCreate, SessionState, SessionView, WorkSession
from debug_mcp.service.confinement import Confinement
from debug_mcp.service.keys import keyed
from debug_mcp.service.repositories import RepositoryService, Start
from debug_mcp.service.session_views import session_view
from debug_mcp.service.setup import Setup
from debug_mcp.service.trees import Made, Trees
from debug_mcp.service.uncommitted import Look, Uncommitted, with_uncommitted
from debug_mcp.service.variables import together
from debug_mcp.store.expiries import Expiries
from debug_mcp.store.repositories import Repositories
from debug_mcp.store.sessions import Sessions
from debug_mcp.worktrees import patches
from debug_mcp.worktrees.uncommitted import Person

PREPARE_SECONDS = 50
_LOOK_SECONDS = 0.1
# How many notes of use are made at most while a session could go unused.
_USES = 20


class SessionService:
    """A session belongs to the principal that opened it; nobody else sees that it is there."""

    def __init__(
        self,
        store: Sessions,
        expiries: Expiries,
        repository_rows: Repositories,
        repositories: RepositoryService,
        confinement: Confinement,
        trees: Trees,
        setup: Setup,
        uncommitted: Uncommitted,
        settings: Settings,
        instance: str,
    ) -> None:
        self._settings = settings
        self._opened_bells: list[Callable[[], None]] = []
        self._setup = setup
        self._uncommitted = uncommitted
        self._store = store
        self._expiries = expiries
        self._repository_rows = repository_rows
        self._repositories = repositories
        self._confinement = confinement
        self._trees = trees
        self._instance = instance

    def at_each_opening(self, ring: Callable[[], None]) -> None:
        """Have something done when a session is ready."""
        self._opened_bells.append(ring)

    async def create(self, principal: Principal, args: SessionCreate) -> SessionView:
        """Open a private working tree at a commit, with a patch in it if one is given.

        Raises:
            NotFound: There is no such repository or ref.
            Conflict: The patch does not apply, the name is taken, or the idempotency key means
                another session.
        """
        principal.require(Scope.SESSION_WRITE)
        request = keyed(principal, "session_create", args, args.idempotency_key)
        known = await self._store.asked_for(request)
        if known is not None:  # before anything that may have changed since: ref, upstream, files
            return await self._again(principal, known, args)
        repository = await self._repositories.find(principal, args.repository)
        self._uncommitted.check(principal, repository, args)
        together(repository.env, args.env)
        own = await self._store.exporting(principal.owner, repository.id)
        start = await self._repositories.start(principal, repository, args, own)
        person = await self._uncommitted.person(repository, start.commit, args)
        boundary = await self._confinement.boundary()
        created_at = now()
        ttl_seconds = self._ttl_seconds(args)
        asked = WorkSession(
            id="",
            repository_id=repository.id,
            principal=principal.name,
            state=SessionState.PREPARING,
            ref=start.ref,
            base=start.commit,
            isolation=boundary.isolation,
            instance=self._instance,
            created_at=created_at,
            patch_digest=None if args.patch is None else patches.digest(args.patch),
            name=args.name,
            env=args.env,
            expires_at=created_at + timedelta(seconds=ttl_seconds),
            idle_seconds=self._settings.session_idle_seconds,
            used_at=created_at,
        )
        # Shielded: what is stored for a cancelled call must reach the clean-up in `_prepare`.
        with anyio.CancelScope(shield=True):
            session, new = await self._store.create(asked, request)
        if not new:
            return await self._again(principal, session, args)
        return await self._opened(principal, session, repository, start, args, person)

    async def _again(
        self, principal: Principal, session: WorkSession, args: SessionCreate
    ) -> SessionView:
        """Return the view of a session that another call with the same key asked for."""
        await self.owned(principal, session.id)  # the key may be of another of its tokens
        session = await self._prepared(session)
        await self._setup.make_up(principal, session)
        repository = await self._repository_rows.get(session.repository_id)
        view = await self._view(principal, session, repository, Made())
        return await self._setup.told(view, args.wait_seconds)

    async def ready(self, principal: Principal, session_id: str) -> WorkSession:
        """Return the principal's session if it can be worked in.

        Raises:
            NotFound: There is none of this id; the candidates are the open ones.
            Conflict: It is closed, or about to be.
        """
        session = await self.owned(principal, session_id)
        if session.state is not SessionState.READY:
            raise Conflict(
                f"session {session.id} is {session.state}{_why(session)}",
                field="session_id",
                next_call=await self.reopened(session),
            )
        return session

    async def reopened(self, session: WorkSession) -> NextCall:
        """Return the call that opens another session where this one ended."""
        repository = await self._repository_rows.get(session.repository_id)
        commit = session.base
        if session.exported_ref is not None:
            commit = await self._repositories.mirror(repository).commit(session.exported_ref)
        arguments: dict[str, object] = {"repository": repository.name, "ref": commit[:12]}
        return {"tool": "session_create", "arguments": arguments}

    async def owned(self, principal: Principal, session_id: str) -> WorkSession:
        """Return the principal's session, whatever its state.

        Raises:
            NotFound: There is none of this id; the candidates are the open ones.
        """
        session = await self._store.owned(session_id, principal.owner)
        if session is None:
            raise NotFound(
                f"no session {session_id!r} of yours",
                field="session_id",
                candidates=await self._store.open_ids(principal.owner),
            )
        await self._use(session)
        return session

    async def _use(self, session: WorkSession) -> None:
        """Note that a session is used, when the last note is old enough to make a difference."""
        if session.used_at is None or session.idle_seconds is None:
            return
        age = (now() - session.used_at).total_seconds()
        if session.state is SessionState.READY and age > session.idle_seconds / _USES:
            await self._expiries.used(session.id, now())

    async def _opened(
        self,
        principal: Principal,
        session: WorkSession,
        repository: Repository,
        start: Start,
        args: SessionCreate,
        person: Person | None,
    ) -> SessionView:
        """Make a new session's tree and begin its set-up; return its view."""
        place = self._trees.folder(session) / "look"
        look = self._uncommitted.look(principal, repository, args, start.commit, place)
        made = await self._prepare(session, repository, start, args.patch, person, look)
        await self._setup.begin(principal, session, repository)
        view = await self._view(principal, await self._store.get(session.id), repository, made)
        left = await look.said()
        why = (await self._confinement.boundary()).why
        taken = made.uncommitted.said if made.uncommitted else ()
        hint = "; ".join(said for said in (left, *taken, start.hint, why, view.hint) if said)
        view = view.model_copy(update={"synced_at": start.synced_at, "hint": hint or None})
        if left:
            view = view.model_copy(update={"next": with_uncommitted(repository, args)})
        return await self._setup.told(view, args.wait_seconds)

    async def _prepare(
        self,
        session: WorkSession,
        repository: Repository,
        start: Start,
        patch: str | None,
        person: Person | None,
        look: Look,
    ) -> Made:
        """Make the tree; a session that cannot be made leaves nothing behind."""
        try:
            made = await self._trees.make(session, repository, start.head_ref, patch, person)
        except BaseException:  # a cancelled call leaves nothing behind either
            with anyio.CancelScope(shield=True):
                await look.end()
                await self._trees.remove(session)
                await self._store.fail(session.id)
            raise
        await self._store.advance(session.id, SessionState.READY)
        for ring in self._opened_bells:
            ring()
        return made

    def _ttl_seconds(self, args: SessionCreate) -> int:
        """Return how long a session may last.

        Raises:
            InvalidInput: That is more than the operator allows.
        """
        most = self._settings.session_seconds
        if args.ttl_seconds is not None and args.ttl_seconds > most:
            raise InvalidInput(
                f"ttl_seconds is {args.ttl_seconds}; this server allows {most} at most",
                field="ttl_seconds",
            )
        return args.ttl_seconds or most

    async def _prepared(self, session: WorkSession) -> WorkSession:
        """Wait for a session that another call with the same key is preparing.

        Raises:
            Conflict: That call failed; its key is free again.
        """
        with anyio.move_on_after(PREPARE_SECONDS):
            while session.state is SessionState.PREPARING:
                await anyio.sleep(_LOOK_SECONDS)
                session = await self._store.get(session.id)
        if session.state is SessionState.FAILED:
            raise Conflict(
                f"session {session.id} of another call with this key could not be prepared; its "
                "answer says why",
                field="idempotency_key",
            )
        return session

    async def _view(
        self, principal: Principal, session: WorkSession, repository: Repository, made: Made
    ) -> SessionView:
        ready = session.state is SessionState.READY
        view = await anyio.to_thread.run_sync(
            session_view,
            session,
            repository,
            self._confinement.folders(session),
            made,
            await self._confinement.python(),
            None if ready else await self.reopened(session),
        )
        shares = self._confinement.shares_network(principal, session)
        return view.model_copy(update={"network": shares})


def _why(session: WorkSession) -> str:
    """Return why a session ended, and where its work is when nobody was there to be told."""
    if session.closed_why != EXPIRED or session.closed_at is None:
        return f" ({session.closed_why})" if session.closed_why else ""
    ended = f" (expired {iso(session.closed_at)})"
    if session.exported_ref is None:
        return f"{ended}; it had no work to save"
    branch = session.exported_ref.partition(f"exports/{session.id}/")[2]
    return (
        f"{ended}; its work is kept as the branch {branch} and the artifact final.patch: "
        "session_close says how to fetch it, artifact_list has the artifact"
    )
