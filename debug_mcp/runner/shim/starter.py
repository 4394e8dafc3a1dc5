"""Forks shims on request: a fork of what is loaded costs a fraction of a fresh interpreter.

Started as ``python -I -S shim/__main__.py``, with one end of a socket pair as ``REQUESTS_FD``. Each
message is a command's directory with two descriptors: its lock and its tether. Nothing is answered:
that a shim is at work shows by its lock, and that it is gone by the end of the tether.

It ends with its server, when the other end is closed; what was asked before that is still done.
The shims are none of its concern once they are forked.
"""

import _signal as signal  # type: ignore[import-not-found]
import _socket as socket
import gc
import os
import resource  # noqa: F401  # loaded once for all shims: `os.wait4` asks for it
import sys
import termios  # noqa: F401  # and those with a terminal for this

from debug_mcp.runner.shim.main import run
from debug_mcp.runner.shim.processes import close_all_but
from debug_mcp.runner.shim.spec import REQUESTS_FD

PATH_BYTES = 1 << 13  # more than the kernel's limit
DESCRIPTOR_BYTES = 4
LOG = os.O_WRONLY | os.O_CREAT | os.O_APPEND


def serve() -> None:
    """Fork shims until the server is gone."""
    close_all_but(REQUESTS_FD)  # the server may have inherited some itself
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps
    gc.freeze()  # no collection in a shim has to look at, and so copy, what is here
    channel = socket.socket(fileno=REQUESTS_FD)
    while True:
        path, sent, _, _ = channel.recvmsg(PATH_BYTES, socket.CMSG_SPACE(2 * DESCRIPTOR_BYTES))
        if not path:
            return
        descriptors = [fd for _, _, data in sent for fd in _unpacked(data)]
        try:
            if len(descriptors) == 2 and os.fork() == 0:
                _become_shim(os.fsdecode(path), *descriptors)
        except OSError:
            pass  # no process to be had: the tether's end tells the server
        for fd in descriptors:
            os.close(fd)


def _become_shim(path: str, lock: int, tether: int) -> None:
    """Do a shim's whole work in this fork; never returns."""
    try:
        os.setsid()
        os.dup2(os.open(path + "/log", LOG, 0o600), 2)
        run(path, lock, tether)
    except BaseException:  # noqa: BLE001  # no fault of a shim may make it a second starter
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(0)


def _unpacked(data: bytes) -> list[int]:
    places = range(0, len(data) - DESCRIPTOR_BYTES + 1, DESCRIPTOR_BYTES)
    return [int.from_bytes(data[at : at + DESCRIPTOR_BYTES], sys.byteorder) for at in places]
