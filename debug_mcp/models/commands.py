"""Command: one accepted request to run a program in a session. It ends exactly once."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from debug_mcp.errors import NextCall
from debug_mcp.models.artifacts import CollectedView, Globs
from debug_mcp.models.base import Arguments, IdempotencyKey, Moment, Seconds, View, WaitSeconds
from debug_mcp.models.coverage import CoverageView
from debug_mcp.models.environment import Environment
from debug_mcp.models.outputs import CommandId, OutputView
from debug_mcp.models.results import ResultsView
from debug_mcp.models.sessions import Isolation, SessionId

# Of one command of a repository's set-up.
SCRIPT_CHARACTERS = 96 * 1024
# Of a command: a request over HTTP has at most as many bytes.
COMMAND_CHARACTERS = 4 << 20
STDIN_CHARACTERS = 256 * 1024
RUN_WAIT_SECONDS = 20
WAIT_SECONDS = 50
INPUT_WAIT_SECONDS = 1
TIMEOUT_SECONDS = 600
TIMEOUT_LIMIT_SECONDS = 24 * 3600


class CommandState(StrEnum):
    """Where a command stands."""

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    FINISHED = "finished"


class CommandKind(StrEnum):
    """What a command is for."""

    RUN = "run"
    SETUP = "setup"
    DEBUG = "debug"


class Outcome(StrEnum):
    """How a command ended; apart from its state."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    IDLE_TIMED_OUT = "idle_timed_out"
    CANCELLED = "cancelled"
    OUTPUT_LIMIT = "output_limit"
    RESOURCE_LIMIT = "resource_limit"
    SPAWN_FAILED = "spawn_failed"
    LOST = "lost"


Size = Annotated[int, Field(ge=1, le=1000)]
Key = Literal[
    "ctrl-c", "ctrl-d", "ctrl-z", "ctrl-\\", "enter", "tab", "escape", "backspace",
    "up", "down", "left", "right",
]  # fmt: skip


class CommandRun(Arguments):
    """Arguments of ``command_run``."""

    session_id: SessionId
    command: (
        Annotated[str, StringConstraints(min_length=1, max_length=COMMAND_CHARACTERS)]
        | Annotated[list[str], Field(min_length=1, max_length=4096)]
    ) = Field(description="a string runs in bash (or sh); a list runs without a shell")
    cwd: str = Field(default=".", max_length=4096, description="relative to the tree's root")
    env: Environment = Field(default={}, description="further variables")
    stdin: str | None = Field(
        default=None,
        max_length=STDIN_CHARACTERS,
        description='a text to read, or "open" to type with command_input; empty by default',
    )
    tty: bool = Field(default=False, description="in a terminal of 80 x 24; type likewise")
    timeout_seconds: float = Field(
        default=TIMEOUT_SECONDS,
        gt=0,
        le=TIMEOUT_LIMIT_SECONDS,
        description="ends it after this long; default 600, at most 86400",
    )
    idle_timeout_seconds: float | None = Field(
        default=None, gt=0, le=TIMEOUT_LIMIT_SECONDS, description="ends it when it prints nothing"
    )
    wait_seconds: WaitSeconds = Field(
        default=RUN_WAIT_SECONDS, description="answer after this long; default 20, at most 50"
    )
    until: str | None = Field(default=None, description="see command_wait")
    streams: Literal["separate"] | None = Field(default=None, description="stderr apart")
    network: bool = Field(default=False, description="share the host's network; else there is none")
    parallel: bool = Field(default=False, description="run beside the session's queue")
    artifacts: Globs = Field(
        default=[], description="globs of files to keep at its end, besides the repository's"
    )
    report: bool = Field(default=True, description="false: no plugin in pytest, no `tests`")
    idempotency_key: IdempotencyKey = None


class CommandWait(Arguments):
    """Arguments of ``command_wait``."""

    command_id: CommandId
    wait_seconds: WaitSeconds = Field(default=WAIT_SECONDS, description="default and most 50")
    since: int = Field(default=0, ge=0, description="show output from this byte offset on")
    until: str | None = Field(
        default=None,
        description="answer when this text is in the output from since on; or re: and RE2 pattern; "
        "failure: when a test fails",
    )


