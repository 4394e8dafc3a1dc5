"""A row of the table of commands as a command."""

from pydantic import ValidationError

from debug_mcp.models.commands import (
    Command,
    CommandKind,
    CommandRun,
    CommandState,
    Limit,
    Outcome,
)
from debug_mcp.store.database import Row
from debug_mcp.store.rows import moment, to_moment

_UNREADABLE = "(cannot be read)"


def command_of(row: Row) -> Command:
    """Return what a row says; ``damaged`` where nobody can read what was asked."""
    try:
        request = CommandRun.model_validate_json(row["request"])
        damaged = False
    except ValidationError:  # one row that nobody can read must not stop the queue
        request = CommandRun(session_id=row["session_id"], command=_UNREADABLE)
        damaged = True
    return Command(
        id=row["id"],
        session_id=row["session_id"],
        principal=row["principal"],
        state=CommandState(row["state"]),
        request=request,
        accepted_at=moment(row["accepted_at"]),
        kind=CommandKind(row["kind"]),
        instance=row["instance"],
        cancel_requested=bool(row["cancel_requested"]),
        started_at=to_moment(row["started_at"]),
        ended_at=to_moment(row["ended_at"]),
        outcome=None if row["outcome"] is None else Outcome(row["outcome"]),
        exit_code=row["exit_code"],
        elapsed_seconds=row["elapsed_seconds"],
        cpu_seconds=row["cpu_seconds"],
        memory_bytes=row["memory_bytes"],
        stragglers=row["stragglers"],
        output_bytes=row["output_bytes"],
        stderr_bytes=row["stderr_bytes"],
        output_dropped=row["output_dropped"],
        message=row["message"],
        limit=None
        if row["limit_name"] is None
        else Limit(name=row["limit_name"], value=row["limit_value"]),
        collected=row["collected"],
        damaged=damaged,
    )
