"""The life of a command: events until its end, and what ends it."""

import _signal as signal  # type: ignore[import-not-found]
import os
import select
import time

from debug_mcp.runner.shim.child import Child
from debug_mcp.runner.shim.limits import Limits
from debug_mcp.runner.shim.output import Output
from debug_mcp.runner.shim.spec import Spec
from debug_mcp.runner.shim.stdin import Stdin

LONGEST_POLL_SECONDS = 3600  # poll(2) counts milliseconds in an int


class Watch:
    """Waits until the main process ends, a deadline passes or a cancel arrives."""

    def __init__(
        self, spec: Spec, child: Child, output: Output, stdin: Stdin, wakeups: int
    ) -> None:
        self.child = child
        self.output = output
        self.stdin = stdin
        self.wakeups = wakeups
        self.cancelled = False
        self.limits = Limits(spec)
        self.limit = ""  # which one was met
        self.deadline = time.monotonic() + float(spec.fields[b"timeout"])
        idle = spec.fields.get(b"idle_timeout")
        self.idle = None if idle is None else float(idle)
        self.grace = float(spec.fields[b"grace"])
        self.poll = select.poll()
        self.poll.register(wakeups, select.POLLIN)
        for pipe in output.streams:
            self.poll.register(pipe, select.POLLIN)
        self.hung_up = False
        if stdin.hangup is not None:
            self.poll.register(stdin.hangup, select.POLLRDHUP)
        self.typing: dict[int, int] = {}

    def run(self) -> str:
        """Return why it ended: exit, timeout, idle_timeout, limit, cancel or hangup."""
        while True:
            reason = self._due()
            if reason == "limit":
                return reason  # not even a moment more: it might go on to grow
            if reason is not None:
                self._stop()
                return reason
            idle_at = self.deadline if self.idle is None else self.output.last + self.idle
            self._step(min(self.deadline, idle_at, self.limits.at))
            if self.child.code is not None:
                return "exit"

    def _due(self) -> str | None:
        now = time.monotonic()
        if self.cancelled:
            return "cancel"
        if self.hung_up:
            return "hangup"
        if now >= self.deadline:
            return "timeout"
        if self.idle is not None and now >= self.output.last + self.idle:
            return "idle_timeout"
        self.limit = self.limits.met(self.child) or ""
        return "limit" if self.limit else None

    def _stop(self) -> None:
        end = time.monotonic() + (self.grace if self.child.ask_to_stop() else 0)
        while self.child.code is None and time.monotonic() < end:
            self._step(end)

    def _step(self, until: float) -> None:
        """Handle one round of events."""
        left = min(max(until - time.monotonic(), 0), LONGEST_POLL_SECONDS)
        self._listen()
        ready = {fd for fd, _ in self.poll.poll(left * 1000 + 1)}
        for number in self.stdin.step(ready):
            self.child.send(number)
        for fd in ready - self.typing.keys():
            if fd == self.wakeups:
                self.cancelled |= signal.SIGTERM in os.read(fd, 4096)
                self.child.reap()
            elif fd == self.stdin.hangup:
                self.hung_up = True
                self.poll.unregister(fd)
            elif not self.output.drain(fd):
                self.poll.unregister(fd)

    def _listen(self) -> None:
        """Wait for as much of what is typed as there is room for."""
        wanted = self.stdin.interests()
        for fd in self.typing.keys() - wanted.keys():
            self.poll.unregister(fd)
        for fd, events in wanted.items():
            self.poll.register(fd, events)
        self.typing = wanted
