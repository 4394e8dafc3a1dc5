"""Servers on one data directory wake one another, so that none has to look all the time.

Each binds a datagram socket beside its lock. Whoever stored something that others may wait for
sends them one byte **after** the commit, so that who is woken sees it; and one of another value
when it comes, so that they see its end. A lost byte costs no more than the wait for the next look.
"""

import contextlib
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import anyio

_SUFFIX = ".sock"
_NEWS, _HERE = b"\0", b"\1"
_BURST = 1024

_log = logging.getLogger(__name__)


class Wakeups:
    """One server's ear and voice."""

    def __init__(self, folder: Path, instance: str) -> None:
        self._folder = folder
        self._name = instance + _SUFFIX
        self._directory = -1
        self._ear: socket.socket | None = None

    @contextlib.contextmanager
    def listening(self) -> Iterator["Wakeups"]:
        """Be there for the others; where no socket can be made, be deaf."""
        self._directory = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with _datagrams() as ear:
                try:
                    ear.bind(self._address(self._name))
                except OSError as error:  # some file systems have no sockets
                    _log.warning("other servers are only looked for now and then: %s", error)
                else:
                    self._ear = ear
                yield self
        finally:
            self._forget(self._name)
            os.close(self._directory)

    async def arrived(self) -> bool:
        """Wait for another server's word; many at once count as one.

        Returns:
            Whether one of them has only just come.
        """
        if self._ear is None:
            await anyio.sleep_forever()
            raise AssertionError("sleeps for ever")
        await anyio.wait_readable(self._ear)
        words = set()
        with contextlib.suppress(BlockingIOError):
            for _ in range(_BURST):
                words.add(self._ear.recv(1))
        return _HERE in words

    def send(self) -> None:
        """Wake every other server, without waiting; who cannot be reached looks for itself."""
        self._send(_NEWS)

    def send_here(self) -> None:
        """Tell every other server that this one has come."""
        self._send(_HERE)

    def _send(self, word: bytes) -> None:
        with contextlib.suppress(OSError):  # no descriptor left
            with os.scandir(self._directory) as entries:
                names = [entry.name for entry in entries if entry.name.endswith(_SUFFIX)]
            # What a stopped server did not take counts against the socket that sent it: a socket
            # kept for all words would be mute to everybody in the end.
            with _datagrams() as voice:
                for name in names:
                    if name != self._name:
                        self._tell(voice, name, word)

    def _tell(self, voice: socket.socket, name: str, word: bytes) -> None:
        try:
            voice.sendto(word, self._address(name))
        except ConnectionRefusedError:  # its server was killed
            self._forget(name)
        except OSError:  # its ear is full, it is somebody else's, or it went away this moment
            pass

    def _forget(self, name: str) -> None:
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=self._directory)

    def _address(self, name: str) -> str:
        """Return a path of any length as one that fits: a socket's has at most 108 bytes."""
        return f"/proc/self/fd/{self._directory}/{name}"


def _datagrams() -> socket.socket:
    return socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
