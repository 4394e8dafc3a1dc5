"""Reading a command's output: bytes addressed by offset, decoded late.

The bytes are kept exactly as written; only what is shown is decoded, with replacement.
"""

import os
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from debug_mcp.runner.plain import plain

# Longest UTF-8 sequence, less one: how much of a character a cut can leave behind.
_PARTIAL = 3
# How much more than is shown we look at, for the sake of escape codes and progress bars.
_SPREAD = 16
LINE_BYTES = 1000


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
    """Return the output from ``since`` on; if that shows over ``limit`` bytes, head and tail of it.

    The tail gets two thirds: what went wrong usually stands at the end. Cuts are made between lines
    where there are any. Escape codes and what a progress bar overwrites take no room, for they are
    not shown (``runner.plain``). ``growing`` as in ``read``.
    """
    total = size(path)
    since = min(since, total)
    if total - since <= limit:
        return read(path, since, total - since, growing=growing)
    head_end = since + _fitting(_lines(path, since, _SPREAD * limit), limit // 3)
    kept = limit - limit // 3
    before = max(since, total - _SPREAD * kept)
    tail_start = total - _fitting(reversed(_lines(path, before, total - before)), kept)
    if head_end >= tail_start:
        return read(path, since, total - since, growing=growing)
    head = read(path, since, head_end - since)
    tail = read(path, tail_start, total - tail_start, growing=growing)
    cut = (head.end, tail.start)
    between = "" if head.text.endswith("\n") else "\n"
    mark = f"{between}[… bytes {cut[0]} to {cut[1]} left out …]\n"
    return Page(head.text + mark + tail.text, head.start, tail.end, tail.total, cut)


def _visible(data: bytes) -> int:
    return len(plain(data.decode("latin-1")))


def _fitting(lines: Iterable[bytes], room: int) -> int:
    """Return how many bytes may be shown: whole lines, or where those are long a part of one."""
    taken = shown = 0
    for line in lines:
        length = _visible(line)
        if shown + length > room:
            break
        taken += len(line)
        shown += length
    return taken if 2 * shown >= room else taken + room - shown


def _lines(path: Path, offset: int, length: int) -> list[bytes]:
    """Return the lines of a range with their ends; unlike ``splitlines``, by line feeds alone."""
    return re.findall(rb"[^\n]*\n|[^\n]+", _bytes(path, offset, length))


def _bytes(path: Path, offset: int, length: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(length)
    except FileNotFoundError:
        return b""


def tail(path: Path, length: int, *, growing: bool = False) -> Page:
    """Return the last bytes; ``growing`` as in ``read``."""
    total = size(path)
    return read(path, max(total - length, 0), length, growing=growing)


def last_line(path: Path) -> Page:
    """Return the last line that is not empty, at most its last ``LINE_BYTES``."""
    total = size(path)
    start = max(total - LINE_BYTES, 0)
    try:
        with path.open("rb") as file:
            file.seek(start)
            data = file.read(total - start)
    except FileNotFoundError:
        return Page("", 0, 0, 0)
    start += data.rstrip().rfind(b"\n") + 1
    page = read(path, start, total - start)
    return replace(page, omitted=(0, page.start) if page.start else None)


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


def size(path: Path) -> int:
    """Return how many bytes there are."""
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
