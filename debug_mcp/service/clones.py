"""Clones: git under a shim of its own, so that one outlives the server that began it.

A clone is made beside the mirror's place and moved there, so a mirror is whole or not there.
Everybody who sees a repository that is being cloned follows it to its end, whichever server began
it; the first to hold the mirror's lock then settles it. What nobody can see the end of has failed,
and the next call for it begins again.
"""

import logging
import shutil
from datetime import timedelta
from pathlib import Path

import anyio
from anyio.abc import TaskGroup

from debug_mcp.errors import Conflict, DebugMcpError, ToolFailed
from debug_mcp.models.base import Report, now, silent
from debug_mcp.models.repositories import Repository, RepositoryState
from debug_mcp.runner.output import tail
from debug_mcp.runner.supervisor import Exit, Job, Supervisor, has_begun
from debug_mcp.service.connections import Connections, confined
from debug_mcp.service.mirrors import Mirrors
from debug_mcp.store.repositories import Repositories
from debug_mcp.worktrees.connections import Connection, clone_fault

CLONE_SECONDS = 6 * 3600
OUTPUT_BYTES = 16 * 1024 * 1024
GRACE_SECONDS = 5
LOOK_SECONDS = 0.25
# A row is there before its shim: so long nobody else takes it for given up.
_BEGIN = timedelta(seconds=60)
_TAIL_BYTES = 4000
_UNFINISHED = "the clone was interrupted, by the machine or by somebody: send the call again"

_CLONING = RepositoryState.CLONING

_log = logging.getLogger(__name__)


