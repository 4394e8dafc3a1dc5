"""What a shim asks of the kernel about processes, signals and descriptors."""

import _ctypes
import _signal as signal  # type: ignore[import-not-found]
import fcntl
import os

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def children_of(pid: int) -> list[int] | None:
    """Return a process's children; None when it is gone, or when this kernel does not tell."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", "rb") as children:
            return [int(child) for child in children.read().split()]
    except OSError:
        return None


def try_kill(pid: int, number: int, group: bool = False) -> None:
    """Send a signal to what may be gone already."""
    try:
        os.killpg(pid, number) if group else os.kill(pid, number)
    except OSError:
        pass


def high(fd: int) -> int:
    """Move a descriptor out of the way of those that the child gets."""
    moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(fd)
    return moved


def close_all_but(*kept: int) -> None:
    """Close every descriptor from 3 on but these."""
    first = 3
    for fd in (*sorted(set(kept)), 1 << 16):
        os.closerange(first, fd)
        first = fd + 1


def catch_signals() -> int:
    """Turn signals into bytes on a pipe, so that one poll waits for everything."""
    wakeups, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.set_wakeup_fd(high(writer), warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    return wakeups


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent ends; end now if that was before."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def become_subreaper() -> None:
    """Adopt whatever the command leaves behind."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    prctl = _ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl")  # type: ignore[arg-type]
    _ctypes.call_function(prctl, (option, value, 0, 0, 0))
