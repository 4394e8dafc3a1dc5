"""Debug runs: a program of a session under a debugger, and what is seen of it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, WithJsonSchema, field_validator

from debug_mcp.errors import NextCall
from debug_mcp.models.base import Arguments, IdempotencyKey, View, WaitSeconds
from debug_mcp.models.environment import Environment
from debug_mcp.models.outputs import OutputView
from debug_mcp.models.results import ResultsView
from debug_mcp.models.sessions import SessionId

WAIT_SECONDS = 20
EXPRESSION_CHARACTERS = 1000
CAPTURES = 20
BREAKPOINTS = 50
STEPS = 50

Values = dict[str, str]
"""Values, each cut to what is shown of it, by name or expression."""

DebugId = Annotated[str, Field(min_length=1, max_length=64)]
Expression = Annotated[
    str, StringConstraints(min_length=1, max_length=EXPRESSION_CHARACTERS, strip_whitespace=True)
]
Expressions = Annotated[list[Expression], Field(max_length=CAPTURES)]
Action = Literal["continue", "over", "into", "out", "to", "pause", "restart", "stop"]
What = Literal["locals", "stack", "threads", "source", "breakpoints"]


class Breakpoint(Arguments):
    """One breakpoint as it is asked for."""

    at: Expression = Field(description="path:LINE, path:/text of the line/ or func:module.function")
    condition: Expression | None = None
    hits: int | None = Field(default=None, ge=1, description="stop at this hit")
    log: Expression | None = Field(
        default=None, description='record instead of stopping, as "x={x}"'
    )


def _written_shortly(value: Any) -> Any:
    """Take ``"a.py:3"`` for ``{"at": "a.py:3"}``."""
    if not isinstance(value, list):
        return value
    return [{"at": member} if isinstance(member, str) else member for member in value]


Breakpoints = Annotated[list[Breakpoint], Field(max_length=BREAKPOINTS)]


# A model has seen the members once.
_AS_BEFORE = {"type": "array", "items": {}}


class DebugRun(Arguments):
    """Arguments of ``debug_run``."""

    session_id: SessionId
    command: (
        Annotated[str, StringConstraints(min_length=1, max_length=32_768)]
        | Annotated[list[str], Field(min_length=1, max_length=1024)]
        | None
    ) = Field(default=None, description="one program, without a shell")
    test: str | None = Field(
        default=None, min_length=1, max_length=4096, description="a pytest id, instead of command"
    )
    cwd: str = Field(default=".", max_length=4096)
    env: Environment = Field(default={})
    breakpoints: Breakpoints = Field(default=[])
    stop_on: str = Field(
        default="failure",
        max_length=200,
        description="failure (default: failing test, uncaught exception, crash), "
        "raised:ValueError, entry or none",
    )
    capture: Expressions = Field(default=[], description="expressions to show at each stop")
    stop: bool = Field(
        default=True, description="false: never stop, show a table of the breakpoints' hits"
    )
    wait_seconds: WaitSeconds = Field(default=WAIT_SECONDS, description="default 20, at most 50")
    idempotency_key: IdempotencyKey = None

    _shortly = field_validator("breakpoints", mode="before")(_written_shortly)


class DebugControl(Arguments):
    """Arguments of ``debug_control``."""

    debug_id: DebugId
    action: Action = Field(description="to: run to a place; stop: end the program")
    to: Expression | None = Field(default=None, description="as a breakpoint's at")
    times: int = Field(default=1, ge=1, le=STEPS, description="steps, at most 50")
    breakpoints: Annotated[Breakpoints | None, WithJsonSchema(_AS_BEFORE)] = Field(
        default=None, description="replace all, as in debug_run"
    )
    capture: Expressions | None = None
    wait_seconds: WaitSeconds = Field(default=WAIT_SECONDS)

    _shortly = field_validator("breakpoints", mode="before")(_written_shortly)


class DebugInspect(Arguments):
    """Arguments of ``debug_inspect``."""

    debug_id: DebugId
    expressions: Expressions = Field(default=[], description="run in the frame; 5 s each")
    expand: Expression | None = Field(default=None, description="show this one's members")
    what: What = Field(default="locals")
    frame: int = Field(default=0, ge=0, description="number in stack; default 0")
    thread: int | None = None
    offset: int = Field(default=0, ge=0, description="of members, locals or frames")


class DebugState(StrEnum):
    """Where a debug run stands."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPED = "stopped"
    EXITED = "exited"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class DebugRow:
    """A stored debug run: its command, what was asked, and the last that was shown of it (JSON)."""

    id: str
    command_id: str
    session_id: str
    principal: str
    asked: DebugRun
    view: dict[str, Any]


class BreakpointView(View):
    """A breakpoint and what became of it.

    ``line`` where it was moved to; ``why`` when it never stops anything, or did not.
    """

    at: str
    line: int | None = None
    hits: int
    why: str | None = None


class Hit(View):
    """A breakpoint that was passed without stopping: the ``n``-th of all hits."""

    n: int
    at: str
    values: str


class MemberView(View):
    """A member of a value; ``members`` counts what it has itself, where that is known."""

    name: str
    value: str
    type: str | None = None


class ThreadView(View):
    """A thread, and where it is."""

    thread: int
    name: str
    at: str | None = None


class DebugView(View):
    """A program under a debugger: why it stopped, where, and what is to be seen there.

    ``stack`` begins with frame 0. ``can_step`` is false where the frames are unwound already.
    ``breakpoints`` count their hits; ``hits`` are those that did not stop.
    """

    debug_id: str
    command_id: str
    state: DebugState
    reason: str | None = None
    test: str | None = None
    at: str | None = None
    function: str | None = None
    exception: str | None = None
    steps: tuple[str, ...] = ()
    source: str | None = None
    frame: int | None = None
    locals: Values = Field(default={})
    more_locals: int | None = None
    captures: Values = Field(default={})
    expressions: Values = Field(default={})
    members: tuple[MemberView, ...] = ()
    more_members: int | None = None
    stack: tuple[str, ...] = ()
    more_frames: int | None = None
    thread: int | None = None
    threads: tuple[ThreadView, ...] = ()
    other_threads: int | None = None
    can_step: bool | None = None
    breakpoints: tuple[BreakpointView, ...] = ()
    hits: tuple[Hit, ...] = ()
    total_hits: int | None = None
    exit_code: int | None = None
    tests: ResultsView | None = None
    output: OutputView | None = None
    hint: str | None = None
    next: NextCall | None = None
