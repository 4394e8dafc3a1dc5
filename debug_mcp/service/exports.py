"""Giving a session's work back: as a branch that the person can fetch."""

import shlex
from pathlib import Path

import anyio

from debug_mcp.auth.principal import Principal, Scope
from debug_mcp.config import Layout
from debug_mcp.errors import Conflict
from debug_mcp.models.sessions import ExportView, SessionExport, WorkSession
from debug_mcp.service.confinement import Confinement
from debug_mcp.service.repositories import RepositoryService
from debug_mcp.service.sessions import SessionService
from debug_mcp.store.artifacts import Artifacts
from debug_mcp.store.repositories import Repositories
from debug_mcp.store.sessions import Sessions
from debug_mcp.worktrees import export, patches
from debug_mcp.worktrees.git import check_ref
from debug_mcp.worktrees.mirrors import OURS

EVERYTHING = "Work in a debug-mcp session"
_SHOWN = 5


class ExportService:
    """Work leaves a session as bytes; refs and limits are the server's."""

    def __init__(
        self,
        store: Sessions,
        repository_rows: Repositories,
        repositories: RepositoryService,
        sessions: SessionService,
        artifacts: Artifacts,
        confinement: Confinement,
        layout: Layout,
    ) -> None:
        self._store = store
        self._artifacts = artifacts
        self._repository_rows = repository_rows
        self._repositories = repositories
        self._sessions = sessions
        self._confinement = confinement
        self._layout = layout

    async def export(self, principal: Principal, args: SessionExport) -> ExportView:
        """Commit everything in the session and keep it as a branch for the person to fetch.

        Raises:
            NotFound: There is no such session of the principal's.
            Conflict: There is nothing to export.
        """
        principal.require(Scope.SESSION_WRITE)
        session = await self._sessions.ready(principal, args.session_id)
        branch = check_ref(args.branch or f"debug-mcp/{session.id}", "branch")
        exported = await self.save(session, branch, args.message or EVERYTHING)
        if exported is None:
            raise Conflict(
                f"session {session.id} has no work to export: nothing differs from "
                f"{session.base[:12]}",
                field="session_id",
            )
        return exported

    async def save_rest(self, session: WorkSession) -> ExportView | None:
        """Keep all work under the branch of the last export; None when there is no work."""
        last = session.exported_ref
        branch = last.removeprefix(_own(session)) if last else f"debug-mcp/{session.id}"
        return await self.save(session, branch)

    async def save(
        self, session: WorkSession, branch: str, message: str = EVERYTHING
    ) -> ExportView | None:
        """Keep a session's work as a branch beside the mirror's own; None when there is none."""
        run = self._confinement.git_in(session)
        if not await export.has_work(run, session.base):
            return None
        commit = await export.commit_everything(run, message)
        if commit == session.base:
            return None
        ref = f"{_own(session)}{branch}"
        await self._import(session, ref, await export.bundle(run, session.base))
        await self._store.note_export(session.id, ref)
        numbers = await patches.changes(run, session.base, commit)
        mirror = self._layout.repositories / session.repository_id
        refspec = f"{ref}:refs/heads/{branch}"
        return ExportView(
            session_id=session.id,
            branch=branch,
            commit=commit,
            base=session.base,
            files=numbers.files,
            lines=numbers.lines,
            hint=await self._hint(session, numbers.files),
            fetch=f"git fetch {shlex.quote(str(mirror))} {shlex.quote(refspec)}",
        )

    async def _hint(self, session: WorkSession, files: tuple[str, ...]) -> str | None:
        """Point at reports in the branch: who collects a file seldom wants to commit it."""
        kept = {artifact.name for artifact in await self._artifacts.of_session(session.id)}
        both = [name for name in files if name in kept]
        if not both:
            return None
        return (
            f"{', '.join(both[:_SHOWN])} in the branch was also kept as an artifact; if it is no "
            "part of the work, remove it or ignore it, and export again"
        )

    async def _import(self, session: WorkSession, ref: str, bundle: bytes) -> None:
        repository = await self._repository_rows.get(session.repository_id)
        path = anyio.Path(self._sessions.folder(session) / "export.bundle")
        await path.write_bytes(bundle)
        try:
            async with self._repositories.locked(repository):
                await self._repositories.mirror(repository).import_bundle(Path(path), ref)
        finally:
            await path.unlink()


def _own(session: WorkSession) -> str:
    """Return the prefix of a session's exports: no two sessions write to one ref."""
    return f"{OURS}/exports/{session.id}/"
