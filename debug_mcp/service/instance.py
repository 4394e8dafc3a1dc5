"""One server among others on the same data directory: who lives, and whose work is orphaned.

A server lives for as long as it holds the lock on its file; the kernel lets go of it with the
process, however that ends.
"""

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import anyio

_LOCK = ".lock"


class Instance:
    """One running server."""

    def __init__(self, folder: Path) -> None:
        self.id = secrets.token_hex(4)
        self._folder = folder

    @contextlib.contextmanager
    def alive(self) -> Iterator["Instance"]:
        """Hold this server's lock."""
        path = self._folder / (self.id + _LOCK)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            os.write(fd, b"%d" % os.getpid())
            yield self
        finally:
            path.unlink(missing_ok=True)
            os.close(fd)

    def known(self) -> frozenset[tuple[str, bool]]:
        """Return every server that is here or was killed, and whether it lives.

        While that stays the same, nobody died and left something behind.
        """
        with os.scandir(self._folder) as entries:
            ids = [entry.name[: -len(_LOCK)] for entry in entries if entry.name.endswith(_LOCK)]
        return frozenset((instance, self.lives(instance)) for instance in ids)

    def others(self) -> set[str]:
        """Return the other servers that live."""
        return {instance for instance, lives in self.known() if lives and instance != self.id}

    async def gone(self, instance: str) -> None:
        """Wait for the end of another server; for ever, where its process cannot be seen from here.

        Whoever shares the data directory from another container has numbers of its own.
        """
        try:
            process = os.pidfd_open(int((self._folder / (instance + _LOCK)).read_bytes()))
        except (OSError, ValueError):
            if self.lives(instance):
                await anyio.sleep_forever()
            return
        try:
            # Still alive: so the number was not given to another process meanwhile.
            if self.lives(instance):
                await anyio.wait_readable(process)
        finally:
            os.close(process)

    def lives(self, instance: str) -> bool:
        """Return whether a server is still there."""
        return instance == self.id or self._probe(instance)

    def forget_killed(self) -> None:
        """Remove the files of servers that were killed, once nothing of theirs is left."""
        for instance, lives in self.known():
            if not lives:
                self._probe(instance, forget=True)

    def _probe(self, instance: str, *, forget: bool = False) -> bool:
        """Return whether another server lives; ``forget`` its file where it does not."""
        path = self._folder / (instance + _LOCK)
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            # Shared: two lookers at once must not take each other for the living one.
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
            # An empty one belongs to a server that is about to take the lock.
            if forget and os.fstat(fd).st_size:
                path.unlink(missing_ok=True)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False
