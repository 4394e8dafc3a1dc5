"""The process that forks this server's shims, as the server sees it (see ``runner.shim.starter``).

It is begun for the first command, so that neither the launch nor a server that runs nothing pays
for it, and again when it is gone. It is never needed: where there is none, a shim is started in an
interpreter of its own. It inherits nothing of the server's but its end of the channel.
"""

import contextlib
import fcntl
import os
import select
import signal
import socket
import sys
from pathlib import Path

from debug_mcp.runner import shim
from debug_mcp.runner.shim.spec import CHANNEL_FD, LOCK_FD, REQUESTS_FD, TETHER_FD

# The program of a starter and of a shim: see ``runner.shim``.
PROGRAM = str(Path(shim.__file__).with_name("__main__.py"))
# It ends by itself when its channel is closed; one that was stopped does not.
_END_MILLISECONDS = 1000
# Descriptors from here on are in nobody's way.
_HIGH = 10


class Starter:
    """At most one process at a time; ``end`` has to be called in the end."""

    def __init__(self) -> None:
        self._channel: socket.socket | None = None
        self.pid: int | None = None

    def start(self, directory: Path, lock: int, tether: int) -> bool:
        """Ask for a shim and give it copies of both descriptors; False: it has to be done directly.

        A message that nobody takes any more is dropped with its descriptors: the tether's end tells
        when nothing came of it.
        """
        for _ in range(2):
            try:
                channel = self._channel or self._begin()
                socket.send_fds(channel, [os.fsencode(directory)], [lock, tether])
            except ConnectionError:  # it is gone: once more, with another
                self.end()
            except OSError:  # no process or descriptor to be had, or it takes nothing any more
                return False
            else:
                return True
        return False

    def kill(self) -> None:
        """End one that does nothing, and with it all that was asked of it and not begun."""
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        self.end()

    def end(self) -> None:
        """Let it do what was asked of it, and end. The shims go on."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self.pid is not None:
            _reap(self.pid)
            self.pid = None

    def _begin(self) -> socket.socket:
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with its:
            try:
                ours.setblocking(False)
                self.pid = os.posix_spawn(
                    sys.executable,
                    [sys.executable, "-I", "-S", PROGRAM],
                    {},
                    file_actions=[
                        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                        (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
                        (os.POSIX_SPAWN_DUP2, its.fileno(), REQUESTS_FD),
                    ],
                    setsid=True,
                    setsigmask=[],
                )
            except BaseException:
                ours.close()
                raise
        self._channel = ours
        return ours


def spawn_shim(directory: Path, lock: int, tether: int, channel: int | None) -> int:
    """Start a shim in an interpreter of its own; return its process id.

    Raises:
        OSError: There is no process or descriptor to be had.
    """
    log = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    wanted = {LOCK_FD: lock, TETHER_FD: tether}
    if channel is not None:
        wanted[CHANNEL_FD] = channel
    given: dict[int, int] = {}
    try:
        for number, fd in wanted.items():  # out of the way of those that the shim gets
            given[number] = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _HIGH)
        return os.posix_spawn(
            sys.executable,
            [
                *(sys.executable, "-I", "-S", PROGRAM, str(directory)),
                *(() if channel is None else ("channel",)),
            ],
            {},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_OPEN, 2, str(directory / "log"), log, 0o600),
                *((os.POSIX_SPAWN_DUP2, fd, number) for number, fd in given.items()),
            ],
            setsid=True,
            setsigmask=[],
        )
    finally:
        for fd in given.values():
            os.close(fd)


def _reap(pid: int) -> None:
    # Neither is there where the server was started with SIGCHLD ignored, and the kernel reaps.
    with contextlib.suppress(ProcessLookupError, ChildProcessError):
        process = os.pidfd_open(pid)
        try:
            poll = select.poll()
            poll.register(process, select.POLLIN)
            if not poll.poll(_END_MILLISECONDS):
                os.kill(pid, signal.SIGKILL)
        finally:
            os.close(process)
        os.waitpid(pid, 0)
