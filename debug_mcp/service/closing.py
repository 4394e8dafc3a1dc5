"""Closing a session: first its commands end, then its work is saved, then its folders go."""

import tempfile
from pathlib import Path

import anyio

from debug_mcp.auth.principal import Principal, Scope
from debug_mcp.errors import Conflict, ToolFailed
from debug_mcp.models.commands import CommandState
from debug_mcp.models.sessions import (
    ClosedView,
    ExportView,
    SessionClose,
    SessionState,
    WorkSession,
)
from debug_mcp.service.artifacts import ArtifactService
from debug_mcp.service.confinement import Confinement
from debug_mcp.service.exports import ExportService
from debug_mcp.service.files import FileService
from debug_mcp.service.scheduler import Scheduler
from debug_mcp.service.sessions import SessionService
from debug_mcp.service.trees import Trees
from debug_mcp.store.commands import Commands
from debug_mcp.store.sessions import Sessions
from debug_mcp.worktrees import export
from debug_mcp.worktrees.git import Run

BY_CALLER = "by caller"
NOT_NEEDED = "not needed any more"
END_SECONDS = 30
_RENEWED = "its git directory was damaged: the branch has its files as one commit"
_UNFILTERED = "its own git filters failed: the branch has its files as they are"


class Closing:
    """Ends sessions without losing anything."""

    def __init__(
        self,
        store: Sessions,
        commands: Commands,
        sessions: SessionService,
        trees: Trees,
        exports: ExportService,
        artifacts: ArtifactService,
        files: FileService,
        scheduler: Scheduler,
        confinement: Confinement,
        instance: str,
    ) -> None:
        self._store = store
        self._commands = commands
        self._sessions = sessions
        self._trees = trees
        self._exports = exports
        self._artifacts = artifacts
        self._files = files
        self._scheduler = scheduler
        self._confinement = confinement
        self._instance = instance

    async def close(self, principal: Principal, args: SessionClose) -> ClosedView:
        """Close a session; closing a closed one says again what became of it.

        Raises:
            NotFound: There is no such session of the principal's.
            Conflict: A command does not end, or another call is closing it.
        """
        principal.require(Scope.SESSION_WRITE)
        session = await self._sessions.owned(principal, args.session_id)
        if session.state in (SessionState.CLOSED, SessionState.FAILED):
            return ClosedView(
                session_id=session.id,
                state=session.state,
                closed_why=session.closed_why,
                exported=await self._exports.last(session),
            )
        await self._begin(session)
        return await self.end(session, BY_CALLER)

    async def discard(self, principal: Principal, session_id: str) -> None:
        """Close a session in which nobody worked: what its commands left in its tree is not saved.

        Raises:
            NotFound: There is no such session of the principal's.
            Conflict: A command does not end, or another call is closing it.
        """
        session = await self._sessions.owned(principal, session_id)
        if session.state is SessionState.READY:
            await self._begin(session)
            await self.end(session, NOT_NEEDED, save=False)

    async def _begin(self, session: WorkSession) -> None:
        # Shielded: what is stored for a cancelled call must reach the clean-up in `end`.
        with anyio.CancelScope(shield=True):
            begun = await self._store.advance(
                session.id, SessionState.CLOSING, instance=self._instance
            )
        if not begun:
            state = (await self._store.get(session.id)).state
            raise Conflict(f"session {session.id} is {state} already", field="session_id")

    async def end(self, session: WorkSession, why: str, *, save: bool = True) -> ClosedView:
        """Save the work of a session and close it; this server has moved it to ``closing``.

        Raises:
            Conflict: A command does not end. The session is open again, as with every error.
            ToolFailed: The work cannot be saved.
        """
        try:
            await self._end_commands(session)
            await self._files.settle(session)
            saved = await self._save(session) if save else None
            exported = saved or await self._exports.last(session)
        except BaseException:  # a cancelled call does not leave it half-closed for ever
            with anyio.CancelScope(shield=True):
                await self._store.advance(session.id, SessionState.READY)
            raise
        with anyio.CancelScope(shield=True):
            await self._store.advance(session.id, SessionState.CLOSED, closed_why=why)
            await self._trees.remove(session)
        return ClosedView(
            session_id=session.id,
            state=SessionState.CLOSED,
            closed_why=why,
            exported=exported,
            hint=None if exported else "it had no work to save",
        )

    async def _end_commands(self, session: WorkSession) -> None:
        for command in await self._commands.unfinished(session.id):
            await self._scheduler.cancel(command)
        for command in await self._commands.unfinished(session.id):
            ended = await self._scheduler.wait(command, END_SECONDS)
            if ended.state is not CommandState.FINISHED:
                raise Conflict(
                    f"command {command.id} of session {session.id} does not end; try again",
                    field="session_id",
                )

    async def _save(self, session: WorkSession) -> ExportView | None:
        """Keep the work as a branch and as a patch."""
        run = self._confinement.git_in(session)
        mended = None
        try:
            exported = await self._exports.save_rest(session)
        except ToolFailed as error:
            exported, mended = await self._save_damaged(session, run, error)
        if exported is None:
            return None
        hints = [exported.hint, mended, await self._keep_patch(session, run)]
        hint = "; ".join(hint for hint in hints if hint)
        return exported.model_copy(update={"hint": hint or None})

    async def _save_damaged(
        self, session: WorkSession, run: Run, error: ToolFailed
    ) -> tuple[ExportView | None, str]:
        """Keep the work of a session whose git fails, which could never be closed otherwise.

        Returns what was kept, and what was done for it.

        Raises:
            ToolFailed: The given error: git is sound, and something in the tree cannot be kept.
        """
        if await export.is_sound(run, session.base):
            try:
                return await self._exports.save_rest(session, filtered=False), _UNFILTERED
            except ToolFailed:
                raise error from None
        await self._trees.renew_git(session)
        return await self._exports.save_rest(session), _RENEWED

    async def _keep_patch(self, session: WorkSession, run: Run) -> str | None:
        """Keep the work as an artifact too; say why not, as the branch is enough to close."""
        # To a file: it may be larger than memory should hold.
        with tempfile.NamedTemporaryFile(dir=self._trees.folder(session)) as file:
            try:
                await export.patch(run, session.base, file.fileno())
            except ToolFailed as error:
                return f"there is no final.patch: {error.message}"
            await self._artifacts.keep_file(session, "final.patch", Path(file.name))
        return None
