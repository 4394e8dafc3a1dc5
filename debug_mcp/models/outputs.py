"""Output: the bytes that a command wrote, addressed by byte offset for ever."""

from typing import Annotated, Literal

from pydantic import Field

from debug_mcp.errors import NextCall
from debug_mcp.models.base import Arguments, Seconds, View

CommandId = Annotated[str, Field(min_length=1, max_length=64)]
Mode = Literal["tail", "head", "range", "search", "errors"]
StreamName = Literal["stdout", "stderr"]
PAGE_BYTES = 40_000


class CommandOutput(Arguments):
    """Arguments of ``command_output``. ``stream``: a stderr that is apart, instead of stdout."""

    command_id: CommandId
    mode: Mode | None = Field(default=None, description="default tail")
    stream: Literal["stderr"] | None = None
    pattern: str | None = Field(
        default=None, description="a text within a line, or re: and an RE2 pattern"
    )
    context: int = Field(default=0, ge=0, le=10, description="lines around each match")
    offset: int = Field(default=0, ge=0, description="first byte, for range, search and errors")
    length: int = Field(
        default=6000, ge=1, le=PAGE_BYTES, description="bytes; default 6000, at most 40000"
    )
    limit: int = Field(
        default=20, ge=1, le=100, description="matches or errors; default 20, at most 100"
    )
    raw: bool = Field(default=False, description="with escape codes")


class OutputView(View):
    """A part of the output.

    ``omitted`` names the byte range that was cut from the middle; ``next_offset`` is where to go
    on reading.
    """

    text: str
    total_bytes: int
    omitted: tuple[int, int] | None = None
    offset: int | None = None
    next_offset: int | None = None


class MatchView(View):
    """A line in which something was found; ``offset`` is that of the match, ``line`` from 1.

    ``after_seconds``: when it was written, counted from the command's start.
    """

    offset: int
    line: int
    after_seconds: Seconds | None = None
    text: str
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


class FaultView(View):
    """A line that looks like an error; ``count`` lines say the same, if it is not the only one.

    ``at`` is the last place that a traceback names, ``after_seconds`` as in a match.
    """

    kind: str
    text: str
    at: str | None = None
    offset: int
    line: int
    after_seconds: Seconds | None = None
    count: int | None = None


class OutputPage(View):
    """A page of a command's output: a part of it, or what was found in it.

    ``total_matches`` counts the lines from ``offset`` on, up to ``searched_to`` where that is not
    the end. ``next_offset`` goes on behind what is shown. ``written_seconds``: when the first and
    the last byte of the part were written, counted from the command's start.
    """

    command_id: str
    mode: Mode
    state: str
    written_seconds: tuple[Seconds, Seconds] | None = None
    output: OutputView | None = None
    matches: tuple[MatchView, ...] = ()
    total_matches: int | None = None
    errors: tuple[FaultView, ...] = ()
    total_errors: int | None = None
    total_bytes: int | None = None
    searched_to: int | None = None
    next_offset: int | None = None
    hint: str | None = None
    next: NextCall | None = None
