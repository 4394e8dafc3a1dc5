"""What a person sees: bytes as they were written, and around them a few words on standard error."""

import os
import signal
import sys
import time

import anyio

from debug_mcp.cli.sizes import size_text
from debug_mcp.errors import Unavailable

# As a shell says it of a program whose reader has gone.
READER_GONE = 128 + signal.SIGPIPE
_REDRAW_SECONDS = 0.2


class ReaderGone(Unavailable):
    """Nobody reads standard output any more: no fault, but an end."""


class Output:
    """Standard output, as bytes; ``written`` of them up to now."""

    def __init__(self) -> None:
        self.written = 0

    async def show(self, data: bytes) -> None:
        """Write bytes at once.

        Raises:
            ReaderGone: Nobody reads any more.
            Unavailable: It cannot be written.
        """
        # In a thread: whoever reads may be slow, and Ctrl-C is to work all the same.
        try:
            await anyio.to_thread.run_sync(_write, data, abandon_on_cancel=True)
        except BrokenPipeError as error:
            # Python would try again at its end, and complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise ReaderGone("nobody reads the output any more") from error
        except OSError as error:
            raise Unavailable(f"the output cannot be written: {error.strerror}") from error
        self.written += len(data)


class Progress:
    """How far a file is, on a terminal; elsewhere nothing."""

    def __init__(self, name: str, size: int, done: int) -> None:
        self._name = name
        self._size = size
        self.done = done
        self._drawn = 0.0
        self._shown = sys.stderr.isatty()

    def advance(self, count: int) -> None:
        """Count further bytes."""
        self.done += count
        now = time.monotonic()
        if self._shown and now - self._drawn >= _REDRAW_SECONDS:
            self._drawn = now
            share = 100 * self.done // self._size if self._size else 100
            sys.stderr.write(
                f"\r\033[K{plain(self._name)}  {size_text(self.done)} of {size_text(self._size)}"
                f"  {share} %"
            )
            sys.stderr.flush()

    def clear(self) -> None:
        """Leave the line empty."""
        if self._shown and self._drawn:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()


class Status:
    """One line that says how far something is, on a terminal; elsewhere nothing."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()

    def show(self, text: str) -> None:
        """Say this instead of what was said before."""
        self._write(plain(text))

    def clear(self) -> None:
        """Leave the line empty."""
        self._write("")

    def _write(self, text: str) -> None:
        if self._shown:
            sys.stderr.write(f"\r\033[K{text}")
            sys.stderr.flush()


def say(text: str) -> None:
    """Say something beside the output."""
    print(f"debug-mcp: {plain(text)}", file=sys.stderr, flush=True)


def plain(text: str) -> str:
    """Return a text without what would steer a terminal: names come from what was run."""
    return "".join(mark if mark.isprintable() else "?" for mark in text)


def _write(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