class Clones:
    """Begins clones, follows them, and settles what they made."""

    def __init__(
        self,
        store: Repositories,
        mirrors: Mirrors,
        connections: Connections,
        supervisor: Supervisor,
        tasks: TaskGroup,
    ) -> None:
        self._store = store
        self._mirrors = mirrors
        self._connections = connections
        self._supervisor = supervisor
        self._tasks = tasks
        self._followed: dict[str, anyio.Event] = {}

    async def begin(self, repository: Repository, connection: Connection) -> None:
        """Start a clone, unless one is under way or was made: then that one is followed.

        Raises:
            Busy: The mirror is taken for too long.
            Conflict: There was a mirror, and somebody took it away.
        """
        folder = self._mirrors.clone_folder(repository)
        # Shielded: what has started must be followed.
        with anyio.CancelScope(shield=True):
            async with self._mirrors.locked(repository):
                state = (await self._store.get(repository.id)).state
                begun = state is _CLONING and has_begun(folder)
                if not begun and not self._mirrors.mirror(repository).path.exists():
                    await self._start(repository, state, connection)
            self.follow(repository, connection)

    async def _start(
        self, repository: Repository, state: RepositoryState, connection: Connection
    ) -> None:
        await self._clear(repository)
        if state is not _CLONING and not await self._store.advance(repository.id, _CLONING):
            raise Conflict(
                f"the mirror of {repository.name} is gone from the data directory",
                field="repository",
                next_call={"tool": "repository_remove", "arguments": {"name": repository.name}},
            )
        folder = self._mirrors.clone_folder(repository)
        self._supervisor.start(folder, self._job(repository, connection))

    async def wait(
        self, repository: Repository, seconds: float, report: Report = silent
    ) -> Repository:
        """Return the repository once its clone has ended, or as it is after some seconds."""
        told = -1.0
        with anyio.move_on_after(seconds):
            while (repository := await self._store.get(repository.id)).state is _CLONING:
                with anyio.move_on_after(LOOK_SECONDS):
                    await self._followed.get(repository.id, anyio.Event()).wait()
                    continue
                seen = await self.progress(repository)
                if seen is not None and seen[0] > told:
                    told = seen[0]
                    await report(told, 100, seen[1])
        return await self._store.get(repository.id)

    async def progress(self, repository: Repository) -> tuple[int, str] | None:
        """Return how far a clone is, in percent and in words; None before it said anything."""

        def look() -> tuple[int, str] | None:
            # It imports GitPython, which takes 80 ms.
            from debug_mcp.worktrees.progress import last_progress  # noqa: PLC0415

            page = tail(self._mirrors.clone_folder(repository) / "output", _TAIL_BYTES)
            return last_progress(page.text)

        return await anyio.to_thread.run_sync(look)

    async def cancel(self, repository: Repository) -> None:
        """End a clone that is under way, and wait until that is noted."""
        await self._supervisor.cancel(self._mirrors.clone_folder(repository))
        self.follow(repository)
        await self.wait(repository, GRACE_SECONDS * 4)

    def follow(self, repository: Repository, connection: Connection | None = None) -> None:
        """See to it that somebody here settles a clone, whichever server began it."""
        if repository.id not in self._followed:
            self._followed[repository.id] = anyio.Event()
            self._tasks.start_soon(self._follow, repository, connection)

    async def _follow(self, repository: Repository, connection: Connection | None) -> None:
        """Wait for a clone's end and settle it; what cannot be now is left to the next look."""
        folder = self._mirrors.clone_folder(repository)
        try:
            with anyio.move_on_after(GRACE_SECONDS):
                # Written by another process: look.
                while has_begun(folder) and not (folder / "state").exists():  # noqa: ASYNC110
                    await anyio.sleep(0.005)
            # The person's environment stands in it, and the shim has read it.
            (folder / "spec").unlink(missing_ok=True)
            seen = await self._supervisor.wait(folder)
            async with self._mirrors.locked(repository):
                await self._settle(await self._store.get(repository.id), seen, connection)
        except (DebugMcpError, OSError):
            _log.warning("the clone of %s cannot be settled", repository.name, exc_info=True)
        finally:
            self._followed.pop(repository.id).set()

    async def _settle(
        self, repository: Repository, seen: Exit | None, connection: Connection | None
    ) -> None:
        """Bring a clone that has ended to where it belongs; the mirror's lock is held."""
        if repository.state is not _CLONING:
            return  # another server was first
        folder = self._mirrors.clone_folder(repository)
        mirror = self._mirrors.mirror(repository)
        unfinished = self._mirrors.unfinished(repository)
        try:
            if mirror.path.exists():
                head = await mirror.head()
            elif seen is None:
                if not folder.exists() and now() - repository.created_at < _BEGIN:
                    return
                raise ToolFailed(_UNFINISHED)
            elif seen.reason != "exit" or seen.code != 0:
                raise _fault(folder, seen, connection)
            else:
                head = await unfinished.settle(repository.depth)
                await anyio.Path(unfinished.path).rename(mirror.path)
        except DebugMcpError as error:
            await self._store.advance(repository.id, RepositoryState.FAILED, error=error.message)
        else:
            # What came to the upstream after it was asked may be missing.
            began = repository.created_at
            if seen is not None:
                began = seen.ended_at - timedelta(seconds=seen.elapsed_seconds)
            await self._store.synced(repository.id, head, began)
        await self._clear(repository)

    async def _clear(self, repository: Repository) -> None:
        """Remove what a clone left; its mirror is not touched."""

        def remove() -> None:
            shutil.rmtree(self._mirrors.clone_folder(repository), ignore_errors=True)
            shutil.rmtree(self._mirrors.unfinished(repository).path, ignore_errors=True)

        await anyio.to_thread.run_sync(remove)

    def _job(self, repository: Repository, connection: Connection) -> Job:
        call = self._mirrors.unfinished(repository).clone_call(connection, repository.depth)
        return Job(
            confined(connection, call),
            timeout=CLONE_SECONDS,
            grace=GRACE_SECONDS,
            output_limit=OUTPUT_BYTES,
        )


def _fault(folder: Path, seen: Exit, connection: Connection | None) -> ToolFailed:
    match seen.reason:
        case "cancel":
            return ToolFailed("the clone was cancelled")
        case "timeout":
            return ToolFailed(f"the clone took longer than {CLONE_SECONDS} s")
    said = clone_fault(tail(folder / "output", _TAIL_BYTES).text) or seen.message
    error = ToolFailed(f"git clone failed: {said or 'it did not say why'}")
    return error if connection is None else connection.explain(error)
