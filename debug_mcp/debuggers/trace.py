"""Breakpoints that record instead of stopping: the debugger prints a line at each hit.

A program's own output may stand beside such a line, so each carries marks that no program prints
by chance, and is read from the event that brought it.
"""

import re
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass

from debug_mcp.debuggers.values import clip

FIRST = LAST = 20
_BEGIN, _PART, _END = "\x01dmcp\x02", "\x03", "\x04"
_MARKED = re.compile(f"{_BEGIN}(\\d+){_PART}(.*?){_END}", re.DOTALL)


def marked(number: int, log: str | None, captures: Sequence[str]) -> str:
    """Return the message that a debugger is to print at a hit: ``{…}`` are expressions.

    Args:
        number: Of the breakpoint.
        log: What the caller wants to be recorded.
        captures: Expressions whose values are recorded besides, as Python shows them.
    """
    values = [f"{expression}={{repr({expression})}}" for expression in captures]
    return f"{_BEGIN}{number}{_PART}{' '.join([log or '', *values]).strip()}{_END}\n"


@dataclass(frozen=True, slots=True)
class Passed:
    """The ``n``-th hit of all, at the breakpoint of this number."""

    n: int
    number: int
    values: str


class Trace:
    """The first and the last hits, and how many there were at each breakpoint."""

    def __init__(self) -> None:
        self.total = 0
        self.counts: Counter[int] = Counter()
        self._first: list[Passed] = []
        self._last: deque[Passed] = deque(maxlen=LAST)

    def take(self, text: str) -> bool:
        """Take in a piece of output; return False when it is none of ours."""
        found = _MARKED.findall(text)
        for number, values in found:
            self.total += 1
            passed = Passed(self.total, int(number), clip(values))
            self.counts[passed.number] += 1
            (self._first if len(self._first) < FIRST else self._last).append(passed)
        return bool(found)

    @property
    def kept(self) -> tuple[Passed, ...]:
        """What is kept of the hits, in their order."""
        return (*self._first, *self._last)
