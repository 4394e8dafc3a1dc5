"""A channel: the server's own line to a command that speaks a protocol over its input and output.

One end becomes the command's standard input and output, the other stays here. Nobody stands between
the two; the shim only sees when this end is closed, also by the server's death, and then ends the
command. So a debugger that nobody drives is never left behind.
"""

import fcntl
import socket

import anyio

_RECEIVE_BYTES = 1 << 16
_HIGH = 10  # out of the way of the numbers that a shim gets


class Channel:
    """The server's end."""

    def __init__(self, ours: socket.socket) -> None:
        ours.setblocking(False)
        self._socket = ours

    async def send(self, data: bytes) -> None:
        """Send all of it, as fast as the other end reads.

        Raises:
            OSError: Nobody is at the other end.
        """
        left = memoryview(data)
        while left:
            try:
                left = left[self._socket.send(left) :]
            except BlockingIOError:
                await anyio.wait_writable(self._socket)

    async def receive(self) -> bytes:
        """Return what came, at least a byte; nothing when the other end is closed.

        Raises:
            OSError: The other end is gone.
        """
        while True:
            try:
                return self._socket.recv(_RECEIVE_BYTES)
            except BlockingIOError:
                await anyio.wait_readable(self._socket)

    def close(self) -> None:
        """Hang up: the command is ended. Whoever receives must have been cancelled before."""
        self._socket.close()


def open_channel() -> tuple[Channel, int]:
    """Return the server's end, and a descriptor of the other for ``Supervisor.start``.

    The descriptor is the caller's to close.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        descriptor = fcntl.fcntl(theirs.fileno(), fcntl.F_DUPFD_CLOEXEC, _HIGH)
    return Channel(ours), descriptor
