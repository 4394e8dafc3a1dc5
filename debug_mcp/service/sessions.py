"""Sessions: opening one, and finding it again."""

import shutil
import tempfile
from pathlib import Path

import anyio

from debug_mcp.auth.principal import Principal, Scope
from debug_mcp.config import Layout
from debug_mcp.errors import Conflict, NextCall, NotFound
from debug_mcp.models.base import now
from debug_mcp.models.repositories import Repository
from debug_mcp.models.sessions import (
    Isolation,
    PatchView,
    PathsView,
    ProjectView,
    SessionCreate,
    SessionState,
    SessionView,
    WorkSession,
)
from debug_mcp.service.confinement import Confinement
from debug_mcp.service.keys import keyed
from debug_mcp.service.repositories import RepositoryService
from debug_mcp.store.repositories import Repositories
from debug_mcp.store.sessions import Sessions
from debug_mcp.worktrees import checkouts, patches
from debug_mcp.worktrees.checkouts import Checkout, Identity
from debug_mcp.worktrees.git import GitCall
from debug_mcp.worktrees.mirrors import UpstreamHead

PREPARE_SECONDS = 50
FILES_SHOWN = 100
_LOOK_SECONDS = 0.1

# How a tree says how it is tested: the first name that stands at its root decides.
_TEST_COMMANDS = {
    "pytest.ini": "pytest -q",
    "conftest.py": "pytest -q",
    "tox.ini": "pytest -q",
    "pyproject.toml": "pytest -q",
    "setup.py": "pytest -q",
    "Cargo.toml": "cargo test",
    "go.mod": "go test ./...",
    "package.json": "npm test",
    "Makefile": "make test",
}


