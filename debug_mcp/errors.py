"""The errors a caller can act on, named by what they can do about them.

Each carries the facts that let a model correct itself: the field at fault, what would be valid, and
the corrected call. This module knows nothing of how an error is shown; ``interfaces.errors`` does.
"""

from collections.abc import Sequence
from typing import ClassVar

# pydantic reads it, and on 3.11 the one in typing lacks what it needs.
from typing_extensions import TypedDict


class NextCall(TypedDict):
    """One call, ready to send."""

    tool: str
    arguments: dict[str, object]


class DebugMcpError(Exception):
    """The base of every error that is shown to a caller.

    Args:
        message: What was wrong, in one sentence.
        field: The argument at fault.
        candidates: Values that would have been valid, nearest first.
        next_call: The corrected call.
        details: Further facts, such as ``file`` and ``line`` of a patch that does not apply.
    """

    code: ClassVar[str] = "internal"

    def __init__(
        self,
        message: str,
        *,
        field: str | None = None,
        candidates: Sequence[str] = (),
        next_call: NextCall | None = None,
        **details: str | int | float,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.candidates = tuple(candidates)
        self.next_call = next_call
        self.details = details


class InvalidInput(DebugMcpError):
    """An argument is missing, unknown or malformed: correct it and call again."""

    code = "invalid_input"


class NotFound(DebugMcpError):
    """There is no such object of the caller's: pick one of the candidates."""

    code = "not_found"


class Conflict(DebugMcpError):
    """The object is not in a state that allows this: look at its state first."""

    code = "conflict"


class Unauthenticated(DebugMcpError):
    """Over HTTP: there is no valid token. Send one in the Authorization header."""

    code = "unauthenticated"


class PermissionDenied(DebugMcpError):
    """The principal lacks a scope: ask the operator for one."""

    code = "permission_denied"


class Busy(DebugMcpError):
    """A limit is reached for now: try again later."""

    code = "busy"


class ToolFailed(DebugMcpError):
    """A program that the server needs failed: the message says which and how."""

    code = "tool_failed"


class Unavailable(DebugMcpError):
    """The server cannot do this on this machine: the message names the remedy."""

    code = "unavailable"
