"""Git under a shim of its own, so that what takes long outlives the server that began it.

Everybody who sees a transfer under way follows it to its end, whichever server began it; the first
to hold the mirror's lock then settles it.
"""

import logging
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import anyio
from anyio.abc import TaskGroup

from debug_mcp.config import Settings
from debug_mcp.errors import DebugMcpError, ToolFailed
from debug_mcp.models.base import Report
from debug_mcp.models.repositories import Repository
from debug_mcp.runner.limits import HEARING_OF_LARGE_FILES
from debug_mcp.runner.output import tail
from debug_mcp.runner.sandbox import Confined
from debug_mcp.runner.supervisor import Exit, Job, Supervisor, is_held, read_exit
from debug_mcp.service.limits import transfer_limit_hint, transfer_limits
from debug_mcp.service.mirrors import Mirrors
from debug_mcp.store.repositories import Repositories
from debug_mcp.worktrees.connections import Connection, clone_fault
from debug_mcp.worktrees.fetches import met_file_limit

# Git tells its progress every second: one that says nothing for so long waits for nobody.
IDLE_SECONDS = 600
OUTPUT_BYTES = 16 * 1024 * 1024
GRACE_SECONDS = 5
LOOK_SECONDS = 0.25
_TAIL_BYTES = 4000
_HEARING = ("sh", "-c", f'{HEARING_OF_LARGE_FILES}exec "$@"', "sh")

# Brings what has ended to where it belongs; None when nobody saw its end. The mirror is locked.
Settle = Callable[[Repository, Exit | None], Awaitable[None]]

_log = logging.getLogger(__name__)


class Transfers:
    """Transfers of one kind, clone or fetch, at most one of each repository at a time."""

    def __init__(
        self,
        kind: str,
        store: Repositories,
        mirrors: Mirrors,
        supervisor: Supervisor,
        settings: Settings,
        tasks: TaskGroup,
    ) -> None:
        self._kind = kind
        self._store = store
        self._mirrors = mirrors
        self._supervisor = supervisor
        self._settings = settings
        self._seconds = settings.clone_seconds if kind == "clone" else settings.fetch_seconds
        self._tasks = tasks
        self._followed: dict[str, anyio.Event] = {}

    def folder(self, repository: Repository) -> Path:
        """Return where the shim keeps its files."""
        return self._mirrors.transfer_folder(repository, self._kind)

    async def begun(self, repository: Repository) -> bool:
        """Return whether one is under way, or has ended and is not settled."""
        return await self._supervisor.begun(self.folder(repository))

    async def start(self, repository: Repository, program: Confined, into: Path) -> None:
        """Start one; the mirror's lock is held, none is under way, and it has to be followed.

        Args:
            repository: Whose mirror it is.
            program: Git.
            into: The mirror's folder, which a clone makes.
        """
        limits = await anyio.to_thread.run_sync(transfer_limits, self._settings, into)
        program = replace(program, arguments=(*_HEARING, *program.arguments))
        job = Job(program, self._seconds, GRACE_SECONDS, OUTPUT_BYTES, IDLE_SECONDS, limits=limits)
        self._supervisor.start(self.folder(repository), job)

    def follow(self, repository: Repository, settle: Settle) -> None:
        """See to it that somebody here settles one, whichever server began it."""
        if repository.id not in self._followed:
            self._followed[repository.id] = anyio.Event()
            self._tasks.start_soon(self._follow, repository, settle)

    async def pause(self, repository: Repository) -> bool:
        """Wait until one that is followed here is settled, but not long; return whether it is."""
        with anyio.move_on_after(LOOK_SECONDS):
            await self._followed.get(repository.id, anyio.Event()).wait()
            return True
        return False

    async def progress(self, repository: Repository) -> tuple[int, str] | None:
        """Return how far one is, in percent and in words; None before it said anything."""

        def look() -> tuple[int, str] | None:
            # It imports GitPython, which takes 80 ms.
            from debug_mcp.worktrees.progress import last_progress  # noqa: PLC0415

            return last_progress(tail(self.folder(repository) / "output", _TAIL_BYTES).text)

        return await anyio.to_thread.run_sync(look)

    async def cancel(self, repository: Repository) -> None:
        """Ask one that is under way to end."""
        await self._supervisor.cancel(self.folder(repository))

    async def clear(self, repository: Repository) -> None:
        """Remove the shim's files."""
        folder = self.folder(repository)
        await anyio.to_thread.run_sync(lambda: shutil.rmtree(folder, ignore_errors=True))

    def fault(
        self, repository: Repository, seen: Exit, connection: Connection | None
    ) -> ToolFailed:
        """Return why one failed, with the remedy where it is known who was to log in."""
        match seen.reason:
            case "cancel":
                return ToolFailed(f"the {self._kind} was cancelled")
            case "timeout":
                return ToolFailed(f"the {self._kind} took longer than {seen.elapsed_seconds:.0f} s")
            case "idle_timeout":
                return ToolFailed(f"the {self._kind} heard nothing for {IDLE_SECONDS} s")
        text = tail(self.folder(repository) / "output", _TAIL_BYTES).text
        if seen.limit is not None or met_file_limit(text):
            name = "file_bytes" if seen.limit is None else seen.limit[0]
            why = transfer_limit_hint(self._settings, name)
            return ToolFailed(f"the {self._kind} was ended: {why}")
        said = clone_fault(text)
        error = ToolFailed(f"git {self._kind} failed: {said or seen.message or 'it said nothing'}")
        return error if connection is None else connection.explain(error)

    async def _follow(self, repository: Repository, settle: Settle) -> None:
        """Wait for the end and settle it; what cannot be now is left to the next look."""
        folder = self.folder(repository)
        try:
            while True:
                await self._supervisor.begun(folder)
                # The person's environment stands in it, and the shim has read it.
                (folder / "spec").unlink(missing_ok=True)
                await self._supervisor.wait(folder)
                async with self._mirrors.locked(repository):
                    if not is_held(folder):  # else somebody settled it, and began another
                        await settle(await self._store.get(repository.id), read_exit(folder))
                        return
        except (DebugMcpError, OSError):
            _log.warning(
                "the %s of %s cannot be settled", self._kind, repository.name, exc_info=True
            )
        finally:
            self._followed.pop(repository.id).set()


def began(seen: Exit) -> datetime:
    """Return when it began; what came to the upstream after that may be missing."""
    return seen.ended_at - timedelta(seconds=seen.elapsed_seconds)


class Teller:
    """Reports progress that goes forward."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._told = -1.0

    async def tell(self, seen: tuple[int, str] | None) -> None:
        """Report it if it is more than before."""
        if seen is not None and seen[0] > self._told:
            self._told = seen[0]
            await self._report(self._told, 100, seen[1])
