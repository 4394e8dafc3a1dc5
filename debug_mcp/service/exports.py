"""Giving a session's work back: as a branch that the person can fetch."""

import shlex
import tempfile
from pathlib import Path

import anyio

from debug_mcp.auth.principal import Principal, Scope
from debug_mcp.config import Layout
from debug_mcp.errors import Conflict, ToolFailed
from debug_mcp.models.sessions import ExportView, SessionExport, WorkSession
from debug_mcp.service.confinement import Confinement
from debug_mcp.service.repositories import RepositoryService
from debug_mcp.service.sessions import SessionService
from debug_mcp.service.trees import Trees
from debug_mcp.store.artifacts import Artifacts
from debug_mcp.store.repositories import Repositories
from debug_mcp.store.sessions import Sessions
from debug_mcp.worktrees import export, patches
from debug_mcp.worktrees.git import Run, check_ref
from debug_mcp.worktrees.mirrors import OURS

EVERYTHING = "Work in a debug-mcp session"
FILES_SHOWN = 100
_SHOWN = 5


class ExportService:
    """Work leaves a session as bytes; refs and limits are the server's."""

    def __init__(
        self,
        store: Sessions,
        repository_rows: Repositories,
        repositories: RepositoryService,
        sessions: SessionService,
        trees: Trees,
        artifacts: Artifacts,
        confinement: Confinement,
        layout: Layout,
    ) -> None:
        self._store = store
        self._artifacts = artifacts
        self._repository_rows = repository_rows
        self._repositories = repositories
        self._sessions = sessions
        self._trees = trees
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
        branch = branch.removeprefix("refs/heads/")
        message = (args.message or "").replace("\0", "").strip()
        exported = await self.save(session, branch, message or EVERYTHING)
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

    async def last(self, session: WorkSession) -> ExportView | None:
        """Return what was last exported, without its files; None when nothing was."""
        if session.exported_ref is None:
            return None
        mirror = self._repositories.mirror(await self._repository_rows.get(session.repository_id))
        branch = session.exported_ref.removeprefix(_own(session))
        return ExportView(
            session_id=session.id,
            branch=branch,
            commit=await mirror.commit(session.exported_ref),
            base=session.base,
            fetch=self._fetch_line(session, session.exported_ref, branch),
        )

    async def save(
        self, session: WorkSession, branch: str, message: str = EVERYTHING
    ) -> ExportView | None:
        """Keep a session's work as a branch beside the mirror's own; None when there is none."""
        run = self._confinement.git_in(session)
        left_out = await export.commit_everything(run, message)
        if not await export.has_commits(run, session.base):
            return None
        commit = await export.head(run)
        ref = f"{_own(session)}{branch}"
        await self._import(session, ref, await _bundle(run, session.base))
        await self._store.note_export(session.id, ref)
        numbers = await patches.changes(run, session.base, commit)
        return ExportView(
            session_id=session.id,
            branch=branch,
            commit=commit,
            base=session.base,
            files=numbers.files[:FILES_SHOWN],
            lines=numbers.lines,
            hint=await self._hint(session, numbers.files, left_out),
            fetch=self._fetch_line(session, ref, branch),
        )

    def _fetch_line(self, session: WorkSession, ref: str, branch: str) -> str:
        mirror = self._layout.repositories / session.repository_id
        refspec = f"{ref}:refs/heads/{branch}"
        return f"git fetch {shlex.quote(str(mirror))} {shlex.quote(refspec)}"

    async def _hint(
        self, session: WorkSession, files: tuple[str, ...], left_out: list[str]
    ) -> str | None:
        """Point at reports in the branch, and at what is not in it.

        Who collects a file seldom wants to commit it.
        """
        kept = {artifact.name for artifact in await self._artifacts.of_session(session.id)}
        both = [name for name in files if name in kept]
        said = []
        if both:
            said.append(
                f"{', '.join(both[:_SHOWN])} in the branch was also kept as an artifact; if it is "
                "no part of the work, remove it or ignore it, and export again"
            )
        if len(files) > FILES_SHOWN:
            said.append(f"{len(files) - FILES_SHOWN} more files are in the branch")
        if left_out:
            said.append(f"{', '.join(left_out[:_SHOWN])} stayed out: a git repository of its own")
        return "; ".join(said) or None

    async def _import(self, session: WorkSession, ref: str, bundle: bytes) -> None:
        repository = await self._repository_rows.get(session.repository_id)
        mirror = self._repositories.mirror(repository)
        # A name of its own: two exports of one session may be on their way at once.
        with tempfile.NamedTemporaryFile(dir=self._trees.folder(session)) as file:
            await anyio.to_thread.run_sync(file.write, bundle)
            file.flush()
            async with self._repositories.locked(repository):
                try:
                    await mirror.import_bundle(Path(file.name), session.base, ref)
                except ToolFailed as error:
                    if "cannot lock ref" not in error.message:
                        raise
                    branch = ref.removeprefix(_own(session))
                    raise Conflict(
                        f"the branch {branch!r} cannot stand beside one that was exported before: "
                        "one name would be a folder of the other",
                        field="branch",
                    ) from error


async def _bundle(run: Run, base: str) -> bytes:
    try:
        return await export.bundle(run, base)
    except ToolFailed as error:
        if "exit_code" in error.details:
            raise
        raise ToolFailed(
            f"the commits could not be taken out: {error.message}; if large files got into them, "
            f"`git reset --soft {base[:12]}`, ignore or remove those, and try again"
        ) from error


def _own(session: WorkSession) -> str:
    """Return the prefix of a session's exports: no two sessions write to one ref."""
    return f"{OURS}/exports/{session.id}/"
