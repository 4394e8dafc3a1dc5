"""The command's processes: followed, ended and reaped."""

import _signal as signal  # type: ignore[import-not-found]
import os
import time

from debug_mcp.runner.shim.processes import children_of, kill_children, try_kill

SWEEP_PAUSE_SECONDS = 0.001


class Child:
    """The command's main process, or the sandbox around it."""

    def __init__(self, pid: int, status: int | None, terminal: bool = False) -> None:
        self.pid = pid
        self.status = status  # the read end of the sandbox's reports
        self.terminal = terminal
        self.report = b""
        self.code: int | None = None
        self.cpu, self.memory = 0.0, 0

    def reported(self, key: bytes) -> int | None:
        """Return a number from the JSON lines that the sandbox says of itself, or None."""
        try:
            self.report += b"" if self.status is None else os.read(self.status, 65536)
        except BlockingIOError:
            pass
        _, found, rest = self.report.partition(b'"' + key + b'":')
        return int(rest.split(b",")[0].split(b"}")[0]) if found else None

    def first(self) -> int | None:
        """Return the first process in the sandbox; None without one, and before there is one."""
        return None if self.status is None else self.reported(b"child-pid")

    def reap(self) -> int:
        """Collect every child that has ended; return how many the command left behind."""
        others, first = 0, self.first()
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return others
            if pid == 0:
                return others
            # The sandbox's first process did the work for it, and may end after it.
            self.cpu += usage.ru_utime + usage.ru_stime
            self.memory = max(self.memory, usage.ru_maxrss * 1024)
            if pid == self.pid:
                self.code = os.waitstatus_to_exitcode(status)
            elif pid != first:
                others += 1

    def ask_to_stop(self) -> bool:
        """Send SIGTERM to the command's process group; return False when there is nobody to ask.

        What runs in a terminal is also told that the terminal is gone: shells ignore SIGTERM there.
        """
        asked = self.send(signal.SIGTERM)
        return (self.send(signal.SIGHUP) if self.terminal else False) or asked

    def send(self, number: int) -> bool:
        """Send a signal to the command's process group; return False when there is nobody.

        Never to the sandbox itself: it would die at once, and the command inside with SIGKILL.
        Until the sandbox's first process has a child, the command has not begun, and a signal
        would be lost.
        """
        targets = [self.pid]
        if self.status is not None:
            first = self.first()
            inside = [] if first is None else children_of(first)
            if first is None or inside == []:
                return False
            # With a terminal, the command is in a session of its own inside.
            targets = inside or [] if self.terminal else [first]
        for target in targets:
            try_kill(target, number, group=True)
        return True

    def sweep(self) -> int:
        """Kill and reap until no descendant is left; return how many were left behind.

        Killing a process hands its children to us, so it is done until there is none.
        """
        swept, pause = self.reap(), SWEEP_PAUSE_SECONDS
        while True:
            # The main process goes first: with a PID namespace all else goes with it.
            if self.code is None:
                try_kill(self.pid, signal.SIGKILL, group=True)
            kill_children()
            swept += self.reap()
            try:
                if os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                    time.sleep(pause)
                    pause = min(pause * 2, 50 * SWEEP_PAUSE_SECONDS)
            except ChildProcessError:
                return swept


def verdict(child: Child, reason: str) -> tuple[str, int | None]:
    """Return (reason, code): what the command did, not what the sandbox around it did.

    The sandbox exits with 1 also when it could not start the command; only its report tells.
    """
    if child.status is None:
        return reason, child.code
    code = child.reported(b"exit-code")
    if code is None and reason == "exit" and child.code is not None and child.code >= 0:
        return "spawn_failed", None
    return reason, child.code if code is None else code
