"""Keeps a session's network namespace alive. Started inside it, through bubblewrap.

A namespace lives as long as a process in it. This one leaves such a process behind and ends::

    python -I -S holder.py <directory>

``lock`` in the directory then holds that process's id, and is locked for as long as it lives. It is
a bare ``sleep`` by then, a third of a megabyte. The kernel ends it when ``lock`` is deleted
(``F_NOTIFY``, ``fcntl(2)``): who removes a session's folder, whoever that is, has ended its holder.
"""

import _signal as signal  # type: ignore[import-not-found]
import fcntl
import os
import sys

ALREADY_HELD = 75  # the exit code when another one was faster
SLEEPS = ("/bin/sleep", "/usr/bin/sleep", "/run/current-system/sw/bin/sleep")


def hold(directory: int) -> None:
    """Become the process that stays."""
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    # The kernel's signal for a change in a watched directory; by default it ends the process.
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(directory, fcntl.F_NOTIFY, fcntl.DN_DELETE)
    program = next(path for path in SLEEPS if os.access(path, os.X_OK))
    os.execve(program, ["sleep", "infinity"], {})  # noqa: S606


def main() -> int:
    """Leave a holder behind; return 0 once it is there."""
    directory = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECTORY)
    lock = os.open("lock", os.O_RDWR | os.O_CREAT, 0o600, dir_fd=directory)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return ALREADY_HELD
    os.ftruncate(lock, 0)
    reader, writer = os.pipe()  # closed by the holder's exec: so it is there
    holder = os.fork()
    if holder == 0:
        os.set_inheritable(directory, True)
        os.set_inheritable(lock, True)
        try:
            hold(directory)
        except (OSError, StopIteration) as error:
            os.write(writer, str(error).encode() or b"there is no sleep(1)")
        os._exit(1)
    os.close(writer)
    fault = os.read(reader, 4096)
    if fault:
        os.write(2, fault)
        return 1
    os.write(lock, str(holder).encode())
    try:
        os.stat("lock", dir_fd=directory)
    except FileNotFoundError:  # deleted before the holder watched it
        os.kill(holder, signal.SIGKILL)
        return 1
    return 0


if __name__ == "__main__":
    os._exit(main())
