"""How a session's tree differs from a commit."""

import hashlib
from dataclasses import dataclass

from debug_mcp.auth.principal import Principal, Scope
from debug_mcp.errors import NotFound
from debug_mcp.models.looks import ChangedFileView, DiffView, SessionDiff
from debug_mcp.models.sessions import WORKSPACE, WorkSession
from debug_mcp.service.artifacts import ArtifactService, artifact_uri
from debug_mcp.service.confinement import Confinement
from debug_mcp.service.sessions import SessionService
from debug_mcp.worktrees import paths, status
from debug_mcp.worktrees.git import check_ref
from debug_mcp.worktrees.status import Change

PATCH_BYTES = 12_000
FILES_SHOWN = 100
_DIGEST_CHARACTERS = 12
_NOTHING = "nothing differs"


@dataclass(frozen=True, slots=True)
class Difference:
    """Whatever differs from a session's start: the files, and a patch that can be applied."""

    files: list[Change]
    patch: bytes


class DifferenceService:
    """Git reads the tree in its sandbox; its index is left alone."""

    def __init__(
        self, sessions: SessionService, artifacts: ArtifactService, confinement: Confinement
    ) -> None:
        self._sessions = sessions
        self._artifacts = artifacts
        self._confinement = confinement

    async def diff(self, principal: Principal, args: SessionDiff) -> DiffView:
        """Show how a session's tree differs; a large patch is kept whole as an artifact.

        Raises:
            NotFound: There is no such session of the principal's, or no such base in it.
            Conflict: The session is closed.
        """
        principal.require(Scope.SESSION_READ)
        session = await self._sessions.ready(principal, args.session_id)
        roots = (WORKSPACE, str(self._confinement.folders(session).tree))
        only = tuple(paths.relative(path, roots, "paths") for path in args.paths)
        run = self._confinement.git_in(session)
        base = session.base if args.base is None else await self._base(session, args.base)
        files = await status.compared(run, base, only)
        view = DiffView(
            session_id=session.id,
            base=base,
            lines=lines_of(files),
            files=tuple(_file(change) for change in files[:FILES_SHOWN]),
            more_files=max(len(files) - FILES_SHOWN, 0) or None,
        )
        if not files:
            return view.model_copy(update={"hint": _NOTHING})
        if args.stat_only:
            return view
        patch = await status.difference(run, base, only)
        shown = _whole_lines(patch, PATCH_BYTES)
        view = view.model_copy(update={"patch": shown.decode("utf-8", "replace")})
        if len(shown) == len(patch):
            return view
        whole = await status.difference(run, base, only, binary=True)
        same = whole.startswith(shown)
        digest = hashlib.sha256(whole).hexdigest()[:_DIGEST_CHARACTERS]
        artifact = await self._artifacts.keep_bytes(session, f"diff-{digest}.patch", whole)
        return view.model_copy(
            update={
                "omitted_bytes": len(patch) - len(shown),
                "artifact_id": artifact.id,
                "uri": artifact_uri(artifact),
                "next": {
                    "tool": "artifact_read",
                    "arguments": {"artifact_id": artifact.id, "offset": len(shown) if same else 0},
                },
            }
        )

    async def text(self, principal: Principal, session_id: str) -> bytes:
        """Return the whole patch from a session's start, for people to read.

        Raises:
            NotFound: There is no such session of the principal's.
            Conflict: It is closed.
        """
        principal.require(Scope.SESSION_READ)
        session = await self._sessions.ready(principal, session_id)
        return await status.difference(self._confinement.git_in(session), session.base)

    async def whole(self, session: WorkSession) -> Difference:
        """Return everything that differs from a session's start."""
        run = self._confinement.git_in(session)
        files = await status.compared(run, session.base, ())
        patch = await status.difference(run, session.base, binary=True) if files else b""
        return Difference(files, patch)

    async def _base(self, session: WorkSession, name: str) -> str:
        run = self._confinement.git_in(session)
        found = await status.resolve(run, name if name == "HEAD" else check_ref(name, "base"))
        if found is None:
            raise NotFound(
                f"no commit {name!r} in session {session.id}",
                field="base",
                candidates=[session.base[:12], "HEAD"],
            )
        return found


def lines_of(files: list[Change]) -> str:
    """Return ``+added -removed`` of all files together."""
    return f"+{sum(file.added or 0 for file in files)} -{sum(file.removed or 0 for file in files)}"


def _file(change: Change) -> ChangedFileView:
    binary = change.added is None
    lines = None if binary else f"+{change.added} -{change.removed}"
    return ChangedFileView(path=change.path, status=change.status, lines=lines)


def _whole_lines(patch: bytes, limit: int) -> bytes:
    if len(patch) <= limit:
        return patch
    end = patch.rfind(b"\n", 0, limit) + 1
    return patch[: end or limit]
