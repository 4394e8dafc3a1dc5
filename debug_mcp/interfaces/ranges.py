"""Which bytes of a file a request asks for (RFC 9110, sections 13 and 14)."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from starlette.datastructures import Headers

_ONE_RANGE = re.compile(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes ``start`` to ``end``, which is not among them, of ``size``.

    ``whole``: all of it was asked for, or what was asked for cannot be told.
    """

    start: int
    end: int
    size: int
    whole: bool = False

    @property
    def content_range(self) -> str:
        """The header that says which part it is."""
        return f"bytes {self.start}-{self.end - 1}/{self.size}"


def asked_part(headers: Headers, size: int, same: Callable[[str], bool]) -> Part | None:
    """Return the part that is asked for; None when there is nothing there.

    One range is served. Several, another unit and nonsense are answered with the whole, as the
    RFC allows.

    Args:
        headers: Of the request.
        size: Of the file as it is now.
        same: Says whether a tag in If-Range is that of a file which this one goes on with.
    """
    whole = Part(0, size, size, whole=True)
    asked = headers.getlist("range")
    found = _ONE_RANGE.fullmatch(asked[0]) if len(asked) == 1 else None
    if found is None or not any(found.groups()):
        return whole
    condition = headers.get("if-range")
    if condition is not None and not same(condition.strip()):
        return whole
    first, last = found.groups()
    if not first:
        length = min(int(last), size)
        return Part(size - length, size, size) if length else None
    start = int(first)
    end = min(int(last) + 1, size) if last else size
    if last and int(last) < start:
        return whole  # no valid range: RFC 9110, section 14.1.1
    return Part(start, end, size) if start < size else None
