"""What a shim asks of the kernel about processes, signals and descriptors."""

import _ctypes
import _signal as signal  # type: ignore[import-not-found]
import fcntl
import os

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
KEYCTL_JOIN_SESSION_KEYRING = 1
TICKS = os.sysconf("SC_CLK_TCK")  # in a second, of processor time in ``stat``
_SYS_KEYCTL = {"x86_64": 250, "aarch64": 219}


def children_of(pid: int) -> list[int] | None:
    """Return a process's children; None when it is gone, or when this kernel does not tell."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", "rb") as children:
            return [int(child) for child in children.read().split()]
    except OSError:
        return None


def descendants(pid: int, most: float) -> list[str]:
    """Return the folders below ``/proc`` of a process's descendants, or of more than ``most``.

    Whoever comes or goes meanwhile may be missed.
    """
    found: list[str] = []
    waiting = [pid]
    while waiting and len(found) <= most + 1:  # the process itself is the first
        parent = f"/proc/{waiting.pop()}"
        try:
            threads = os.listdir(f"{parent}/task")
        except OSError:
            continue  # it has just ended
        # Each thread has the children that it started.
        for thread in threads:
            try:
                with open(f"{parent}/task/{thread}/children", "rb") as children:
                    waiting += map(int, children.read().split())
            except OSError:
                continue
        found.append(parent)
    return found[1:]


def root_of(pid: int) -> str:
    """Return the path by which we see what a process sees as its root."""
    return f"/proc/{pid}/root"


def has_moved_in(pid: int) -> bool:
    """Return whether a process sees another root than we do, as a sandbox's first one in the end.

    Until then what it sees is the machine.
    """
    try:
        here, there = os.stat("/"), os.stat(f"{root_of(pid)}/")
    except OSError:
        return False
    return (here.st_dev, here.st_ino) != (there.st_dev, there.st_ino)


def stat_of(process: str) -> list[bytes]:
    """Return ``stat`` (proc(5)) of a process by its folder, from the third field on, the state.

    Raises:
        OSError: It has ended.
    """
    with open(f"{process}/stat", "rb") as stat:
        # The name, which is the second, may hold anything.
        return stat.read().rpartition(b")")[2].split()


def inhabitants(first: int) -> list[str]:
    """Return the folders of all processes in a sandbox, by the ``/proc`` that it has itself.

    One look, however many they are and whoever their parents were.

    Raises:
        OSError: We may not look, or it has ended.
    """
    seen = f"{root_of(first)}/proc"
    return [f"{seen}/{name}" for name in os.listdir(seen) if name.isdigit()]


def try_kill(pid: int, number: int, group: bool = False) -> None:
    """Send a signal to what may be gone already."""
    try:
        os.killpg(pid, number) if group else os.kill(pid, number)
    except OSError:
        pass


def kill_children() -> None:
    """Kill our children with their process groups, in which there are only descendants of ours.

    A group is of one session, and none of ours left its session but for a new one. In a group that
    is killed as a whole nobody can fork meanwhile.
    """
    children: dict[int, int] = {}
    for pid in children_of(os.getpid()) or ():
        try:
            children[os.getpgid(pid)] = pid
        except OSError:
            pass  # it has just been reaped
    own = children.pop(os.getpgrp(), None)
    for group in children:
        try_kill(group, signal.SIGKILL, group=True)
    if own is not None:
        try_kill(own, signal.SIGKILL)


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


def leave_keyring() -> None:
    """Take an empty session keyring (``keyrings(7)``): no namespace keeps the inherited one out.

    For the calling thread, and whatever it starts from now on. A kernel without keyrings, or that
    refuses them, has none to leave.
    """
    number = _SYS_KEYCTL.get(os.uname().machine)
    if number is not None:
        _call("syscall", number, KEYCTL_JOIN_SESSION_KEYRING, None)


def _prctl(option: int, value: int) -> None:
    _call("prctl", option, value, 0, 0, 0)


def _call(name: str, *arguments: int | None) -> None:
    function = _ctypes.dlsym(_ctypes.dlopen(None, 0), name)  # type: ignore[arg-type]
    _ctypes.call_function(function, arguments)
