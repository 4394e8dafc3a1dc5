"""The command's output, from a pipe into a file."""

import fcntl
import os
import time

from debug_mcp.runner.shim.files import WRITE

CHUNK = 1 << 20
DRAIN_CHUNKS = 16
PIPE_BYTES = 1 << 20


class Output:
    """Everything that the command writes, moved from one pipe into one file.

    Past the limit, or on a full disk, it reads on and drops: no program hangs or gets SIGPIPE.
    """

    def __init__(self, directory: int, limit: int, terminal: tuple[int, int] | None = None) -> None:
        self.file = os.open("output", WRITE, 0o600, dir_fd=directory)
        self.limit = limit
        self.kept = self.dropped = 0
        self.full = False
        self.last = time.monotonic()
        self.spliced = terminal is None
        self.pipe, self.writer = terminal or os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self.pipe, False)
        try:
            fcntl.fcntl(self.pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        except OSError:
            pass  # an unprivileged user may be over the system's limit: the small pipe works too

    def drain(self, chunks: int = DRAIN_CHUNKS) -> bool:
        """Move what is there, up to a bound; return False at the end of the pipe.

        Without the bound a program that writes without end would keep us from every deadline.
        """
        for _ in range(chunks):
            room = 0 if self.full else self.limit - self.kept
            try:
                moved = self._keep(min(CHUNK, room)) if room > 0 else self._drop()
            except BlockingIOError:
                return True
            if moved == 0:
                return False
            self.last = time.monotonic()
        return True

    def _keep(self, room: int) -> int:
        try:
            if not self.spliced:
                return self._copy(room)
            moved = os.splice(self.pipe, self.file, room, flags=os.SPLICE_F_NONBLOCK)
        except OSError as error:
            if isinstance(error, BlockingIOError):
                raise
            self.full = True  # the disk is full or broken, or a quota is reached
            return self._drop()
        self.kept += moved
        return moved

    def _copy(self, room: int) -> int:
        """Do for a terminal what ``splice`` does for a pipe."""
        data = os.read(self.pipe, room)
        try:
            written = os.write(self.file, data)
        except OSError:
            self.full, written = True, 0
        self.kept += written
        self.dropped += len(data) - written
        return len(data)

    def _drop(self) -> int:
        dropped = len(os.read(self.pipe, CHUNK))
        self.dropped += dropped
        return dropped
