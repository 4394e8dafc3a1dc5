"""What callers look for in output: a text as it stands, or a pattern.

Patterns are those of RE2 (https://github.com/google/re2/wiki/Syntax), which takes time in
proportion to what it reads: with Python's ``re`` a short pattern of a caller could hold the server
for seconds.
"""

from typing import Any

import re2  # type: ignore[import-untyped]

from debug_mcp.errors import InvalidInput

PATTERN_CHARACTERS = 1000
PREFIX = "re:"
_MEMORY_BYTES = 8 * 1024 * 1024


class Pattern:
    """A compiled pattern. It never matches over the end of a line.

    Raises:
        InvalidInput: It is malformed, too long, or would be found anywhere.
    """

    def __init__(self, written: str, field: str = "pattern") -> None:
        is_pattern = written.startswith(PREFIX)
        text = written.removeprefix(PREFIX)
        _check(text, field)
        try:
            self._compiled = compiled(text, literal=not is_pattern)
        except re2.error as error:
            why = error.args[0].decode("utf-8", "replace") if error.args else "malformed"
            raise InvalidInput(
                f"{field} is no RE2 pattern: {why}; without {PREFIX!r} it is taken as a text",
                field=field,
            ) from None
        if self._compiled.search(b"") is not None:
            raise InvalidInput(f"{field} matches the empty text, so it is anywhere", field=field)

    def search(self, data: bytes, start: int = 0) -> tuple[int, int] | None:
        """Return where the first match at or after ``start`` begins and ends, in bytes."""
        found = self._compiled.search(data, start)
        return None if found is None else found.span()


def compiled(source: str, *, literal: bool = False) -> Any:
    """Return RE2's pattern object for UTF-8 bytes; ``^`` and ``$`` are the ends of a line.

    Raises:
        re2.error: It is malformed.
    """
    options = re2.Options()
    options.literal = literal
    options.never_nl = True
    options.log_errors = False
    options.max_mem = _MEMORY_BYTES
    return re2.compile(
        (source if literal else f"(?m:{source})").encode("utf-8", "replace"), options
    )


def _check(text: str, field: str) -> None:
    """Refuse what cannot be looked for.

    Raises:
        InvalidInput: It is empty, too long, or more than a line.
    """
    if not text:
        raise InvalidInput(f"{field} is empty", field=field)
    if len(text) > PATTERN_CHARACTERS:
        raise InvalidInput(
            f"{field} has {len(text)} characters; at most {PATTERN_CHARACTERS}", field=field
        )
    if "\n" in text:
        raise InvalidInput(
            f"{field} must be within a line: output is searched by line", field=field
        )
