"""What somebody may have meant: texts like one that is not there, among many that strangers chose.

``difflib`` compares each with each, and a pair in time that grows with the square of its length: a
folder of long and similar names would keep the server busy for minutes.
"""

import difflib
import heapq
from collections.abc import Iterable
from itertools import takewhile

# As many, and as much of each, as are compared in a tenth of a second.
COMPARED = 200
_END = 40  # characters at the beginning and at the end of a long one


def closest(wanted: str, known: Iterable[str], count: int, cutoff: float) -> list[str]:
    """Return at most ``count`` texts like one, the likest first; ``cutoff`` is between 0 and 1.

    Of many those are compared that begin and end most as it does.
    """
    goal = _shortened(wanted)
    texts: dict[str, str] = {}
    for text in known:
        texts.setdefault(_shortened(text), text)
    near: Iterable[str] = texts
    if len(texts) > COMPARED:
        near = heapq.nlargest(COMPARED, texts, key=lambda text: _shared(text, goal))
    return [texts[text] for text in difflib.get_close_matches(goal, near, count, cutoff)]


def _shortened(text: str) -> str:
    return text if len(text) <= 2 * _END else text[:_END] + text[-_END:]


def _shared(one: str, other: str) -> int:
    """Return how many characters two texts begin and end alike with."""
    ends = zip(one[:_END], other[:_END], strict=False), zip(one[::-1], other[::-1], strict=False)
    return sum(1 for end in ends for _ in takewhile(lambda pair: pair[0] == pair[1], end))
