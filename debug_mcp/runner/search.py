"""Searching output: by window, so that a gigabyte needs no more memory than a page.

A window is made of whole lines, so a line is never torn where a read ends. What no line end comes
for is searched in pieces that overlap: a match up to ``OVERLAP`` bytes long is found wherever it
stands.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from debug_mcp.runner.plain import Searchable, plain

WINDOW = 1 << 20
LONG_LINE = 1 << 16
OVERLAP = 1 << 13
LINE_CHARACTERS = 400
_BEFORE_MATCH = 100
_CONTEXT_BYTES = 1 << 14
_CONTEXT_CHARACTERS = 200


class Finder(Protocol):
    """What finds: a caller's pattern, or our own."""

    def search(self, data: bytes, start: int = 0) -> tuple[int, int] | None:
        """Return where the first match at or after ``start`` begins and ends."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A line in which something was found, and where: ``offset`` and ``end`` are of the match.

    ``text`` is the line; of a long one, what is around the match. ``line`` counts from 1; 0 where
    nobody counted.
    """

    offset: int
    end: int
    text: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class _Window:
    """What is searched at once, and where the next one begins: here again, if a line may grow."""

    offset: int
    data: bytes
    next: int


def hits(path: Path, finder: Finder, start: int = 0) -> Iterator[Hit]:
    """Yield each line in which something is found, with its number, from an offset on."""
    with _opened(path) as file:
        line, past = 1 + _lines_before(file, start), start
        offset = start
        while window := _window(file, offset):
            counted = 0
            for hit in _in_window(finder, window, past):
                past = hit.end
                at = hit.offset - window.offset
                line += window.data.count(b"\n", counted, at)
                counted = at
                yield Hit(hit.offset, hit.end, hit.text, line)
            if window.next == offset:
                return
            line += window.data.count(b"\n", counted, window.next - offset)
            offset = window.next


class Watch:
    """Looks for something in output that grows; each byte is looked at once, or nearly."""

    def __init__(self, path: Path, finder: Finder, start: int) -> None:
        self._path = path
        self._finder = finder
        self._seen = start
        self.offset = start
        """Everything before is searched; a later search goes on from here."""

    @property
    def size(self) -> int:
        """How far the output has been looked at: more than that is new."""
        return self._seen

    def look(self) -> tuple[Hit | None, bool]:
        """Look at one window; return what was found, and whether there is more to look at now."""
        with _opened(self._path) as file:
            window = _window(file, self.offset)
            if window is None:
                return None, False
            self._seen = max(self._seen, window.offset + len(window.data))
            hit = next(_in_window(self._finder, window, window.offset), None)
            if hit is None:
                self.offset = window.next
            return hit, hit is None and os.fstat(file).st_size > self._seen


def context(path: Path, hit: Hit, lines: int) -> tuple[list[str], list[str]]:
    """Return the lines before and after a hit's."""
    with _opened(path) as file:
        start = max(hit.offset - _CONTEXT_BYTES, 0)
        before = os.pread(file, hit.offset - start, start)
        after = os.pread(file, _CONTEXT_BYTES, hit.offset)
    # The last part is the hit's own line, and after it comes what follows.
    above = _readable(before).split("\n")[:-1]
    below = _readable(after).split("\n")[1:]
    if below and not below[-1]:
        below.pop()
    if start:
        above = above[1:]  # it may be half a line
    return [line[:_CONTEXT_CHARACTERS] for line in above[-lines:]], [
        line[:_CONTEXT_CHARACTERS] for line in below[:lines]
    ]


def following(path: Path, offset: int, length: int = LONG_LINE) -> str:
    """Return what a reader is shown of the bytes from an offset on."""
    with _opened(path) as file:
        return _readable(os.pread(file, length, offset))


def _in_window(finder: Finder, window: _Window, past: int) -> Iterator[Hit]:
    """Yield the lines of a window in which something is found that begins at or after ``past``."""
    text = Searchable(window.data)
    position = 0
    while position < len(text.data) and (found := finder.search(text.data, position)):
        start, end = found
        line_end = text.data.find(b"\n", end)
        position = len(text.data) if line_end < 0 else line_end + 1
        offset = window.offset + text.origin(start)
        if offset < past:  # told already: it stands in the overlap of two pieces
            position = end
            continue
        line_start = text.data.rfind(b"\n", 0, start) + 1
        stop = len(text.data) if line_end < 0 else line_end
        shown = _around(text.data[line_start:stop], start - line_start)
        yield Hit(offset, window.offset + text.origin(end - 1) + 1, shown)


def _around(line: bytes, at: int) -> str:
    """Return a line, or of a long one what is around a position."""
    if len(line) <= LINE_CHARACTERS:
        return line.decode("utf-8", "replace")
    start = max(min(at - _BEFORE_MATCH, len(line) - LINE_CHARACTERS), 0)
    cut = line[start : start + LINE_CHARACTERS].decode("utf-8", "replace")
    return ("…" if start else "") + cut + ("…" if start + LINE_CHARACTERS < len(line) else "")


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    """Yield a descriptor; of a command that has written nothing yet, an empty file's."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        file = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield file
    finally:
        os.close(file)


def _readable(data: bytes) -> str:
    return plain(data.decode("utf-8", "replace"))


def _window(file: int, offset: int) -> _Window | None:
    data = os.pread(file, WINDOW, offset)
    if not data:
        return None
    end = data.rfind(b"\n") + 1
    if end:
        return _Window(offset, data[:end], offset + end)
    if len(data) > LONG_LINE:
        return _Window(offset, data, offset + len(data) - OVERLAP)
    return _Window(offset, data, offset)


def _lines_before(file: int, offset: int) -> int:
    return sum(
        os.pread(file, min(WINDOW, offset - start), start).count(b"\n")
        for start in range(0, offset, WINDOW)
    )
