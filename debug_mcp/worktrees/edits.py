"""Edits of one text: ``old`` is replaced by ``new`` where it stands, exactly once.

Pure: bytes in, bytes out. On bytes, because a file that is not UTF-8 must keep what is not edited.
"""

import difflib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from debug_mcp.alike import closest
from debug_mcp.errors import Conflict

_LISTED = 10
_COMPARED_LINES = 20_000
_COUNTED_LINES = 2_000
SHOWN_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class Counts:
    """How many lines a change adds and removes."""

    added: int
    removed: int

    @property
    def lines(self) -> str:
        """Return ``+added -removed``."""
        return f"+{self.added} -{self.removed}"


def replace_once(content: bytes, old: str, new: str, path: str) -> bytes:
    """Return a file's content with ``old`` replaced by ``new``.

    In a file with CRLF line ends, texts that are sent with LF stand for the same with CRLF.

    Raises:
        Conflict: ``old`` is not there, or more than once; the message names the lines.
    """
    pairs = [(_encoded(old), _encoded(new))]
    if "\r" not in old and b"\r\n" in content and "\n" in old + new:
        dos = [_encoded(text.replace("\r\n", "\n").replace("\n", "\r\n")) for text in (old, new)]
        pairs.insert(0, (dos[0], dos[1]))
    for before, after in pairs:
        places = _places(content, before)
        if len(places) == 1:
            return content[: places[0]] + after + content[places[0] + len(before) :]
        if places:
            raise _several(content, places, path)
    raise _absent(content, old, path)


def count(before: bytes, after: bytes) -> Counts:
    """Return how many lines differ; of very different large texts, at most a few too many."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    pairs = zip(old, new, strict=False)
    head = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
    old, new = old[head:], new[head:]
    pairs = zip(reversed(old), reversed(new), strict=False)
    tail = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
    old, new = old[: len(old) - tail], new[: len(new) - tail]
    if max(len(old), len(new)) > _COUNTED_LINES:
        return Counts(len(new), len(old))
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    same = sum(block.size for block in matcher.get_matching_blocks())
    return Counts(len(new) - same, len(old) - same)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _places(content: bytes, wanted: bytes) -> list[int]:
    """Return where a text begins, overlapping occurrences too."""
    places, at = [], content.find(wanted)
    while at >= 0:
        places.append(at)
        at = content.find(wanted, at + 1)
    return places


def _several(content: bytes, places: Sequence[int], path: str) -> Conflict:
    lines = [content.count(b"\n", 0, place) + 1 for place in places[:_LISTED]]
    listed = ", ".join(map(str, lines)) + (", …" if len(places) > _LISTED else "")
    return Conflict(
        f"old occurs {len(places)} times in {path}, at lines {listed}; add lines around it until "
        "it occurs once; nothing was changed",
        field="edits",
        file=path,
        line=lines[0],
    )


def _absent(content: bytes, old: str, path: str) -> Conflict:
    lines = content.decode("utf-8", "replace").split("\n")[:_COMPARED_LINES]
    wanted = old.strip("\n").split("\n")
    spaced = _differently_spaced(lines, wanted)
    if spaced is not None:
        line, expected, found = spaced
        why = "it stands there with other white space"
    else:
        line, expected, found = _nearest(lines, wanted)
        why = "the nearest line is" if line else "nothing there is like it"
    if not line:
        return Conflict(
            f"old does not occur in {path}: {why}; nothing was changed", field="edits", file=path
        )
    return Conflict(
        f"old does not occur in {path}: {why}{' at' if spaced else ''} line {line}; "
        "nothing was changed",
        field="edits",
        file=path,
        line=line,
        expected=expected[:SHOWN_CHARACTERS],
        found=found[:SHOWN_CHARACTERS],
    )


def _differently_spaced(lines: list[str], wanted: list[str]) -> tuple[int, str, str] | None:
    """Return the first line that differs where the text stands but for its white space."""
    bare = ["".join(line.split()) for line in wanted]
    if not any(bare):
        return None
    loose = ["".join(line.split()) for line in lines]
    for start in range(len(loose) - len(bare) + 1):
        if loose[start : start + len(bare)] == bare:
            found = lines[start : start + len(bare)]
            pairs = zip(itertools.count(start + 1), wanted, found, strict=False)
            return next((pair for pair in pairs if pair[1] != pair[2]), (start + 1, "", ""))
    return None


def _nearest(lines: list[str], wanted: list[str]) -> tuple[int, str, str]:
    """Return the first wanted line that has no equal in the file, and the line most like it."""
    there = set(lines)
    expected = next((line for line in wanted if line.strip() and line not in there), wanted[0])
    alike = closest(expected, lines, 1, 0.5)
    return (lines.index(alike[0]) + 1, expected, alike[0]) if alike else (0, expected, "")
