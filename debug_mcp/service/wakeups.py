"""Servers on one data directory wake one another, so that none has to look all the time.

Each binds a datagram socket beside its lock. Whoever stored something that others may wait for
sends them one byte **after** the commit, so that who is woken sees it. A lost byte costs no more
than the wait for the next look.
"""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import anyio

_BURST = 1024


class Wakeups:
    """One server's ear and voice."""

    def __init__(self, folder: Path, instance: str) -> None:
        self._folder = folder
        self._name = f"{instance}.sock"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._directory = -1

    @contextlib.contextmanager
    def listening(self) -> Iterator["Wakeups"]:
        """Be there for the others."""
        with self._socket:
            self._directory = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                self._socket.bind(self._address(self._name))
                yield self
            finally:
                (self._folder / self._name).unlink(missing_ok=True)
                os.close(self._directory)

    async def arrived(self) -> None:
        """Wait for another server's word; many at once count as one."""
        await anyio.wait_readable(self._socket)
        with contextlib.suppress(BlockingIOError):
            for _ in range(_BURST):
                self._socket.recv(1)

    def send(self) -> None:
        """Wake every other server. What cannot be reached is left to look for itself."""
        for path in self._folder.glob("*.sock"):
            if path.name != self._name:
                try:
                    self._socket.sendto(b"\0", self._address(path.name))
                except ConnectionRefusedError:  # its server was killed
                    path.unlink(missing_ok=True)
                except OSError:  # its ear is full, or it went away this moment
                    continue

    def _address(self, name: str) -> str:
        """Return a path of any length as one that fits: a socket's has at most 108 bytes."""
        return f"/proc/self/fd/{self._directory}/{name}"
