"""When a command wrote a byte of its output, as its shim noted it (``shim.timeline``)."""

import bisect
import contextlib
import os
from pathlib import Path

from debug_mcp.runner.shim.output import TIMELINES
from debug_mcp.runner.shim.timeline import ENTRY_BYTES, NUMBER_BYTES
from debug_mcp.runner.supervisor import read_fields


def written_after(path: Path, offsets: list[int]) -> list[float | None]:
    """Return for each byte how many seconds after the start it was written, to about 0.1 s.

    Args:
        path: The file of a stream in a command's directory.
        offsets: Of bytes that are in it; None comes for one that is not.
    """
    try:
        seen = path.stat()
    except FileNotFoundError:
        return [None] * len(offsets)
    state = read_fields(path.with_name("state"))
    # What no entry covers yet was written when the file was: at the end of what is there.
    latest = None if state is None else max(seen.st_mtime - float(state["started"]), 0.0)
    with contextlib.ExitStack() as stack:
        try:
            file = os.open(path.with_name(TIMELINES[path.name]), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            found: list[float | None] = [latest] * len(offsets)
        else:
            stack.callback(os.close, file)
            found = [_looked_up(file, offset, latest) for offset in offsets]
    return [
        after if offset < seen.st_size else None
        for offset, after in zip(offsets, found, strict=True)
    ]


def _looked_up(file: int, offset: int, latest: float | None) -> float | None:
    """Return the time of the first entry by which a byte was written."""
    entries = range(os.fstat(file).st_size // ENTRY_BYTES)
    place = bisect.bisect_right(entries, offset, key=lambda entry: _number(file, entry, 1))
    return _number(file, place, 0) / 1000 if place < len(entries) else latest


def _number(file: int, entry: int, which: int) -> int:
    data = os.pread(file, NUMBER_BYTES, entry * ENTRY_BYTES + which * NUMBER_BYTES)
    return int.from_bytes(data, "little")
