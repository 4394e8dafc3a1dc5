"""Coverage: which lines of a project ran, as the files say that a command left."""

from typing import Annotated

from pydantic import PlainSerializer

from debug_mcp.models.base import View


def _round(percent: float) -> float:
    # Never up to 100 where a line is missing.
    return int(percent * 10) / 10


Percent = Annotated[float, PlainSerializer(_round, return_type=float)]
"""A share in percent, shown with one decimal."""


class FileCoverageView(View):
    """A file of which not every line ran; ``missing`` counts them."""

    path: str
    percent: Percent
    missing: int


class CoverageView(View):
    """How many of the lines of how many files ran; ``lowest`` are the files with the least."""

    percent: Percent
    files: int
    lines: int
    missing: int
    lowest: tuple[FileCoverageView, ...] = ()