class CommandInput(Arguments):
    """Arguments of ``command_input``."""

    command_id: CommandId
    text: str = Field(default="", max_length=STDIN_CHARACTERS, description="as it is: end with \\n")
    key: Key | None = Field(default=None, description="after the text; ctrl-d ends the input")
    size: Annotated[list[Size], Field(min_length=2, max_length=2)] | None = Field(
        default=None, description="[columns, rows] of the terminal"
    )
    wait_seconds: WaitSeconds = Field(default=INPUT_WAIT_SECONDS, description="default 1")
    until: str | None = Field(default=None, description="answer at this text, as command_wait")


class CommandCancel(Arguments):
    """Arguments of ``command_cancel``."""

    command_id: CommandId


class CommandList(Arguments):
    """Arguments of ``command_list``."""

    session_id: SessionId | None = None
    state: CommandState | None = None
    outcome: Outcome | None = None
    cursor: str | None = Field(default=None, max_length=64, description="next_cursor of a page")
    limit: int = Field(default=20, ge=1, le=100, description="default 20, at most 100")


class Limit(View):
    """The limit that a command met."""

    name: str
    value: float


@dataclass(frozen=True, slots=True)
class Command:
    """A stored command: what was asked (``request``), and what became of it.

    ``output_bytes`` are those of all streams, ``stderr_bytes`` those of a stderr kept apart.
    ``damaged``: nobody can read what was asked, and ``request`` only stands for it.
    """

    id: str
    session_id: str
    principal: str
    state: CommandState
    request: CommandRun
    accepted_at: datetime
    kind: CommandKind = CommandKind.RUN
    instance: str | None = None
    cancel_requested: bool = False
    started_at: datetime | None = None
    ended_at: datetime | None = None
    outcome: Outcome | None = None
    exit_code: int | None = None
    elapsed_seconds: float | None = None
    cpu_seconds: float | None = None
    memory_bytes: int | None = None
    stragglers: int | None = None
    output_bytes: int | None = None
    stderr_bytes: int | None = None
    output_dropped: int | None = None
    message: str | None = None
    limit: Limit | None = None
    collected: int | None = None
    damaged: bool = False


class QueueView(View):
    """What a queued command waits for.

    ``ahead`` counts the commands of its session that come first, and ``waits_for`` is the one that
    runs now. With none ahead it waits for one of the ``places`` that all sessions share.
    """

    ahead: int
    waits_for: str | None = None
    places: int | None = None


class UntilView(View):
    """How a wait for something ended: by a match, the end, or the wait's limit.

    ``text`` is the line of the match at ``offset``; nothing before ``searched_to`` matches.
    ``test`` is the test that failed.
    """

    by: Literal["match", "end", "limit"]
    offset: int | None = None
    text: str | None = None
    test: str | None = None
    searched_to: int | None = None


class CommandView(View):
    """A command as a caller sees it: ids and outcome first, then what it printed.

    ``output`` is stdout and stderr as one stream, or stdout alone where ``stderr`` is kept apart.
    ``unread``: bytes of them, of the output from ``since`` on, that this view leaves out.
    ``isolation`` is said where it is less than the sandbox.
    """

    command_id: str
    state: CommandState
    outcome: Outcome | None = None
    exit_code: int | None = None
    signal: str | None = None
    elapsed_seconds: Seconds | None = None
    last_output_age_seconds: Seconds | None = None
    deadline_in_seconds: int | None = None
    queue: QueueView | None = None
    until: UntilView | None = None
    limit: Limit | None = None
    tests: ResultsView | None = None
    coverage: CoverageView | None = None
    output: OutputView | None = None
    stderr: OutputView | None = None
    unread: int | None = None
    artifacts: tuple[CollectedView, ...] = ()
    more_artifacts: int | None = None
    isolation: Isolation | None = None
    hint: str | None = None
    next: NextCall | None = None


class CommandRow(View):
    """A command in a list; ``command`` is the beginning of what was asked."""

    command_id: str
    session_id: str
    state: CommandState
    outcome: Outcome | None = None
    exit_code: int | None = None
    command: str
    kind: CommandKind | None = None
    parallel: bool | None = None
    queue: QueueView | None = None
    accepted_at: Moment
    elapsed_seconds: Seconds | None = None


class CommandListView(View):
    """Commands, newest first; ``next_cursor`` where there are more."""

    commands: list[CommandRow]
    next_cursor: str | None = None
    hint: str | None = None
