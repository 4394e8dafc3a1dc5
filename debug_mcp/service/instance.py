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


class Instance:
    """One running server."""

    def __init__(self, folder: Path) -> None:
        self.id = secrets.token_hex(4)
        self._folder = folder

    @contextlib.contextmanager
    def alive(self) -> Iterator["Instance"]:
        """Hold this server's lock."""
        path = self._folder / f"{self.id}.lock"
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield self
        finally:
            path.unlink(missing_ok=True)
            os.close(fd)

    def lives(self, instance: str) -> bool:
        """Return whether a server is still there."""
        if instance == self.id:
            return True
        try:
            fd = os.open(self._folder / f"{instance}.lock", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            # Shared: two lookers at once must not take each other for the living one.
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False
