"""Post-mortem: where the processes of a command stand, or stood just before they were ended."""

from datetime import datetime

from pydantic import Field

from debug_mcp.errors import NextCall
from debug_mcp.models.base import Arguments, Moment, Seconds, View
from debug_mcp.models.commands import CommandState
from debug_mcp.models.debugging import Values
from debug_mcp.models.outputs import CommandId


class DebugPostmortem(Arguments):
    """Arguments of ``debug_postmortem``."""

    command_id: CommandId


class StackView(View):
    """A thread: the innermost frame first, and the variables of the innermost of the tree's own.

    ``runs``: it was at work, and did not wait.
    """

    thread: str
    runs: bool | None = None
    holds_gil: bool | None = None
    stack: tuple[str, ...]
    more_frames: int | None = None
    at: str | None = None
    locals: Values = Field(default={})
    more_locals: int | None = None


class ProcessView(View):
    """A process of the command, by its number inside the session; ``why`` it has no stacks.

    Of one in a core file neither number nor time is known.
    """

    process: int | None = None
    command: str
    state: str
    cpu_seconds: Seconds | None = None
    threads: tuple[StackView, ...] = ()
    more_threads: int | None = None
    why: str | None = None


class PostmortemView(View):
    """What a command's processes do, or did when they were looked at last (``looked_at``)."""

    command_id: str
    state: CommandState
    looked_at: Moment | None = None
    processes: tuple[ProcessView, ...] = ()
    more_processes: int | None = None
    hint: str | None = None
    next: NextCall | None = None


class LastLook(View):
    """What is kept of a look shortly before a deadline, or into a core file (its name)."""

    looked_at: datetime
    processes: tuple[ProcessView, ...]
    more_processes: int | None = None
    core: str | None = None
