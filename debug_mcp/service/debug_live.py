"""One debug run while this server drives it: from its start to its end."""

import time
from collections.abc import Sequence
from pathlib import Path

import anyio

from debug_mcp.debuggers.breakpoints import BreakpointSet, Point
from debug_mcp.debuggers.client import AdapterGone, Refused, Unanswered
from debug_mcp.debuggers.debugger import Debugger, State
from debug_mcp.debuggers.stops import exception_of
from debug_mcp.debuggers.trace import Trace
from debug_mcp.models.commands import Command, Outcome
from debug_mcp.models.debugging import DebugRow
from debug_mcp.service.debug_programs import Plan
from debug_mcp.service.launches import Launch

IDLE_SECONDS = 15 * 60
FAILURES = (Refused, Unanswered, AdapterGone)
_LEAST_SIGNAL = 256 - 15  # SIGTERM
# An exit that a program asks for itself is no failure, whatever is watched for.
_EXITS = ("SystemExit", "builtins.SystemExit")


class LiveRun:
    """A program, its debugger, and what is remembered of both between two calls.

    ``lock`` is held while the debugger is told to do something or is looked through, but not while
    one waits: another call may pause what this one waits for.
    """

    def __init__(
        self,
        row: DebugRow,
        command: Command,
        plan: Plan,
        launch: Launch,
        directory: Path,
        tree: Path,
    ) -> None:
        self.row = row
        self.command = command
        self.plan = plan
        self.directory = directory
        self.tree = tree
        self.lock = anyio.Lock()
        self.trace = Trace()
        self.debugger = Debugger(launch.channel, self.trace.take)
        tracing = not row.asked.stop
        self.breakpoints = BreakpointSet(self.debugger, plan.places, tracing=tracing)
        self.captures: Sequence[str] = tuple(row.asked.capture)
        self.output_seen = self.output_shown = 0  # up to where; and that by the last view
        self.failure: str | None = None
        self._launch = launch
        self._declared = len(plan.points)
        self.began = time.time()
        self._patience = anyio.CancelScope(deadline=anyio.current_time() + IDLE_SECONDS)
        self.over = anyio.Event()

    @property
    def is_python(self) -> bool:
        """Whether it is a Python program."""
        return self.plan.adapter.python

    @property
    def is_test(self) -> bool:
        """Whether it is a run of pytest, which our plugin stops."""
        return self.plan.by_plugin

    @property
    def exit_code(self) -> int | None:
        """The program's exit code, 128 + n for signal n as a shell says it; None when not known.

        debugpy says -n as a byte. Of those 255 is left as it is, which programs use themselves.
        """
        code = self.debugger.exit_code
        if code is None or self._launch.outcome is Outcome.CANCELLED:
            return None
        if self.is_python and _LEAST_SIGNAL <= code < _LEAST_SIGNAL + 14:
            code -= 256
        return code if code >= 0 else 128 - code

    def use(self) -> None:
        """Note that somebody cares for it."""
        self._patience.deadline = anyio.current_time() + IDLE_SECONDS

    async def drive(self) -> None:
        """Start the program and follow it until it has ended, and its debugger with it."""
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self.debugger.serve)
                tasks.start_soon(self._leave_alone)
                await self._run()
                tasks.cancel_scope.cancel()
        finally:
            self._launch.channel.close()
            self.over.set()

    async def _run(self) -> None:
        try:
            await self.debugger.start(self.plan.start, self._place_all)
        except FAILURES as error:
            self.failure = str(error)
            # Said before the adapter is let go: its end must find out whose fault it was.
            self._launch.outcome = self._launch.outcome or Outcome.SPAWN_FAILED
        else:
            await self.debugger.ended.wait()
            self._note_end()
        await self.debugger.end()

    async def _place_all(self) -> None:
        await self.breakpoints.declare(self.plan.points, self.captures)

    def _note_end(self) -> None:
        code = self.exit_code
        if code is not None and self._launch.outcome is None:
            self._launch.exit_code = code
            self._launch.outcome = Outcome.FAILED if code else Outcome.SUCCEEDED

    async def _leave_alone(self) -> None:
        """End it when nobody has used it for long: a paused program would stand there for ever."""
        with self._patience:
            await anyio.sleep_forever()
        self.failure = f"ended: nobody used it for {IDLE_SECONDS // 60} minutes"
        await self.finish()

    async def finish(self) -> None:
        """End the program; return when that is done."""
        if self._launch.outcome is None:
            self._launch.outcome = Outcome.CANCELLED
        await self.debugger.end()

    async def settle(self, seconds: float) -> None:
        """Wait until the program stands still or has ended, at most some seconds."""
        until = anyio.current_time() + seconds
        while await self.debugger.wait(until - anyio.current_time()) is State.STOPPED:
            async with self.lock:
                if not await self._is_no_stop():
                    return
                await self.debugger.resume()

    async def _is_no_stop(self) -> bool:
        """Return whether the program stands still for a reason that nobody asked for."""
        stop = self.debugger.stop
        if stop is None:
            return False
        if not self.row.asked.stop:
            return stop.reason != "pause"
        if self.is_test:
            return False
        exception = await exception_of(self.debugger, stop)
        return exception is not None and exception[0] in _EXITS

    async def declare(self, points: Sequence[Point]) -> None:
        """Replace all breakpoints. It raises what a request to the debugger raises."""
        await self.breakpoints.declare(points, self.captures)

    def numbered(self) -> int:
        """Return the first number for further breakpoints: hits that were recorded keep theirs."""
        first = self._declared
        self._declared += 100
        return first

    async def without(self, temporary: Point) -> None:
        """Take back a breakpoint that only served once."""
        if self.debugger.state is not State.ENDED:
            await self.declare([each for each in self.breakpoints.points if each is not temporary])
