"""Where a session stands: its work, its queue, what it left, and what a person may do with it."""

from collections import Counter

import anyio

from debug_mcp.auth.principal import LOCAL, Principal, Scope
from debug_mcp.errors import NotFound, ToolFailed
from debug_mcp.models.commands import Command, CommandState
from debug_mcp.models.looks import (
    ChangesView,
    HeadView,
    QueueLengthView,
    SavedView,
    SessionGet,
    SessionRow,
    SessionStatusView,
)
from debug_mcp.models.repositories import Repository
from debug_mcp.models.sessions import (
    WORKSPACE,
    ExportView,
    SessionState,
    WorkSession,
)
from debug_mcp.service.artifacts import collected_view
from debug_mcp.service.command_views import command_row
from debug_mcp.service.confinement import Confinement
from debug_mcp.service.exports import ExportService
from debug_mcp.service.session_views import real_paths
from debug_mcp.service.sessions import SessionService
from debug_mcp.service.setup import Setup
from debug_mcp.store.artifacts import Artifacts
from debug_mcp.store.commands import Commands, Wanted
from debug_mcp.store.repositories import Repositories
from debug_mcp.store.sessions import Sessions
from debug_mcp.worktrees import status
from debug_mcp.worktrees.status import Change

COMMANDS_SHOWN = 5
ARTIFACTS_SHOWN = 10
FILES_SHOWN = 20
# A file of git's that a command replaced by a FIFO would hold a look for ever.
LOOK_SECONDS = 20


class StatusService:
    """Looks at sessions; changes nothing."""

    def __init__(
        self,
        store: Sessions,
        repositories: Repositories,
        commands: Commands,
        artifacts: Artifacts,
        sessions: SessionService,
        exports: ExportService,
        confinement: Confinement,
        setup: Setup,
    ) -> None:
        self._store = store
        self._repositories = repositories
        self._commands = commands
        self._artifacts = artifacts
        self._sessions = sessions
        self._exports = exports
        self._confinement = confinement
        self._setup = setup

    async def get(self, principal: Principal, args: SessionGet) -> SessionStatusView:
        """Return one session of the principal's, or the list of all.

        Raises:
            NotFound: There is no such session of the principal's, or the cursor is none of ours.
        """
        principal.require(Scope.SESSION_READ)
        if args.session_id is None:
            return await self._list(principal, args)
        return await self._one(principal, await self._sessions.owned(principal, args.session_id))

    async def _list(self, principal: Principal, args: SessionGet) -> SessionStatusView:
        after = args.cursor and await self._store.owned(args.cursor, principal.owner)
        if args.cursor and not after:
            raise NotFound(
                f"no page after {args.cursor!r}; send the next_cursor of an answer, or none for "
                "the first page",
                field="cursor",
            )
        found = await self._store.page(principal.owner, after or None, args.limit + 1)
        shown = found[: args.limit]
        names = {known.id: known.name for known in await self._repositories.all()}
        rows = [
            SessionRow(
                session_id=session.id,
                name=session.name,
                state=session.state,
                repository=names.get(session.repository_id, "(removed)"),
                ref=session.ref,
                commit=session.base,
                created_at=session.created_at,
                closed_why=session.closed_why,
            )
            for session in shown
        ]
        return SessionStatusView(
            sessions=tuple(rows),
            next_cursor=shown[-1].id if len(found) > args.limit else None,
            hint=None if shown else "there is none: session_create opens one",
        )

    async def _one(self, principal: Principal, session: WorkSession) -> SessionStatusView:
        repository = await self._repositories.get(session.repository_id)
        recent = await self._commands.page(
            principal.owner, Wanted(session.id), None, COMMANDS_SHOWN
        )
        unfinished = await self._commands.unfinished(session.id)
        artifacts = await self._artifacts.of_session(session.id)
        exported = await self._exports.last(session)
        view = SessionStatusView(
            session_id=session.id,
            name=session.name,
            state=session.state,
            repository=repository.name,
            ref=session.ref,
            commit=session.base,
            created_at=session.created_at,
            expires_at=session.unused_until if session.state is SessionState.READY else None,
            closed_at=session.closed_at,
            closed_why=session.closed_why,
            env=tuple(session.env),
            queue=_queue(unfinished),
            commands=tuple(command_row(command) for command in recent),
            exported=_saved(exported),
            artifacts=tuple(collected_view(each) for each in artifacts[-ARTIFACTS_SHOWN:]),
            person=_person(principal, session, exported),
        )
        if session.state is not SessionState.READY:
            return view.model_copy(update={"next": await self._sessions.reopened(session)})
        return view.model_copy(update=await self._inside(principal, session, repository))

    async def _inside(
        self, principal: Principal, session: WorkSession, repository: Repository
    ) -> dict[str, object]:
        """Return what is told only of a session that has a tree."""
        folders = self._confinement.folders(session)
        said: dict[str, object] = {
            "isolation": session.isolation,
            "network": self._confinement.shares_network(principal, session),
            "workspace": WORKSPACE,
            "setup": await self._setup.of(session),
            **real_paths(session, folders),
        }
        run = self._confinement.git_in(session)
        try:
            with anyio.fail_after(LOOK_SECONDS):
                head, changes = await status.head_and_changes(run)
                ahead = await status.ahead(run, session.base) if head.commit else 0
        except TimeoutError:
            return {**said, "hint": f"git did not read its tree in {LOOK_SECONDS} s"}
        except ToolFailed as error:
            return {**said, "hint": f"its git directory cannot be read: {error.message}"}
        said["head"] = HeadView(branch=head.branch, commit=head.commit, ahead=ahead or None)
        if changes:
            said["changes"] = _changes(changes)
        if changes or ahead:
            said["next"] = {"tool": "session_diff", "arguments": {"session_id": session.id}}
        return said


def _queue(unfinished: list[Command]) -> QueueLengthView | None:
    if not unfinished:
        return None
    running = [command.id for command in unfinished if command.state is not CommandState.QUEUED]
    return QueueLengthView(running=tuple(running), queued=len(unfinished) - len(running) or None)


def _changes(changes: list[Change]) -> ChangesView:
    count = Counter(change.status for change in changes)
    return ChangesView(
        added=count.pop("A", None),
        deleted=count.pop("D", None),
        untracked=count.pop("?", None),
        modified=sum(count.values()) or None,
        files=tuple(f"{change.status} {change.path}" for change in changes[:FILES_SHOWN]),
        more_files=max(len(changes) - FILES_SHOWN, 0) or None,
    )


def _saved(exported: ExportView | None) -> SavedView | None:
    if exported is None:
        return None
    return SavedView(
        branch=exported.branch,
        commit=exported.commit,
        fetch=exported.fetch,
        others=exported.others,
        more_others=exported.more_others,
        fetch_others=exported.fetch_others,
    )


def _person(
    principal: Principal, session: WorkSession, exported: ExportView | None
) -> tuple[str, ...]:
    """Return command lines for the person beside the agent, who is at this machine."""
    if principal.name != LOCAL.name:
        return ()
    found = (exported.fetch, exported.fetch_others) if exported else ()
    lines = [line for line in found if line]
    if session.state is SessionState.READY:
        lines.append(f"debug-mcp call session_diff session_id={session.id}")
    return tuple(lines)
