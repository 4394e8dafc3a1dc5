"""Following a command: its output from a byte offset on, and its states, as they come.

The reader asks for each part, and nothing is read ahead: a slow one holds no memory, and the
command goes on without it, since its output is a file.
"""

from pathlib import Path

import anyio

from debug_mcp.errors import DebugMcpError
from debug_mcp.models.commands import Command, CommandState
from debug_mcp.service.scheduler import Scheduler

PART_BYTES = 64 << 10
# How often the size of the output is looked at, and the state.
_LOOK_SECONDS = 0.1
_STATE_SECONDS = 1.0


class Following:
    """One reader of one command. ``offset`` is that of the next byte, ``command`` as last seen."""

    def __init__(self, scheduler: Scheduler, command: Command, offset: int) -> None:
        self.command = command
        self.offset = offset
        self._scheduler = scheduler
        self._path = scheduler.directory(command) / "output"
        self._changed = anyio.Event()

    async def watch(self) -> None:
        """Keep ``command`` as it is, until its end."""
        while self.command.state is not CommandState.FINISHED:
            before = self.command.state
            try:
                self.command = await self._scheduler.wait(self.command, _STATE_SECONDS)
            except DebugMcpError:
                await anyio.sleep(_STATE_SECONDS)  # the store is busy; it is asked again
            if self.command.state is not before:
                self._changed.set()
                self._changed = anyio.Event()

    async def part(self, seconds: float) -> bytes:
        """Return the next bytes, at most ``PART_BYTES``.

        None come when for so long there are none, or when the state has changed; at the end of the
        command all that it wrote comes before that.
        """
        state = self.command.state
        with anyio.move_on_after(seconds):
            while True:
                ended = self.command.state is CommandState.FINISHED
                with anyio.CancelScope(shield=True):
                    data = await anyio.to_thread.run_sync(_read, self._path, self.offset)
                if data or ended or self.command.state is not state:
                    self.offset += len(data)
                    return data
                with anyio.move_on_after(_LOOK_SECONDS):
                    await self._changed.wait()
        return b""


def _read(path: Path, offset: int) -> bytes:
    try:
        with path.open("rb", buffering=0) as file:
            file.seek(offset)
            return file.read(PART_BYTES)
    except FileNotFoundError:  # it has not begun
        return b""
