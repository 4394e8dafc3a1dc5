"""Artifacts: collecting them from a session, and handing them out."""

import base64
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import anyio

from debug_mcp.artifacts.collect import Files, Kept
from debug_mcp.auth.principal import Principal, Scope
from debug_mcp.config import Settings
from debug_mcp.errors import NotFound
from debug_mcp.models.artifacts import (
    Artifact,
    ArtifactList,
    ArtifactPage,
    ArtifactRead,
    ArtifactsView,
    ArtifactView,
    RefusedView,
)
from debug_mcp.models.base import now
from debug_mcp.models.sessions import SessionState, WorkSession
from debug_mcp.runner import output
from debug_mcp.service.confinement import Confinement
from debug_mcp.service.sessions import SessionService
from debug_mcp.store.artifacts import Artifacts

REFUSED_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Content:
    """An artifact and where its bytes are."""

    artifact: Artifact
    path: Path


class ArtifactService:
    """An artifact outlives its session and never changes: a new content is a new artifact."""

    def __init__(
        self,
        store: Artifacts,
        files: Files,
        sessions: SessionService,
        confinement: Confinement,
        settings: Settings,
    ) -> None:
        self._store = store
        self._files = files
        self._sessions = sessions
        self._confinement = confinement
        self._settings = settings

    async def listing(self, principal: Principal, args: ArtifactList) -> ArtifactsView:
        """Return a session's artifacts, after collecting those that match a glob.

        Raises:
            NotFound: There is no such session of the principal's.
            Conflict: Something is to be collected and the session is closed.
        """
        principal.require(Scope.ARTIFACT_READ)
        session = await self._sessions.owned(principal, args.session_id)
        refused: tuple[RefusedView, ...] = ()
        truncated = hint = None
        if args.collect:
            await self._sessions.ready(principal, args.session_id)
            tree = self._confinement.folders(session).tree
            found = await anyio.to_thread.run_sync(
                self._files.collect, tree, args.collect, self._settings.artifact_bytes
            )
            await self.keep(session, found.kept)
            refused = tuple(RefusedView(name=name, why=why) for name, why in found.refused)
            truncated = found.truncated
            if not found.kept and not refused:
                hint = f"nothing in the tree matches {', '.join(args.collect)}"
        artifacts = await self._store.of_session(session.id)
        if not artifacts and not args.collect and session.state is SessionState.READY:
            hint = "nothing was collected yet: name globs in collect, such as ['build/**/*.xml']"
        return ArtifactsView(
            session_id=session.id,
            artifacts=[artifact_view(artifact) for artifact in artifacts],
            refused=refused[:REFUSED_SHOWN],
            truncated=truncated,
            hint=hint,
        )

    async def keep(self, session: WorkSession, found: tuple[Kept, ...]) -> list[Artifact]:
        """Note files that are in the store as the session's."""
        return await self._store.keep(
            [
                Artifact(
                    id="",
                    session_id=session.id,
                    principal=session.principal,
                    name=kept.name,
                    kind=kept.kind,
                    media_type=kept.media_type,
                    size=kept.size,
                    sha256=kept.sha256,
                    created_at=now(),
                )
                for kept in found
            ]
        )

    async def keep_bytes(self, session: WorkSession, name: str, data: bytes) -> Artifact:
        """Keep what the server itself made of a session."""
        kept = await anyio.to_thread.run_sync(self._files.keep_bytes, name, data)
        return (await self.keep(session, (kept,)))[0]

    async def read(self, principal: Principal, args: ArtifactRead) -> ArtifactPage:
        """Return a part of an artifact: text where it is UTF-8, else base64.

        Raises:
            NotFound: There is no such artifact of the principal's.
        """
        content = await self.content(principal, args.artifact_id)
        artifact = content.artifact
        if artifact.media_type.startswith("text/"):
            page = await anyio.to_thread.run_sync(
                output.read, content.path, args.offset, args.length
            )
            start, end, text, encoded = page.start, page.end, page.text, None
        else:
            data = await anyio.to_thread.run_sync(
                read_bytes, content.path, args.offset, args.length
            )
            start, end = args.offset, args.offset + len(data)
            text, encoded = None, base64.b64encode(data).decode("ascii")
        return ArtifactPage(
            artifact_id=artifact.id,
            name=artifact.name,
            kind=artifact.kind,
            total_bytes=artifact.size,
            offset=start,
            text=text,
            base64=encoded,
            next_offset=end if end < artifact.size else None,
        )

    async def content(self, principal: Principal, artifact_id: str) -> Content:
        """Return an artifact and where its bytes are.

        Raises:
            NotFound: There is no such artifact of the principal's.
        """
        principal.require(Scope.ARTIFACT_READ)
        artifact = await self._store.owned(artifact_id, principal.name)
        if artifact is None:
            raise NotFound(f"no artifact {artifact_id!r} of yours", field="artifact_id")
        return Content(artifact, self._files.path(artifact.sha256))

    async def page(self, principal: Principal, after: str | None, limit: int) -> list[Artifact]:
        """Return some of the principal's artifacts, newest first."""
        principal.require(Scope.ARTIFACT_READ)
        return await self._store.page(principal.name, after, limit)


def artifact_view(artifact: Artifact) -> ArtifactView:
    """Return an artifact as a caller sees it."""
    return ArtifactView(
        artifact_id=artifact.id,
        name=artifact.name,
        kind=artifact.kind,
        media_type=artifact.media_type,
        size=artifact.size,
        sha256=artifact.sha256,
        uri=artifact_uri(artifact),
    )


def artifact_uri(artifact: Artifact) -> str:
    """Return the URI under which an artifact is a resource."""
    return f"artifact://{artifact.id}/{quote(artifact.name)}"


def read_bytes(path: Path, offset: int, length: int) -> bytes:
    """Return a range of a file."""
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(length)
