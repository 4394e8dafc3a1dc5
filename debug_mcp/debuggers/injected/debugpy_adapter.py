"""Runs debugpy's adapter inside a session: ``python debugpy_adapter.py FOLDER_OF_DEBUGPY``.

Two things are mended here, both in the adapter alone; the program under debug stays untouched.

debugpy sends header and body of a message apart, and the second waits until the receiver confirms
the first, which it does after 40 ms. Asking for quick confirmations ends that wait: an evaluation
takes 2 ms instead of 44 (https://github.com/microsoft/debugpy/issues/2054).

And where the adapter speaks over its standard output, it gives the program the null device. The
program's output is to go where any command's goes: to the standard error that we have here.
"""

import runpy
import socket
import subprocess
import sys

QUICK_ACK = getattr(socket, "TCP_QUICKACK", None)
_readinto = socket.SocketIO.readinto


def readinto(self, buffer):
    """Read, and ask for a quick confirmation of the next: the kernel forgets it each time."""
    count = _readinto(self, buffer)
    try:
        self._sock.setsockopt(socket.IPPROTO_TCP, QUICK_ACK, 1)
    except (OSError, AttributeError):
        pass
    return count


class Popen(subprocess.Popen):
    """Starts the program with its output where ours is not spoken."""

    def __init__(self, *args, **keywords):
        super().__init__(*args, **dict(keywords, stdout=sys.__stderr__, stderr=sys.__stderr__))


if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])
    if QUICK_ACK is not None:
        socket.SocketIO.readinto = readinto
    from debugpy.adapter import launchers

    class Processes:
        """What the launcher's module knows as ``subprocess``."""

        def __getattr__(self, name):
            return getattr(subprocess, name)

    launchers.subprocess = Processes()
    launchers.subprocess.Popen = Popen
    sys.argv = ["debugpy.adapter"]
    runpy.run_module("debugpy.adapter", run_name="__main__", alter_sys=True)