class SessionService:
    """A session belongs to the principal that opened it; nobody else sees that it is there."""

    def __init__(
        self,
        store: Sessions,
        repository_rows: Repositories,
        repositories: RepositoryService,
        confinement: Confinement,
        layout: Layout,
        instance: str,
    ) -> None:
        self._store = store
        self._repository_rows = repository_rows
        self._repositories = repositories
        self._confinement = confinement
        self._layout = layout
        self._instance = instance

    async def create(self, principal: Principal, args: SessionCreate) -> SessionView:
        """Open a private working tree at a commit, with a patch in it if one is given.

        Raises:
            NotFound: There is no such repository or ref.
            Conflict: The patch does not apply, or the idempotency key means another session.
        """
        principal.require(Scope.SESSION_WRITE)
        repository = await self._repositories.find(principal, args.repository)
        upstream = await self._repositories.refresh(repository)
        synced_at = now()
        boundary = await self._confinement.boundary()
        asked = WorkSession(
            id="",
            repository_id=repository.id,
            principal=principal.name,
            state=SessionState.PREPARING,
            ref=upstream.ref if args.ref == "HEAD" else args.ref,
            base=await self._repositories.mirror(repository).resolve(args.ref),
            isolation=boundary.isolation,
            instance=self._instance,
            created_at=synced_at,
            patch_digest=None if args.patch is None else patches.digest(args.patch),
        )
        # Shielded: what is stored for a cancelled call must reach the clean-up in `_prepare`.
        with anyio.CancelScope(shield=True):
            session, new = await self._store.create(
                asked, keyed(principal, "session_create", args, args.idempotency_key)
            )
        if not new:
            return await self._view(await self._prepared(session), repository, None)
        numbers = await self._prepare(session, repository, upstream, args.patch)
        view = await self._view(await self._store.get(session.id), repository, numbers)
        return view.model_copy(update={"synced_at": synced_at, "hint": boundary.why})

    async def ready(self, principal: Principal, session_id: str) -> WorkSession:
        """Return the principal's session if it can be worked in.

        Raises:
            NotFound: There is none of this id; the candidates are the open ones.
            Conflict: It is closed, or about to be.
        """
        session = await self.owned(principal, session_id)
        if session.state is not SessionState.READY:
            why = f" ({session.closed_why})" if session.closed_why else ""
            raise Conflict(
                f"session {session.id} is {session.state}{why}",
                field="session_id",
                next_call=await self._reopened(session),
            )
        return session

    async def _reopened(self, session: WorkSession) -> NextCall:
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
        session = await self._store.owned(session_id, principal.name)
        if session is None:
            raise NotFound(
                f"no session {session_id!r} of yours",
                field="session_id",
                candidates=await self._store.open_ids(principal.name),
            )
        return session

    def folder(self, session: WorkSession) -> Path:
        """Return where everything of a session is on the host."""
        return self._layout.sessions / session.id

    async def remove_folder(self, session: WorkSession) -> None:
        """Delete a session's tree, home and temporary files."""
        await anyio.to_thread.run_sync(
            lambda: shutil.rmtree(self.folder(session), ignore_errors=True)
        )

    async def renew_git(self, session: WorkSession) -> None:
        """Give a tree a new git directory, at the commit where it started.

        The files stay as they are. No command of the session may be running.
        """
        repository = await self._repository_rows.get(session.repository_id)
        checkout = await self._checkout(session, repository, "HEAD")

        def replace() -> None:
            damaged = checkout.tree / ".git"
            if damaged.is_symlink() or damaged.exists():
                # Out of the tree, by its name alone: it may be a link to anywhere.
                damaged.rename(Path(tempfile.mkdtemp(dir=self.folder(session))) / "damaged-git")
            checkouts.lay_out(checkout)

        await anyio.to_thread.run_sync(replace)
        await checkouts.note_files(self._confinement.git_in(session))

    async def _prepare(
        self,
        session: WorkSession,
        repository: Repository,
        upstream: UpstreamHead,
        patch: str | None,
    ) -> patches.Numbers | None:
        """Make the tree; a session that cannot be made leaves nothing behind."""
        try:
            await self._check_out(session, repository, upstream)
            run = self._confinement.git_in(session)
            numbers = None if patch is None else await patches.apply(run, patch)
        except BaseException:  # a cancelled call leaves nothing behind either
            with anyio.CancelScope(shield=True):
                await self.remove_folder(session)
                await self._store.fail(session.id)
            raise
        await self._store.advance(session.id, SessionState.READY)
        return numbers

    async def _check_out(
        self, session: WorkSession, repository: Repository, upstream: UpstreamHead
    ) -> None:
        folders = self._confinement.folders(session)
        checkout = await self._checkout(session, repository, upstream.ref)

        def lay_out() -> None:
            for folder in (folders.tree, folders.home, folders.temporary):
                folder.mkdir(mode=0o700, parents=True)
            checkouts.lay_out(checkout)

        await anyio.to_thread.run_sync(lay_out)
        await checkouts.fill(self._confinement.git_in(session))

    async def _checkout(
        self, session: WorkSession, repository: Repository, upstream_ref: str
    ) -> Checkout:
        mirror = self._repositories.mirror(repository)
        return Checkout(
            tree=self._confinement.folders(session).tree,
            objects=mirror.objects,
            branch=f"debug-mcp/{session.id}",
            commit=session.base,
            refs=await mirror.refs(),
            upstream_head=None if upstream_ref == "HEAD" else upstream_ref,
            identity=await self._identity(repository),
        )

    async def _identity(self, repository: Repository) -> Identity:
        """Return who the person is in their repository; commits are made in their name."""

        async def setting(name: str, default: str) -> str:
            call = GitCall(("-C", repository.url, "config", "--get", name))
            found = await self._confinement.host_git(call)
            return found.output.decode("utf-8", "replace").strip() or default

        return Identity(
            await setting("user.name", "debug-mcp"),
            await setting("user.email", "debug-mcp@localhost"),
        )

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
        self, session: WorkSession, repository: Repository, numbers: patches.Numbers | None
    ) -> SessionView:
        folders = self._confinement.folders(session)
        real = session.isolation is Isolation.NONE
        tests = await anyio.to_thread.run_sync(_test_command, folders.tree)
        patch = None
        if numbers is not None and session.patch_digest is not None:
            patch = PatchView(
                digest=session.patch_digest,
                files=list(numbers.files[:FILES_SHOWN]),
                lines=numbers.lines,
            )
        run: NextCall = {
            "tool": "command_run",
            "arguments": {"session_id": session.id, "command": tests or "ls"},
        }
        view = SessionView(
            session_id=session.id,
            state=session.state,
            repository=repository.name,
            ref=session.ref,
            commit=session.base,
            patch=patch,
            isolation=session.isolation,
            project=ProjectView(tests=tests) if tests else None,
            next=run if session.state is SessionState.READY else await self._reopened(session),
        )
        if real:
            paths = PathsView(workspace=str(folders.tree), home=str(folders.home))
            return view.model_copy(update={"workspace": str(folders.tree), "paths": paths})
        return view


def _test_command(tree: Path) -> str | None:
    """Guess from names alone: what stands in the files is nobody's business yet."""
    try:
        names = {entry.name for entry in tree.iterdir()}
    except OSError:
        return None
    return next((command for name, command in _TEST_COMMANDS.items() if name in names), None)
