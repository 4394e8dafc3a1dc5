"""Locks among all servers on a data directory. The kernel frees one with its process."""

import contextlib
import fcntl
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio

from debug_mcp.errors import Busy

_PAUSE_SECONDS = 0.01
_RETRY_SECONDS = 5


@contextlib.asynccontextmanager
async def locked(path: Path, seconds: float, why: str) -> AsyncIterator[None]:
    """Hold a file's lock alone; the file is made when it is not there.

    Raises:
        Busy: It is taken for longer than ``seconds``; ``why`` is the message.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        with anyio.move_on_after(seconds) as waiting:
            # A file lock of another process rings no bell: look.
            while not try_lock(fd):  # noqa: ASYNC110
                await anyio.sleep(_PAUSE_SECONDS)
        if waiting.cancelled_caught:
            raise Busy(why, retry_after_seconds=_RETRY_SECONDS)
        yield
    finally:
        os.close(fd)


@contextlib.contextmanager
def lock_at_once(path: Path) -> Iterator[bool]:
    """Hold a file's lock alone if nobody has it; yield whether it is ours."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield try_lock(fd)
    finally:
        os.close(fd)


def try_lock(fd: int) -> bool:
    """Take the lock of an open file if nobody has it; return whether it is ours now."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
