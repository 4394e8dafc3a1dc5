"""Reading a command's output: bytes addressed by offset, decoded late.

The bytes are kept exactly as written; only what is shown is decoded, with replacement.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

# Longest UTF-8 sequence, less one: how much of a character a cut can leave behind.
_PARTIAL = 3


@dataclass(frozen=True, slots=True)
class Page:
    """Bytes ``start`` to ``end`` of ``total`` as text.

    ``omitted`` is the byte range that was left out of the middle.
    """

    text: str
    start: int
    end: int
    total: int
    omitted: tuple[int, int] | None = None


def excerpt(path: Path, limit: int, since: int = 0, *, growing: bool = False) -> Page:
    """Return the output from ``since`` on; if it is over ``limit`` bytes, its head and tail.

    The tail gets two thirds: what went wrong usually stands at the end. ``growing`` as in ``read``.
    """
    total = _size(path)
    since = min(since, total)
    if total - since <= limit:
        return read(path, since, total - since, growing=growing)
    head = read(path, since, limit // 3)
    length = limit - limit // 3
    tail = read(path, total - length, length, growing=growing)
    cut = (head.end, tail.start)
    text = f"{head.text}\n[… bytes {cut[0]} to {cut[1]} left out …]\n{tail.text}"
    return Page(text, head.start, tail.end, tail.total, cut)


def tail(path: Path, length: int, *, growing: bool = False) -> Page:
    """Return the last bytes; ``growing`` as in ``read``."""
    total = _size(path)
    return read(path, max(total - length, 0), length, growing=growing)


def read(path: Path, offset: int, length: int, *, growing: bool = False) -> Page:
    """Return a range, moved to whole characters: pages that follow each other lose nothing.

    Args:
        path: The file; it need not be there.
        offset: In bytes.
        length: In bytes; with fewer than four a long character falls apart.
        growing: More may come: leave a character that is unfinished at the very end for later.
    """
    try:
        with path.open("rb") as file:
            total = os.fstat(file.fileno()).st_size
            start = min(offset, total)
            before = min(start, _PARTIAL)
            file.seek(start - before)
            data = file.read(before + length)
    except FileNotFoundError:
        return Page("", 0, 0, 0)
    lacking = _unfinished(data[:before])[1]
    data = data[before:]
    end = start + len(data)
    if end < total or growing:
        back, _ = _unfinished(data)
        if back < len(data) or growing:
            data = data[: len(data) - back]
            end -= back
    skipped = _continuation(data[:lacking])
    return Page(data[skipped:].decode("utf-8", "replace"), start + skipped, end, total)


def last_written(path: Path) -> float | None:
    """Return how many seconds ago the output grew, or None when there is none."""
    try:
        return max(time.time() - path.stat().st_mtime, 0)
    except FileNotFoundError:
        return None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _continuation(data: bytes) -> int:
    """Return how many bytes at the start can only continue a character."""
    count = 0
    while count < len(data) and data[count] & 0xC0 == 0x80:
        count += 1
    return count


def _unfinished(data: bytes) -> tuple[int, int]:
    """Return how many bytes at the end begin a character, and how many that lacks."""
    for back in range(1, min(_PARTIAL, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 == 0xC0:
            needed = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return (back, needed - back) if back < needed else (0, 0)
        if byte & 0x80 == 0:
            break
    return 0, 0
