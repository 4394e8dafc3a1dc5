"""How a server speaks to a shim: two FIFOs, ``input`` and ``control``, with frames in them.

A frame is a letter, two bytes of length (big-endian) and that many bytes. It has at most PIPE_BUF
bytes, so that a write is whole or not at all (``pipe(7)``); longer texts are several frames, under
an ``flock`` of the FIFO. The shim holds both FIFOs open both ways: servers may come and go. What it
does not take stays in the pipe, and a full pipe tells the writer.

``input``: ``d`` data, ``e`` end of file. ``control`` overtakes it: ``i`` a key that interrupts, by
its signal's number; ``s`` rows and columns of the terminal, two bytes each as the machine has them.
"""

import os
import select
from collections.abc import Iterator

FRAME_BYTES = select.PIPE_BUF
HEAD_BYTES = 3
CONTENT_BYTES = FRAME_BYTES - HEAD_BYTES


def frame(kind: bytes, content: bytes = b"") -> bytes:
    """Return a frame."""
    return kind + len(content).to_bytes(2, "big") + content


class Frames:
    """The shim's end."""

    def __init__(self, directory: int) -> None:
        self.input = self._open(directory, "input")
        self.control = self._open(directory, "control")

    def _open(self, directory: int, name: str) -> int:
        try:
            os.mkfifo(name, 0o600, dir_fd=directory)
        except FileExistsError:
            pass
        return os.open(name, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)

    def typed(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield a few frames of ``input``: letter and content."""
        return self._read(self.input, 16)

    def controls(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield the frames of ``control``."""
        return self._read(self.control, 64)

    def _read(self, fifo: int, count: int) -> Iterator[tuple[bytes, bytes]]:
        # A frame is written whole, so all of it is there when its head is.
        for _ in range(count):
            try:
                head = os.read(fifo, HEAD_BYTES)
            except BlockingIOError:
                return
            length = int.from_bytes(head[1:], "big")
            yield head[:1], os.read(fifo, length) if length else b""
