"""Waiting for a command: for its end, for something in its output, or until the time is over.

A wait never ends because something was printed. While it lasts its caller is told how long it has
been, and the last line.
"""

from pathlib import Path

import anyio

from debug_mcp.errors import InvalidInput
from debug_mcp.models.base import Report
from debug_mcp.models.commands import Command, CommandWait, UntilView
from debug_mcp.runner import output
from debug_mcp.runner.patterns import Pattern
from debug_mcp.runner.plain import plain
from debug_mcp.runner.search import Hit, Watch
from debug_mcp.service.scheduler import Scheduler

REPORT_SECONDS = 1.0
# Only the size of the output is looked at this often; it is read when that has changed.
LOOK_SECONDS = 0.1
# So much time a wait takes to read what is there already, also one that does not wait.
_CATCH_UP_SECONDS = 1.0
_LAST_LINE_BYTES = 1000
_LAST_LINE_CHARACTERS = 200


def watch_for(args: CommandWait, path: Path) -> Watch | None:
    """Return what looks for ``until`` in the output from ``since`` on, if it was asked for.

    Raises:
        InvalidInput: The pattern is malformed, or means what is not there yet.
    """
    if args.until is None:
        return None
    if args.until == "failure":
        arguments = args.model_dump(exclude_defaults=True)
        raise InvalidInput(
            "until 'failure' is kept for test results, which are not read yet; the word itself is "
            "re:failure",
            field="until",
            next_call={"tool": "command_wait", "arguments": {**arguments, "until": "re:failure"}},
        )
    return Watch(path, Pattern(args.until, "until"), args.since)


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
                hit = await self._found(self._path(command), watch, ended, seconds)
            tasks.cancel_scope.cancel()
        command = await self._scheduler.wait(command, 0)
        return command, None if watch is None else _until(hit, watch, ended=ended.is_set())

    async def _end(self, command: Command, seconds: float, ended: anyio.Event) -> None:
        """Set the event if the command ends in time."""
        if (await self._scheduler.wait(command, seconds)).ended_at is not None:
            ended.set()

    async def _found(
        self, path: Path, watch: Watch, ended: anyio.Event, seconds: float
    ) -> Hit | None:
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
                while output.size(path) <= watch.size and not ended.is_set():
                    with anyio.move_on_after(LOOK_SECONDS):
                        await ended.wait()

    async def _tell(self, command: Command, report: Report) -> None:
        began = anyio.current_time()
        while True:
            await anyio.sleep(REPORT_SECONDS)
            line = await anyio.to_thread.run_sync(_last_line, self._path(command))
            await report(round(anyio.current_time() - began, 1), None, line or "no output yet")

    def _path(self, command: Command) -> Path:
        return self._scheduler.directory(command) / "output"


def _until(hit: Hit | None, watch: Watch, *, ended: bool) -> UntilView:
    if hit is not None:
        return UntilView(by="match", offset=hit.offset, text=hit.text)
    return UntilView(by="end" if ended else "limit", searched_to=watch.offset)


def _last_line(path: Path) -> str:
    shown = plain(output.tail(path, _LAST_LINE_BYTES).text).strip()
    return shown.rsplit("\n", 1)[-1][:_LAST_LINE_CHARACTERS]
