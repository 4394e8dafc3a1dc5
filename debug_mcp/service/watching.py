"""Telling listeners that something changed: when to look again, never what is new.

Changes are seen by looking, so those made by other servers on the same data directory count too. A
listener hears of one thing at most once a second, and of the end of a command at once.
"""

import contextlib
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
from anyio.abc import TaskGroup

from debug_mcp.errors import DebugMcpError
from debug_mcp.models.commands import Command, CommandState
from debug_mcp.service.scheduler import LOOK_SECONDS, Scheduler
from debug_mcp.service.streams import written_bytes
from debug_mcp.store.artifacts import Artifacts

PERIOD_SECONDS = 1.0
# A listener that does not take a word in this time misses it.
TELL_SECONDS = 1.0

Tell = Callable[[], Awaitable[None]]
Stop = Callable[[], None]

_log = logging.getLogger(__name__)


class Watching:
    """Everything that is being listened to on this server."""

    def __init__(self, artifacts: Artifacts, scheduler: Scheduler, tasks: TaskGroup) -> None:
        self._artifacts = artifacts
        self._scheduler = scheduler
        self._tasks = tasks
        self._seen = 0
        self._watches = False
        self._followers = 0
        self._listeners: dict[object, tuple[str, Tell]] = {}
        self._kept = anyio.Event()

    @property
    def listeners(self) -> int:
        """How many listen for artifacts."""
        return len(self._listeners)

    @property
    def followers(self) -> int:
        """How many follow the output of a command."""
        return self._followers

    def output(self, command: Command, tell: Tell) -> Stop:
        """Tell of a command's new output, until its end or until stopped."""
        scope = anyio.CancelScope()
        self._tasks.start_soon(self._follow, command, tell, scope)
        return scope.cancel

    async def artifacts(self, principal: str, tell: Tell) -> Stop:
        """Tell of new artifacts of a principal, until stopped."""
        newest = await self._artifacts.newest()
        listener = object()
        self._listeners[listener] = (principal, tell)
        if not self._watches:
            self._watches = True
            self._seen = newest
            self._tasks.start_soon(self._watch)

        def stop() -> None:
            self._listeners.pop(listener, None)
            self._kept.set()

        return stop

    def artifacts_kept(self) -> None:
        """Say that this server has kept some, so that nobody waits for the next look."""
        self._kept.set()

    async def _watch(self) -> None:
        while self._listeners:
            with anyio.move_on_after(LOOK_SECONDS):
                await self._kept.wait()
            self._kept = anyio.Event()
            try:
                self._seen, owners = await self._artifacts.owners_since(self._seen)
            except DebugMcpError as error:
                _log.warning("new artifacts cannot be looked for: %s", error)
                continue
            for principal, tell in list(self._listeners.values()):
                if principal in owners:
                    await _say(tell)
            if owners:
                await anyio.sleep(PERIOD_SECONDS)
        self._watches = False

    async def _follow(self, command: Command, tell: Tell, scope: anyio.CancelScope) -> None:
        directory = self._scheduler.directory(command)
        self._followers += 1
        with scope:
            seen = _written(directory)
            while command.state is not CommandState.FINISHED:
                try:
                    command = await self._scheduler.wait(command, PERIOD_SECONDS)
                except DebugMcpError as error:
                    _log.warning("command %s cannot be looked at: %s", command.id, error)
                    await anyio.sleep(LOOK_SECONDS)
                size = _written(directory)
                if size != seen or command.state is CommandState.FINISHED:
                    seen = size
                    await _say(tell)
        self._followers -= 1


async def _say(tell: Tell) -> None:
    # A client that is gone, or does not read, must not keep the word from the others.
    gone = (anyio.ClosedResourceError, anyio.BrokenResourceError)
    with anyio.move_on_after(TELL_SECONDS), contextlib.suppress(*gone):
        await tell()


def _written(directory: Path) -> int:
    try:
        return written_bytes(directory)
    except OSError:
        return 0
