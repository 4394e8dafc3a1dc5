"""The first process of a container that has no init of its own.

The kernel gives it every process whose parent has ended, and nobody else can reap those. A server
that has this number itself would keep a dead process for each sandbox that it ever made.
"""

import os
import signal

_BY_TERMINAL = 0x80  # SI_KERNEL: the whole group was told, the child too
_PASSED_ON = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGWINCH}


def stand_first() -> None:
    """Leave number 1 to a process that does no more than reap and pass on signals.

    Where this process is not the first, nothing happens. Otherwise the child returns from here, and
    the first process ends as it does: 128 and the number of the signal where one killed it. With
    it the kernel ends all others, as with any first process.
    """
    if os.getpid() != 1:
        return
    awaited = _PASSED_ON | {signal.SIGCHLD}
    # Kept for us from now on: what comes before the child is known is not lost.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return
    while True:
        told = signal.sigwaitinfo(awaited)
        if told.si_signo == signal.SIGCHLD:
            _reap(child)
        elif told.si_code != _BY_TERMINAL:
            os.kill(child, told.si_signo)


def _reap(child: int) -> None:
    """Collect all that have ended; end with the child."""
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)
        if pid == 0:
            return
