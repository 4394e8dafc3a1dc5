"""Where a command hangs or crashed: its stacks while it runs, or as they were in the end."""

from pathlib import Path

import anyio

from debug_mcp.auth.principal import Principal, Scope
from debug_mcp.errors import Conflict, NextCall
from debug_mcp.models.commands import Command, CommandState
from debug_mcp.models.postmortems import DebugPostmortem, LastLook, PostmortemView
from debug_mcp.service.commands import CommandService
from debug_mcp.service.last_looks import read_look
from debug_mcp.service.looks import Looks
from debug_mcp.service.reports import read_report
from debug_mcp.service.scheduler import Scheduler
from debug_mcp.store.sessions import Sessions


class PostmortemService:
    """Shows where commands hang."""

    def __init__(
        self, commands: CommandService, scheduler: Scheduler, looks: Looks, sessions: Sessions
    ) -> None:
        self._commands = commands
        self._scheduler = scheduler
        self._looks = looks
        self._sessions = sessions

    async def show(self, principal: Principal, args: DebugPostmortem) -> PostmortemView:
        """Show the stacks of a command that runs, or the last of one that hung or crashed.

        Raises:
            NotFound: There is no such command of the principal's.
            Conflict: It has not begun, or has ended and nobody looked before.
        """
        principal.require(Scope.DEBUG_CONTROL)
        command = await self._commands.owned(principal, args.command_id)
        directory = self._scheduler.directory(command)
        running = command.state in (CommandState.STARTING, CommandState.RUNNING)
        if running:
            session = await self._sessions.get(command.session_id)
            seen: LastLook | None = await self._looks.at(session, directory, native=True)
        else:
            seen = await anyio.to_thread.run_sync(read_look, directory)
        if seen is None or not seen.processes:
            raise _nothing_to_see(command)
        next_call = await anyio.to_thread.run_sync(_next, command, directory, seen)
        return PostmortemView(
            command_id=command.id,
            state=command.state,
            looked_at=None if running else seen.looked_at,
            processes=seen.processes,
            more_processes=seen.more_processes,
            hint=None if running else _as_it_stood(seen),
            next=next_call,
        )


def _as_it_stood(seen: LastLook) -> str:
    if seen.core is None:
        return "as it stood shortly before its time was over"
    return f"as it stood when it crashed; its core file is the artifact {seen.core}"


def _nothing_to_see(command: Command) -> Conflict:
    if command.state is not CommandState.FINISHED:
        return Conflict(f"{command.id} is {command.state}: nothing of it runs yet")
    return Conflict(
        f"{command.id} has ended ({command.outcome}), and nobody looked at it before: that is done "
        "while it runs, and by itself shortly before a Python program's time is over, and at a "
        'crash with artifacts: ["core*"]',
        field="command_id",
    )


def _next(command: Command, directory: Path, seen: LastLook) -> NextCall | None:
    """Return the call that stops where it hangs; where that is not known, what to do with it."""
    report = read_report(directory)
    at = next((t.at for p in seen.processes for t in p.threads if t.at is not None), None)
    if report is not None and report.current is not None and at is not None:
        asked: dict[str, object] = {
            "session_id": command.session_id,
            "test": report.current,
            "breakpoints": [at],
        }
        return {"tool": "debug_run", "arguments": asked}
    if command.state is CommandState.FINISHED:
        return None
    return {"tool": "command_wait", "arguments": {"command_id": command.id}}
