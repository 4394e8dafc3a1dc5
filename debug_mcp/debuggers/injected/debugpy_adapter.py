"""Runs debugpy's adapter inside a session: ``python debugpy_adapter.py FOLDER_OF_DEBUGPY``.

Two things are mended here, both in the adapter alone; the program under debug stays untouched.

debugpy sends header and body of a message apart, and the second waits until the receiver confirms
the first, which it does after 40 ms. Asking for quick confirmations ends that wait: an evaluation
takes 2 ms instead of 44 (https://github.com/microsoft/debugpy/issues/2054).

And where the adapter speaks over its standard output, it gives the program the null device. The
program's output is to go where any command's goes: to the standard error that we have here. The
adapter's own complaints would stand among it, so once it is there it has nowhere to complain to.

It runs on the Python of the project, which may be old.
"""

import os
import runpy
import socket
import subprocess
import sys
from typing import Any

QUICK_ACK = getattr(socket, "TCP_QUICKACK", None)
_readinto = socket.SocketIO.readinto


def readinto(self: Any, buffer: Any) -> "int | None":
    """Read, and ask for a quick confirmation of the next: the kernel forgets it each time."""
    count = _readinto(self, buffer)
    try:
        self._sock.setsockopt(socket.IPPROTO_TCP, QUICK_ACK, 1)
    except (OSError, AttributeError):
        pass
    return count


class Processes:
    """What the module that starts the program knows as ``subprocess``."""

    def __init__(self, output: int) -> None:
        self._output = output

    def __getattr__(self, name: str) -> Any:
        return getattr(subprocess, name)

    def Popen(self, *args: Any, **keywords: Any) -> "subprocess.Popen[bytes]":
        """Start the program with its output where a command's goes."""
        return subprocess.Popen(*args, **dict(keywords, stdout=self._output, stderr=self._output))


def prepare(folder: str) -> None:
    """Mend the adapter of the debugpy in a folder."""
    sys.path.insert(0, folder)
    from debugpy.adapter import launchers  # noqa: PLC0415  # only now it can be found

    setattr(launchers, "subprocess", Processes(os.dup(2)))  # noqa: B010
    if QUICK_ACK is not None:
        setattr(socket.SocketIO, "readinto", readinto)  # noqa: B010
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


if __name__ == "__main__":
    prepare(sys.argv[1])
    sys.argv = ["debugpy.adapter"]
    runpy.run_module("debugpy.adapter", run_name="__main__", alter_sys=True)
