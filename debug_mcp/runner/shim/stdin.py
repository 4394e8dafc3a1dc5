"""What the command reads: nothing, a text, or what is typed while it runs."""

import fcntl
import os
import select
import sys

from debug_mcp.runner.shim.frames import Frames
from debug_mcp.runner.shim.processes import high
from debug_mcp.runner.shim.spec import Spec

PENDING_BYTES = 1 << 16
TIOCSWINSZ = 0x5414
# What a terminal makes of a key, by the signal that the key stands for.
KEYS = {2: b"\x03", 3: b"\x1c", 20: b"\x1a"}


class Stdin:
    """``end`` is the command's standard input; ``target`` is where typed text goes, if it can.

    The null device is the default: an open pipe that nobody writes to hangs ordinary tools. A text
    is a file: nothing has to be fed, and nothing can block. With a channel the server itself is at
    the other end, and nothing goes through us; ``hangup`` tells when it is not any more.
    """

    def __init__(self, directory: int, spec: Spec, channel: int | None = None) -> None:
        kind = spec.fields.get(b"stdin", b"null")
        self.terminal = kind == b"tty"
        self.target: int | None = None
        self.frames: Frames | None = None
        self.pending = b""
        self.ending = False
        self.both: tuple[int, int] | None = None  # a terminal: where it is read, and written
        self.hangup: int | None = None
        if channel is not None:
            self.end, self.hangup = channel, high(os.dup(channel))
        elif self.terminal:
            master, self.end = open_terminal(spec.fields[b"size"])
            self.both = high(master), os.dup(self.end)
            self.target = os.dup(self.both[0])
        elif kind == b"open":
            self.end, self.target = os.pipe2(os.O_CLOEXEC)
        elif kind == b"text":
            self.end = os.open("stdin", os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
        else:
            self.end = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        self.end = high(self.end)
        if self.target is not None:
            self.target = high(self.target)
            os.set_blocking(self.target, False)
            self.frames = Frames(directory)

    def interests(self) -> dict[int, int]:
        """Return what to poll for. A program that does not read stops its writers in the end."""
        if self.frames is None or self.target is None:
            return {}
        wanted = {self.frames.control: select.POLLIN}
        if not self.ending and len(self.pending) < PENDING_BYTES:
            wanted[self.frames.input] = select.POLLIN
        if self.pending:
            wanted[self.target] = select.POLLOUT
        return wanted

    def step(self, ready: set[int]) -> list[int]:
        """Do what became possible; return the signals that are for the command's group."""
        if self.frames is None:
            return []
        # First: a size that was set before a line was typed is there when the line is read.
        signals = self.control() if self.frames.control in ready else []
        if self.frames.input in ready:
            self.take()
        elif self.target in ready:
            self.pass_on()
        return signals

    def take(self) -> None:
        """Take in what was typed, and pass on what the program has room for."""
        if self.frames is None:
            return
        for kind, content in self.frames.typed():
            if kind == b"e":
                self.ending = True
            elif not self.ending:
                self.pending += content
        self.pass_on()

    def pass_on(self) -> None:
        """Write what the program has room for; after the last of it close."""
        if self.target is None:
            return
        while self.pending:
            try:
                written = os.write(self.target, self.pending[:PENDING_BYTES])
            except BlockingIOError:
                return
            except OSError:  # nobody will ever read it
                self.pending, self.ending = b"", True
                break
            self.pending = self.pending[written:]
        if self.ending and not self.terminal:
            os.close(self.target)
            self.target = None

    def control(self) -> list[int]:
        """Do what is not text; return the signals that are for the command's group."""
        signals = []
        for kind, content in () if self.frames is None else self.frames.controls():
            if kind == b"s" and self.terminal and self.target is not None:
                fcntl.ioctl(self.target, TIOCSWINSZ, content + bytes(4))
            elif kind == b"i" and not self._press(content[0]):
                signals.append(content[0])
        return signals

    def _press(self, number: int) -> bool:
        """Press a key of a terminal, as which it drops what was typed and not read."""
        if not self.terminal or self.target is None:
            return False
        self.take()
        self.pending = b""
        try:
            os.write(self.target, KEYS[number])
        except BlockingIOError:  # its buffer is full: to the group that would get it
            try:
                os.killpg(os.tcgetpgrp(self.target), number)
            except OSError:
                pass
        return True


def open_terminal(size: bytes) -> tuple[int, int]:
    """Return (master, terminal) of ``ROWSxCOLUMNS``: without echo, and with line ends as written.

    The reader knows what it typed, and offsets count what the program wrote.
    """
    import termios  # noqa: PLC0415  # only here: half a millisecond of each start

    master, terminal = os.openpty()
    modes = termios.tcgetattr(terminal)
    modes[1] &= ~termios.ONLCR
    modes[3] &= ~termios.ECHO
    termios.tcsetattr(terminal, termios.TCSANOW, modes)
    fcntl.ioctl(terminal, TIOCSWINSZ, packed(size) + bytes(4))
    return master, terminal


def packed(size: bytes) -> bytes:
    """Return ``ROWSxCOLUMNS`` as the kernel takes it."""
    rows, columns = size.split(b"x")
    order = sys.byteorder
    return int(rows).to_bytes(2, order) + int(columns).to_bytes(2, order)
