"""Artifacts: collecting them from a session, and handing them out."""

import base64
import contextlib
from collections.abc import Callable
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
    CollectedView,
    RefusedView,
)
from debug_mcp.models.commands import Command, CommandView
from debug_mcp.models.sessions import SessionState, WorkSession
from debug_mcp.runner import output
from debug_mcp.service.collecting import noted, relative
from debug_mcp.service.confinement import Confinement
from debug_mcp.service.sessions import SessionService
from debug_mcp.store.artifacts import Artifacts

REFUSED_SHOWN = 20
LISTED = 100
CANDIDATES = 20
COLLECTED_SHOWN = 10
NOTHING_KEPT = "no file was kept: artifact_list with the globs in collect says why"
_CHARACTER_BYTES = 4  # of the longest in UTF-8


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes ``start`` to ``end`` of an artifact; as text too where they are one."""

    artifact: Artifact
    start: int
    end: int
    data: bytes
    text: str | None


class ArtifactService:
    """An artifact outlives its session and never changes: a new content is a new artifact."""

    def __init__(
        self,
        store: Artifacts,
        files: Files,
        sessions: SessionService,
        confinement: Confinement,
        settings: Settings,
        kept: Callable[[], None],
    ) -> None:
        self._kept = kept
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
            globs = [relative(glob, tree, "collect") for glob in args.collect]
            found = await anyio.to_thread.run_sync(
                self._files.collect, tree, globs, self._settings.artifact_bytes
            )
            await self.keep(session, found.kept)
            refused = tuple(RefusedView(name=name, why=why) for name, why in found.refused)
            truncated = found.truncated
            if len(refused) > REFUSED_SHOWN:
                hint = f"{len(refused) - REFUSED_SHOWN} more files were refused"
            if not found.kept and not refused:
                hint = f"nothing in the tree matches {', '.join(args.collect)}"
        artifacts = await self._store.of_session(session.id)
        if not artifacts and not args.collect and session.state is SessionState.READY:
            hint = "nothing was collected yet: name globs in collect, such as ['build/**/*.xml']"
        if len(artifacts) > LISTED:
            hint = f"the newest {LISTED} of {len(artifacts)}; resources/list has all of them"
        return ArtifactsView(
            session_id=session.id,
            artifacts=[artifact_view(artifact) for artifact in artifacts[-LISTED:]],
            refused=refused[:REFUSED_SHOWN],
            truncated=truncated,
            hint=hint,
        )

    async def keep(self, session: WorkSession, found: tuple[Kept, ...]) -> list[Artifact]:
        """Note files that are in the store as the session's."""
        artifacts = await self._store.keep(noted(session, found))
        self._kept()
        return artifacts

    async def keep_bytes(self, session: WorkSession, name: str, data: bytes) -> Artifact:
        """Keep what the server itself made of a session."""
        kept = await anyio.to_thread.run_sync(self._files.keep_bytes, name, data)
        return (await self.keep(session, (kept,)))[0]

    async def keep_file(self, session: WorkSession, name: str, path: Path) -> Artifact:
        """Keep a file that the server itself made of a session."""
        kept = await anyio.to_thread.run_sync(self._files.keep_file, name, path)
        return (await self.keep(session, (kept,)))[0]

    def path(self, artifact: Artifact) -> Path:
        """Return where the person at this machine finds an artifact's content."""
        return self._files.path(artifact.sha256)

    async def read(self, principal: Principal, args: ArtifactRead) -> ArtifactPage:
        """Return a part of an artifact: text where it is UTF-8, else base64.

        Raises:
            NotFound: There is no such artifact of the principal's.
        """
        part = await self.part(principal, args.artifact_id, args.offset, args.length)
        artifact = part.artifact
        return ArtifactPage(
            artifact_id=artifact.id,
            name=artifact.name,
            kind=artifact.kind,
            total_bytes=artifact.size,
            offset=part.start,
            text=part.text,
            base64=None if part.text is not None else base64.b64encode(part.data).decode("ascii"),
            next_offset=part.end if part.end < artifact.size else None,
        )

    async def part(self, principal: Principal, artifact_id: str, offset: int, length: int) -> Part:
        """Return about ``length`` bytes of an artifact, of a text whole characters.

        Raises:
            NotFound: There is no such artifact of the principal's.
        """
        artifact = await self.owned(principal, artifact_id)
        path = self._files.path(artifact.sha256)
        return await anyio.to_thread.run_sync(_part, artifact, path, offset, length)

    async def file(self, principal: Principal, artifact_id: str) -> tuple[Artifact, Path]:
        """Return an artifact and where its content is.

        Raises:
            NotFound: There is no such artifact of the principal's.
        """
        artifact = await self.owned(principal, artifact_id)
        return artifact, self._files.path(artifact.sha256)

    async def page(self, principal: Principal, after: str | None, limit: int) -> list[Artifact]:
        """Return some of the principal's artifacts, newest first, from the one after an id on.

        Raises:
            NotFound: There is no such artifact of the principal's to go on from.
        """
        principal.require(Scope.ARTIFACT_READ)
        if after is not None:
            await self.owned(principal, after)
        return await self._store.page(principal.owner, after, limit)

    async def owned(self, principal: Principal, artifact_id: str) -> Artifact:
        """Return the principal's artifact.

        Raises:
            NotFound: There is none of this id; the candidates are the newest.
        """
        principal.require(Scope.ARTIFACT_READ)
        artifact = await self._store.owned(artifact_id, principal.owner)
        if artifact is None:
            newest = await self._store.page(principal.owner, None, CANDIDATES)
            raise NotFound(
                f"no artifact {artifact_id!r} of yours",
                field="artifact_id",
                candidates=[known.id for known in newest],
            )
        return artifact


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


def collected_view(artifact: Artifact) -> CollectedView:
    """Return an artifact as the view of the command names it whose end collected it."""
    return CollectedView(
        artifact_id=artifact.id,
        name=artifact.name,
        size=artifact.size,
        uri=artifact_uri(artifact),
    )


async def with_collected(view: CommandView, command: Command, store: Artifacts) -> CommandView:
    """Return a command's view with what its end collected, or why that is nothing."""
    if command.collected is None:
        return view
    if command.collected == 0:
        missed = command.request.artifacts and view.hint is None
        return view.model_copy(update={"hint": NOTHING_KEPT}) if missed else view
    kept = await store.of_command(command.id, COLLECTED_SHOWN)
    return view.model_copy(
        update={
            "artifacts": tuple(collected_view(artifact) for artifact in kept),
            "more_artifacts": max(command.collected - len(kept), 0) or None,
        }
    )


def artifact_uri(artifact: Artifact) -> str:
    """Return the URI under which an artifact is a resource."""
    return f"artifact://{artifact.id}/{quote(artifact.name)}"


def _part(artifact: Artifact, path: Path, offset: int, length: int) -> Part:
    start, length = min(offset, artifact.size), max(length, _CHARACTER_BYTES)
    if artifact.is_text:
        page = output.read(path, start, length)
        data = _bytes(path, page.start, page.end - page.start)
        with contextlib.suppress(UnicodeDecodeError):
            return Part(artifact, page.start, page.end, data, data.decode("utf-8"))
    data = _bytes(path, start, length)
    return Part(artifact, start, start + len(data), data, None)


def _bytes(path: Path, offset: int, length: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(length)
