"""Times as they are written on the command line: ``30d``."""

import re
from datetime import timedelta

from debug_mcp.errors import InvalidInput

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def seconds_of(text: str | None, option: str) -> float | None:
    """Return how many seconds ``30d`` are; None for nothing.

    Raises:
        InvalidInput: It is no such time.
    """
    if text is None:
        return None
    match = re.fullmatch(r"([1-9]\d{0,3})([mhdw])", text)
    if match is None:
        raise InvalidInput(
            f"--{option} {text!r} is no time: write a number and m, h, d or w, such as 30d",
            field=option,
        )
    return timedelta(**{_UNITS[match[2]]: int(match[1])}).total_seconds()
