"""Giving a session's work to the person: a branch to fetch, a file, a branch of the upstream."""

import shlex
import tempfile
from pathlib import Path

from debug_mcp.auth.principal import LOCAL, Principal, Scope
from debug_mcp.errors import Conflict, InvalidInput
from debug_mcp.models.artifacts import Artifact
from debug_mcp.models.sessions import ExportView, SessionExport, WorkSession
from debug_mcp.service.artifacts import ArtifactService, artifact_uri
from debug_mcp.service.differences import DifferenceService, lines_of
from debug_mcp.service.exports import EVERYTHING, FILES_SHOWN, ExportService, own
from debug_mcp.service.repositories import RepositoryService
from debug_mcp.service.sessions import SessionService
from debug_mcp.service.trees import Trees
from debug_mcp.store.repositories import Repositories
from debug_mcp.worktrees import handover
from debug_mcp.worktrees.git import check_ref


class HandoverService:
    """What ``session_export`` does, in each of its forms."""

    def __init__(
        self,
        rows: Repositories,
        repositories: RepositoryService,
        sessions: SessionService,
        trees: Trees,
        exports: ExportService,
        differences: DifferenceService,
        artifacts: ArtifactService,
    ) -> None:
        self._rows = rows
        self._repositories = repositories
        self._sessions = sessions
        self._trees = trees
        self._exports = exports
        self._differences = differences
        self._artifacts = artifacts

    async def export(self, principal: Principal, args: SessionExport) -> ExportView:
        """Commit everything in a session and hand it over; a patch needs no commit.

        Raises:
            NotFound: There is no such session of the principal's.
            Conflict: There is nothing to export, or the upstream has the branch to be made.
            InvalidInput: A patch cannot be pushed.
            PermissionDenied: The principal may not push.
            ToolFailed: The upstream refuses the branch.
        """
        principal.require(Scope.SESSION_WRITE)
        if args.push:
            principal.require(Scope.REPOSITORY_PUSH)
        session = await self._sessions.ready(principal, args.session_id)
        branch = check_ref(args.branch or f"debug-mcp/{session.id}", "branch")
        branch = branch.removeprefix("refs/heads/")
        if args.kind == "patch":
            return await self._patch(principal, session, args)
        message = (args.message or "").replace("\0", "").strip()
        exported = await self._exports.save(session, branch, message or EVERYTHING)
        if exported is None:
            raise _nothing(session)
        if args.kind == "bundle":
            exported = await self._bundle(principal, session, exported, branch)
        if args.push:
            exported = await self._pushed(principal, session, exported, branch)
        return exported

    async def _patch(
        self, principal: Principal, session: WorkSession, args: SessionExport
    ) -> ExportView:
        if args.push:
            raise InvalidInput(
                "a patch cannot be pushed: leave out push, or export as branch",
                field="push",
                next_call={
                    "tool": "session_export",
                    "arguments": {"session_id": session.id, "as": "branch", "push": True},
                },
            )
        found = await self._differences.whole(session)
        if not found.files:
            raise _nothing(session)
        artifact = await self._artifacts.keep_bytes(session, f"{session.id}.patch", found.patch)
        return ExportView(
            session_id=session.id,
            base=session.base,
            files=tuple(change.path for change in found.files[:FILES_SHOWN]),
            lines=lines_of(found.files),
            **self._kept(principal, artifact, "git apply {}"),
        )

    async def _bundle(
        self, principal: Principal, session: WorkSession, exported: ExportView, branch: str
    ) -> ExportView:
        mirror = self._repositories.mirror(await self._rows.get(session.repository_id))
        ref = f"{own(session)}{branch}"
        with tempfile.TemporaryDirectory(dir=self._trees.folder(session)) as folder:
            target = Path(folder, "bundle")
            await handover.bundle(mirror, ref, session.base, target)
            artifact = await self._artifacts.keep_file(session, f"{session.id}.bundle", target)
        line = f"git fetch {{}} {shlex.quote(f'{ref}:refs/heads/{branch}')}"
        return exported.model_copy(update={"fetch": None, **self._kept(principal, artifact, line)})

    async def _pushed(
        self, principal: Principal, session: WorkSession, exported: ExportView, branch: str
    ) -> ExportView:
        repository = await self._rows.get(session.repository_id)
        await self._repositories.push(principal, repository, f"{own(session)}{branch}", branch)
        return exported.model_copy(update={"pushed": f"{branch} of {repository.url}"})

    def _kept(self, principal: Principal, artifact: Artifact, line: str) -> dict[str, object]:
        """Return the facts about an artifact; the person at this machine has its file at hand."""
        facts: dict[str, object] = {
            "artifact_id": artifact.id,
            "uri": artifact_uri(artifact),
        }
        if principal.name == LOCAL.name:
            return {**facts, "apply": line.format(shlex.quote(str(self._artifacts.path(artifact))))}
        file = shlex.quote(artifact.name)
        return {
            **facts,
            "apply": line.format(file),
            "hint": f"download it as {artifact.name} first",
        }


def _nothing(session: WorkSession) -> Conflict:
    return Conflict(
        f"session {session.id} has no work to export: nothing differs from {session.base[:12]}",
        field="session_id",
    )
