"""Typing into a running command: the server's end of ``runner.shim.frames``.

What a program does not read fills the shim's memory up to a bound, then the FIFO; then nothing more
is taken, and the writer is told how much was. Nobody is ever held up by it.
"""

import contextlib
import fcntl
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import anyio

from debug_mcp.runner.shim.frames import CONTENT_BYTES, frame
from debug_mcp.runner.supervisor import is_held

# A program that reads at all takes what it is given within this time.
PATIENCE_SECONDS = 2.0
_PAUSE_SECONDS = 0.005


class NobodyReads(Exception):
    """The command's shim is gone, or does not take input."""


# Every function here raises TimeoutError where another writer is not done in time.


async def type_text(directory: Path, text: str) -> int:
    """Type a text; return how many characters were taken, all of them unless nobody reads.

    Raises:
        NobodyReads: There is no shim any more.
    """
    data = text.encode("utf-8", "surrogateescape")
    async with _opened(directory, "input") as fifo:
        taken = 0
        while taken < len(data):
            end = _whole(data, min(taken + CONTENT_BYTES, len(data)))
            if not await _write(fifo, frame(b"d", data[taken:end])):
                break
            taken = end
    return len(data[:taken].decode("utf-8", "surrogateescape"))


async def end_input(directory: Path) -> bool:
    """Say that there is no more input, after what was typed; return whether that was taken.

    Raises:
        NobodyReads: There is no shim any more.
    """
    async with _opened(directory, "input") as fifo:
        return await _write(fifo, frame(b"e"))


async def interrupt(directory: Path, number: int) -> bool:
    """Press the key of a signal, past all that was typed; return whether that was taken.

    Raises:
        NobodyReads: There is no shim any more.
    """
    async with _opened(directory, "control") as fifo:
        return await _write(fifo, frame(b"i", bytes([number])))


async def resize(directory: Path, rows: int, columns: int) -> bool:
    """Give a terminal another size; return whether that was taken.

    Raises:
        NobodyReads: There is no shim any more.
    """
    size = rows.to_bytes(2, sys.byteorder) + columns.to_bytes(2, sys.byteorder)
    async with _opened(directory, "control") as fifo:
        return await _write(fifo, frame(b"s", size))


def _whole(data: bytes, end: int) -> int:
    """Return an end that parts no character."""
    while end < len(data) and data[end] & 0xC0 == 0x80:
        end -= 1
    return end


async def _write(fifo: int, content: bytes) -> bool:
    """Write a frame as soon as there is room; return False when there is none in time."""
    with anyio.move_on_after(PATIENCE_SECONDS):
        while True:
            try:
                os.write(fifo, content)
            except BlockingIOError:
                await anyio.sleep(_PAUSE_SECONDS)
            except BrokenPipeError as error:
                raise NobodyReads from error
            else:
                return True
    return False


@contextlib.asynccontextmanager
async def _opened(directory: Path, name: str) -> AsyncIterator[int]:
    """Yield a FIFO for this writer alone: two texts must not mix."""
    fifo = await _open(directory / name)
    try:
        with anyio.fail_after(PATIENCE_SECONDS):
            while not _locked(fifo):  # noqa: ASYNC110  # no event tells of another process's lock
                await anyio.sleep(_PAUSE_SECONDS)
        yield fifo
    finally:
        os.close(fifo)


async def _open(path: Path) -> int:
    """Open a FIFO for writing; a shim that has just begun makes it within milliseconds."""
    with anyio.fail_after(PATIENCE_SECONDS):
        while True:
            held = is_held(path.parent)
            try:
                return os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            except OSError as error:
                if not held:
                    raise NobodyReads from error
            await anyio.sleep(_PAUSE_SECONDS)


def _locked(fifo: int) -> bool:
    try:
        fcntl.flock(fifo, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
