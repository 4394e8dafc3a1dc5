"""Who looks on: told of each call, of each end of a command, and of each tree for a session.

Nothing here waits or stores: whoever looks on counts or writes a line, and must not raise.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from debug_mcp.models.audit import Entry
from debug_mcp.models.commands import Command, Outcome


@dataclass(frozen=True, slots=True)
class SeenEnd:
    """A command that has ended: how long it waited and ran, in seconds."""

    command: Command
    outcome: Outcome
    queue_seconds: float
    run_seconds: float


class Found(StrEnum):
    """What the pool had for a session: a tree at its commit, one at another commit, or none."""

    HIT = "hit"
    SWITCHED = "switched"
    MISS = "miss"


class Observers:
    """All who look on at one server."""

    def __init__(self) -> None:
        self._calls: list[Callable[[Entry], None]] = []
        self._ends: list[Callable[[SeenEnd], None]] = []
        self._looks: list[Callable[[Found], None]] = []

    def at_each_call(self, seen: Callable[[Entry], None]) -> None:
        """Have somebody told of each call, also of one that the audit log does not keep."""
        self._calls.append(seen)

    def at_each_end(self, seen: Callable[[SeenEnd], None]) -> None:
        """Have somebody told of each command that this server has seen end."""
        self._ends.append(seen)

    def at_each_look_for_a_tree(self, seen: Callable[[Found], None]) -> None:
        """Have somebody told of what the pool had, in the thread that asked it."""
        self._looks.append(seen)

    def called(self, call: Entry) -> None:
        """Tell of a call that is over."""
        for seen in self._calls:
            seen(call)

    def ended(self, end: SeenEnd) -> None:
        """Tell of the end of a command."""
        for seen in self._ends:
            seen(end)

    def looked_for_a_tree(self, found: Found) -> None:
        """Tell of what the pool had."""
        for seen in self._looks:
            seen(found)
