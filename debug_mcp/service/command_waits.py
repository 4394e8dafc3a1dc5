"""Waiting for a command: for its end, for something in its output, or until the time is over.

A wait never ends because something was printed. While it lasts its caller is told how long it has
been, and the last line.
"""

from pathlib import Path
from typing import Literal

import anyio

from debug_mcp.models.base import Report
from debug_mcp.models.commands import Command, UntilView
from debug_mcp.runner import output
from debug_mcp.runner.plain import plain
from debug_mcp.service.scheduler import Scheduler
from debug_mcp.service.streams import newest_stream
from debug_mcp.service.watches import Watch

REPORT_SECONDS = 1.0
# Only the size of the output, or new results, are looked at this often.
LOOK_SECONDS = 0.1
# So much time a wait takes to read what is there already, also one that does not wait.
_CATCH_UP_SECONDS = 1.0
_LAST_LINE_BYTES = 1000
_LAST_LINE_CHARACTERS = 200


class CommandWaits:
    """Waits that tell of progress."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    async def wait(
        self, command: Command, seconds: float, report: Report, watch: Watch | None = None
    ) -> tuple[Command, UntilView | None]:
        """Return the command as it is then, and with a watch how the wait ended."""
        ended, hit = anyio.Event(), None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._tell, command, report)
            if watch is None:
                await self._scheduler.wait(command, seconds)
            else:
                tasks.start_soon(self._end, command, seconds, ended)
                hit = await self._found(watch, ended, seconds)
            tasks.cancel_scope.cancel()
        command = await self._scheduler.wait(command, 0)
        if watch is None or hit is not None:
            return command, hit
        by: Literal["end", "limit"] = "end" if ended.is_set() else "limit"
        return command, UntilView(by=by, searched_to=watch.searched_to)

    async def _end(self, command: Command, seconds: float, ended: anyio.Event) -> None:
        """Set the event if the command ends in time."""
        if (await self._scheduler.wait(command, seconds)).ended_at is not None:
            ended.set()

    async def _found(self, watch: Watch, ended: anyio.Event, seconds: float) -> UntilView | None:
        began = anyio.current_time()
        deadline, patience = began + seconds, began + max(seconds, _CATCH_UP_SECONDS)
        while True:
            over = ended.is_set() or anyio.current_time() >= deadline
            hit, more = await anyio.to_thread.run_sync(watch.look)
            if hit is not None:
                return hit
            if more and anyio.current_time() < patience:
                continue
            if over:
                return None
            with anyio.move_on_at(deadline):
                while not ended.is_set():
                    with anyio.move_on_after(LOOK_SECONDS):
                        await ended.wait()
                    if watch.grown():
                        break

    async def _tell(self, command: Command, report: Report) -> None:
        began = anyio.current_time()
        while True:
            await anyio.sleep(REPORT_SECONDS)
            directory = self._scheduler.directory(command)
            line = await anyio.to_thread.run_sync(_last_line, directory)
            await report(round(anyio.current_time() - began, 1), None, line or "no output yet")


def _last_line(directory: Path) -> str:
    path = newest_stream(directory)
    shown = plain(output.tail(path, _LAST_LINE_BYTES).text).strip()
    return shown.rsplit("\n", 1)[-1][:_LAST_LINE_CHARACTERS]
