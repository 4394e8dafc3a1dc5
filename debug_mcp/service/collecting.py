"""What the end of a command collects, by the globs of its repository and of the call."""

import logging
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import anyio

from debug_mcp.artifacts.collect import Bounds, Collection, Files, Kept
from debug_mcp.config import Settings
from debug_mcp.errors import DebugMcpError, InvalidInput
from debug_mcp.models.artifacts import Artifact, ArtifactKind
from debug_mcp.models.base import now
from debug_mcp.models.commands import Command, Outcome
from debug_mcp.models.sessions import WORKSPACE, WorkSession
from debug_mcp.service.confinement import Confinement
from debug_mcp.service.cores import Cores
from debug_mcp.service.coverage import note_coverage
from debug_mcp.service.reports import note_results
from debug_mcp.store.commands import End
from debug_mcp.store.repositories import Repositories
from debug_mcp.store.sessions import Sessions

# Whoever waits for a command waits for this too, and so does the next one in its session.
AT_END = Bounds(files=100, total_bytes=256 << 20, entries=100_000, seconds=3)
# The clock of a file system ticks at least every hundredth of a second.
_SLACK_SECONDS = 0.05
_REPORT_ENDING = ("xml", "json", "info", "lcov", "*")

_log = logging.getLogger(__name__)


class Collecting:
    """Collects for whoever finishes a command, be it another server than the one that began it."""

    def __init__(
        self,
        sessions: Sessions,
        repositories: Repositories,
        files: Files,
        confinement: Confinement,
        settings: Settings,
        cores: Cores,
    ) -> None:
        self._sessions = sessions
        self._repositories = repositories
        self._files = files
        self._confinement = confinement
        self._settings = settings
        self._cores = cores

    async def at_end(self, command: Command, end: End, directory: Path) -> End:
        """Return the end with what it collected.

        JUnit files that it wrote become its results, coverage files its coverage.

        What the call asked for is kept in any case; of what its repository asks for, only what
        changed while the command ran. A fault in collecting is never one of the command.
        """
        if end.outcome is Outcome.SPAWN_FAILED:
            return end
        try:
            session = await self._sessions.get(command.session_id)
            repository = await self._repositories.get(session.repository_id)
            globs = (command.request.artifacts, repository.artifacts)
            if not any(globs):
                return end
            found, fresh = await self._collect(session, *globs, since=_began(end))
            await self._cores.take(session, directory, found, _began(end))
            if command.request.report:
                await anyio.to_thread.run_sync(self._note_results, directory, found, fresh)
        except (OSError, DebugMcpError) as error:  # its session is gone, or the disk is full
            _log.warning("the artifacts of %s were not collected: %s", command.id, error)
            found = ()
        return replace(end, collected=noted(session, found))

    async def _collect(
        self, session: WorkSession, asked: Sequence[str], standing: Sequence[str], since: float
    ) -> tuple[tuple[Kept, ...], frozenset[str]]:
        """Return what was kept, and the names of those files that changed since a time."""
        tree = self._confinement.folders(session).tree
        stop = threading.Event()

        def collect(globs: Sequence[str], since: float) -> Collection:
            relative = [_inside(glob, tree) for glob in globs]
            limit = self._settings.artifact_bytes
            return self._files.collect(
                tree, relative, limit, AT_END, since=since, given_up=stop.is_set
            )

        def both() -> tuple[tuple[Kept, ...], frozenset[str]]:
            changed = list(collect(standing, since).kept) if standing else []
            reports = [glob for glob in asked if glob.endswith(_REPORT_ENDING)]
            changed += collect(reports, since).kept if reports else []
            found = [*(collect(asked, 0).kept if asked else ()), *changed]
            fresh = frozenset(kept.name for kept in changed)
            return tuple({kept.name: kept for kept in found}.values()), fresh

        try:
            return await anyio.to_thread.run_sync(both, abandon_on_cancel=True)
        finally:
            stop.set()

    def _note_results(self, directory: Path, found: Sequence[Kept], fresh: frozenset[str]) -> None:
        """A report that was there before says nothing of this command."""

        def fresh_ones(kind: ArtifactKind) -> list[Path]:
            named = [kept for kept in found if kept.kind is kind and kept.name in fresh]
            return [self._files.path(kept.sha256) for kept in named]

        note_results(directory, fresh_ones(ArtifactKind.JUNIT))
        note_coverage(directory, fresh_ones(ArtifactKind.COVERAGE))


def noted(session: WorkSession, found: Sequence[Kept]) -> tuple[Artifact, ...]:
    """Return kept files as artifacts of a session, still without an id."""
    return tuple(
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
    )


def relative(glob: str, tree: Path, field: str) -> str:
    """Return a glob relative to the tree's root; models write the whole path as they see it.

    Raises:
        InvalidInput: It leads out of the tree.
    """
    glob = _inside(glob, tree)
    if glob.startswith(("/", "~")) or ".." in glob.split("/"):
        raise InvalidInput(
            f"{glob!r} leads out of the tree; only files in it can be kept, so copy others there",
            field=field,
        )
    return glob


def _inside(glob: str, tree: Path) -> str:
    for root in (WORKSPACE, str(tree)):
        if glob.startswith(f"{root}/"):
            return glob[len(root) + 1 :]
    return glob


def _began(end: End) -> float:
    return end.ended_at.timestamp() - (end.elapsed_seconds or 0) - _SLACK_SECONDS
