"""The next call that an answer names: a command again, with what would put it right."""

import re
import shlex
from dataclasses import dataclass

from debug_mcp.errors import NextCall
from debug_mcp.models.commands import Command

_WORD = r"(?<![\w./-]){}(?![\w./-])"


@dataclass(frozen=True, slots=True)
class Advice:
    """What to say of the end of a command, and the one call to send next."""

    hint: str
    next: NextCall | None = None


def again(command: Command, /, **changes: object) -> NextCall:
    """Return the call that was made, with changes; what the caller left out stays out."""
    asked = command.request.model_dump(
        mode="json", exclude_defaults=True, exclude={"idempotency_key", "wait_seconds"}
    )
    return {"tool": "command_run", "arguments": {**asked, **changes}}


def driving(debug_id: str, action: str, **further: object) -> NextCall:
    """Return the call that drives a debug run."""
    asked: dict[str, object] = {"debug_id": debug_id, "action": action, **further}
    return {"tool": "debug_control", "arguments": asked}


def with_program(command: Command, old: str, new: list[str]) -> NextCall | None:
    """Return the call again with another program; None where it is not plain what to replace."""
    asked = command.request.command
    if not isinstance(asked, str):
        return again(command, command=[*new, *asked[1:]]) if asked[0] == old else None
    found = list(re.finditer(_WORD.format(re.escape(old)), asked))
    if not found or (len(found) > 1 and found[0].start() > 0):
        return None
    start, end = found[0].span()
    return again(command, command=f"{asked[:start]}{shlex.join(new)}{asked[end:]}")


def as_text(command: Command) -> str:
    """Return what was asked as text for a shell."""
    asked = command.request.command
    return asked if isinstance(asked, str) else shlex.join(asked)


def plain(number: float) -> float:
    """Return a whole number without a fraction."""
    return int(number) if number == int(number) else number
