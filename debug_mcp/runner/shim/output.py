"""The command's output, from pipes into files."""

import fcntl
import os
import time

from debug_mcp.runner.shim.files import WRITE
from debug_mcp.runner.shim.processes import high
from debug_mcp.runner.shim.timeline import Timeline

CHUNK = 1 << 20
DRAIN_CHUNKS = 16
PIPE_BYTES = 1 << 20
GRANT = 8 * CHUNK  # written before the disk is looked at again
# Of the disk, which output leaves to others; a quarter of it by what has written little.
SPARED_BYTES = 1 << 24
LITTLE_BYTES = 1 << 16
# The file of each stream, and the one that says when it grew.
TIMELINES = {"output": "timeline", "stderr": "timeline-stderr"}


class Room:
    """How much may be kept, of all streams together; none any more once the disk is full.

    That it is before the last of it is taken: the ledger beside us must be able to say so.
    """

    def __init__(self, limit: int) -> None:
        self.left = limit
        self.little = LITTLE_BYTES
        self.granted = 0
        self.full = False

    def fitting(self, file: int) -> int:
        """Return how much may be written at once."""
        if self.left <= 0:
            return 0
        if self.granted <= 0:
            little = self.little > 0
            spared, most = (SPARED_BYTES // 4, self.little) if little else (SPARED_BYTES, GRANT)
            disk = os.fstatvfs(file)
            self.granted = min(most, disk.f_bavail * disk.f_frsize - spared)
            if self.granted <= 0:
                self.close()
        return min(CHUNK, self.granted, self.left)

    def take(self, taken: int) -> None:
        """Count what was kept."""
        self.left -= taken
        self.granted -= taken
        self.little = max(self.little - taken, 0)

    def close(self) -> None:
        """Keep nothing from now on: the disk is full or broken, or a quota is reached."""
        self.left, self.full = 0, True


class Stream:
    """One pipe or terminal of the command, and the file that keeps what comes through it.

    Where there is no room it reads on and drops: no program hangs or gets SIGPIPE.
    """

    def __init__(
        self, directory: int, name: str, room: Room, terminal: tuple[int, int] | None = None
    ) -> None:
        self.file = os.open(name, WRITE, 0o600, dir_fd=directory)
        self.room = room
        self.kept = self.dropped = 0
        self.last = time.monotonic()
        self.timeline = Timeline(directory, TIMELINES[name], self.last)
        self.spliced = terminal is None
        self.pipe, writer = terminal or os.pipe2(os.O_CLOEXEC)
        self.writer = high(writer)
        os.set_blocking(self.pipe, False)
        try:
            fcntl.fcntl(self.pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        except OSError:
            pass  # an unprivileged user may be over the system's limit: the small pipe works too

    def drain(self, chunks: int) -> bool:
        """Move what is there, up to a bound; return False at the end of the pipe."""
        for _ in range(chunks):
            most = self.room.fitting(self.file)
            try:
                moved = self._keep(most) if most > 0 else self._drop()
            except BlockingIOError:
                return True
            if moved == 0:
                return False
            self.last = time.monotonic()
            if most > 0:
                self.timeline.note(self.last, self.kept)
        return True

    def _keep(self, most: int) -> int:
        try:
            if not self.spliced:
                return self._copy(most)
            moved = os.splice(self.pipe, self.file, most, flags=os.SPLICE_F_NONBLOCK)
        except OSError as error:
            if isinstance(error, BlockingIOError):
                raise
            self.room.close()
            return self._drop()
        self._grown(moved)
        return moved

    def _copy(self, most: int) -> int:
        """Do for a terminal what ``splice`` does for a pipe."""
        data = os.read(self.pipe, most)
        try:
            written = os.write(self.file, data)
        except OSError:
            self.room.close()
            written = 0
        self._grown(written)
        self.dropped += len(data) - written
        return len(data)

    def _grown(self, by: int) -> None:
        self.kept += by
        self.room.take(by)

    def _drop(self) -> int:
        dropped = len(os.read(self.pipe, CHUNK))
        self.dropped += dropped
        return dropped


class Output:
    """All that the command writes: one stream, or one of stdout and one of stderr."""

    def __init__(
        self, directory: int, limit: int, terminal: tuple[int, int] | None, separate: bool
    ) -> None:
        self.room = Room(limit)
        self.stdout = Stream(directory, "output", self.room, terminal)
        self.stderr = Stream(directory, "stderr", self.room) if separate else self.stdout
        self.streams = {stream.pipe: stream for stream in (self.stdout, self.stderr)}

    @property
    def last(self) -> float:
        """When something last came, on the monotonic clock."""
        return max(self.stdout.last, self.stderr.last)

    def drain(self, pipe: int, chunks: int = DRAIN_CHUNKS) -> bool:
        """Move what is in a pipe, up to a bound; return False at its end.

        Without the bound a program that writes without end would keep us from every deadline.
        """
        return self.streams[pipe].drain(chunks)

    def finish(self) -> dict[str, object]:
        """Move all that is left; return what became of it."""
        for stream in self.streams.values():
            stream.drain(DRAIN_CHUNKS**2)
            stream.timeline.end()
        streams = self.streams.values()
        return {
            "output": sum(stream.kept for stream in streams),
            "stderr": "" if self.stderr is self.stdout else self.stderr.kept,
            "dropped": sum(stream.dropped for stream in streams),
            "disk_full": int(self.room.full),
        }
