"""The steps that evidence is made of: a session is opened, a command runs in it to its end.

Each has an idempotency key made of the row's id and its own name: it is done once, however often
and by however many servers it is asked for.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio

from debug_mcp.auth.principal import Principal
from debug_mcp.errors import DebugMcpError
from debug_mcp.models.commands import Command, CommandRun, CommandState
from debug_mcp.models.evidence import EvidenceRow
from debug_mcp.models.sessions import SessionClose, SessionCreate, WorkSession
from debug_mcp.service.closing import Closing
from debug_mcp.service.commands import CommandService
from debug_mcp.service.reports import read_report
from debug_mcp.service.scheduler import Scheduler
from debug_mcp.service.sessions import SessionService
from debug_mcp.store.repositories import Repositories
from debug_mcp.testreports.model import Report

# A session that was opened for a step is there for so long, to look into what failed.
SESSION_SECONDS = 3600
_WAIT_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Ran:
    """A run to its end: its command, what its tests said, and where it was."""

    command: Command
    report: Report | None
    directory: Path


class Steps:
    """Sessions and commands of evidence."""

    def __init__(
        self,
        repositories: Repositories,
        sessions: SessionService,
        commands: CommandService,
        closing: Closing,
        scheduler: Scheduler,
    ) -> None:
        self._repositories = repositories
        self._sessions = sessions
        self._commands = commands
        self._closing = closing
        self._scheduler = scheduler

    async def open(
        self,
        principal: Principal,
        row: EvidenceRow,
        name: str,
        ref: str,
        patch: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> WorkSession:
        """Open the session of a step.

        Raises:
            NotFound: There is no such ref.
            Conflict: The patch does not apply.
        """
        repository = await self._repositories.get(row.repository_id)
        args = SessionCreate(
            repository=repository.name,
            ref=ref,
            patch=patch,
            env=dict(env or {}),
            ttl_seconds=SESSION_SECONDS,
            idempotency_key=f"{row.id}/{name}",
        )
        view = await self._sessions.create(principal, args)
        return await self._sessions.owned(principal, view.session_id)

    async def run(self, principal: Principal, row: EvidenceRow, name: str, args: CommandRun) -> Ran:
        """Run a command to its end."""
        args = args.model_copy(update={"wait_seconds": 0, "idempotency_key": f"{row.id}/{name}"})
        view = await self._commands.run(principal, args)
        command = await self._commands.owned(principal, view.command_id)
        while command.state is not CommandState.FINISHED:
            command = await self._scheduler.wait(command, _WAIT_SECONDS)
        return await self._ran(command)

    async def newest(self, principal: Principal, session_id: str) -> Ran | None:
        """Return how the newest run in a session is going; None before there is one."""
        command = await self._commands.newest(principal, session_id)
        return None if command is None else await self._ran(command)

    async def close(self, principal: Principal, session_id: str) -> None:
        """Close a session that callers know of: whatever was done in it is saved."""
        await self._closing.close(principal, SessionClose(session_id=session_id))

    async def discard(self, principal: Principal, session_id: str) -> None:
        """Close a session that only this step knew of: what its command left in it is nobody's."""
        await self._closing.discard(principal, session_id)

    async def _ran(self, command: Command) -> Ran:
        directory = self._scheduler.directory(command)
        report = await anyio.to_thread.run_sync(read_report, directory)
        return Ran(command, report, directory)


async def side_by_side(works: Sequence[Callable[[], Awaitable[None]]], lanes: int) -> None:
    """Do several things, so many at a time; after an error nothing more is begun.

    Raises:
        DebugMcpError: The first error, when what was begun has ended.
    """
    limiter = anyio.CapacityLimiter(lanes)
    wrong: list[DebugMcpError] = []

    async def one(work: Callable[[], Awaitable[None]]) -> None:
        async with limiter:
            try:
                if not wrong:
                    await work()
            except DebugMcpError as error:
                wrong.append(error)

    async with anyio.create_task_group() as tasks:
        for work in works:
            tasks.start_soon(one, work)
    if wrong:
        raise wrong[0]
