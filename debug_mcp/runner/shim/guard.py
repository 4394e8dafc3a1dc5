"""A parent of the shim that ends what a killed shim leaves behind.

The kernel's signal for a parent's death does not do: bubblewrap's process inside asks for it late,
and one that lost its parent before that goes on, or waits for it without end. What a killed shim
leaves goes to the next subreaper above it (``prctl(2)``), which is this process. It holds the lock
as well: when that is free, nothing of the command is left.
"""

import _signal as signal  # type: ignore[import-not-found]
import os

from debug_mcp.runner.shim.child import Child
from debug_mcp.runner.shim.processes import become_subreaper


def stand_guard(channel: int | None) -> None:
    """Fork; the child returns and is the shim, and this process ends with it.

    Where there is no process to be had the shim goes on alone.

    Args:
        channel: A descriptor of the shim's alone: its peer is to see when the shim is gone.
    """
    # A starter ignores it, and then the kernel would reap instead of us.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    become_subreaper()
    try:
        pid = os.fork()
    except OSError:
        return
    if pid == 0:
        os.setsid()  # who signals the shim's group does not mean its guard
        return
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    if channel is not None:
        os.close(channel)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    Child(pid, None).sweep()
    os._exit(0)
