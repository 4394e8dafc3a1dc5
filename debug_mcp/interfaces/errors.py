"""One table from the errors of the domain to what each way in calls them."""

from dataclasses import dataclass
from typing import Any

from mcp.shared.exceptions import MCPError

from debug_mcp.errors import (
    Busy,
    Conflict,
    DebugMcpError,
    InvalidInput,
    NotFound,
    PermissionDenied,
    ToolFailed,
    Unauthenticated,
    Unavailable,
)
from debug_mcp.interfaces.render import render

INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603


@dataclass(frozen=True, slots=True)
class Shown:
    """How a kind of error is shown: a JSON-RPC code and an HTTP status."""

    rpc_code: int
    http_status: int


TABLE: dict[type[DebugMcpError], Shown] = {
    InvalidInput: Shown(INVALID_PARAMS, 422),
    NotFound: Shown(INVALID_PARAMS, 404),
    Conflict: Shown(INVALID_PARAMS, 409),
    Unauthenticated: Shown(INVALID_PARAMS, 401),
    PermissionDenied: Shown(INVALID_PARAMS, 403),
    Busy: Shown(INTERNAL_ERROR, 429),
    ToolFailed: Shown(INTERNAL_ERROR, 502),
    Unavailable: Shown(INTERNAL_ERROR, 503),
}


def error_facts(error: DebugMcpError) -> dict[str, Any]:
    """Return the structured form: ``error {code, message, field?, candidates?, …}`` and ``next?``.

    The same facts stand in the text block: clients show a model one or the other.
    """
    described: dict[str, Any] = {"code": error.code, "message": error.message}
    if error.field is not None:
        described["field"] = error.field
    if error.candidates:
        described["candidates"] = list(error.candidates)
    described.update(error.details)
    facts: dict[str, Any] = {"error": described}
    if error.next_call is not None:
        facts["next"] = error.next_call
    return facts


def protocol_error(error: DebugMcpError, **facts: str) -> MCPError:
    """Return what a request gets that is no tool call: a JSON-RPC error with all facts in it."""
    data = {**facts, **error_facts(error)}
    return MCPError(TABLE[type(error)].rpc_code, error.message, data)


def error_text(error: DebugMcpError) -> str:
    """Return the error as a model reads it: what was wrong first."""
    facts = error_facts(error)
    described = facts.pop("error")
    first = f"{described.pop('code')}: {described.pop('message')}"
    rest = render({**described, **facts})
    return f"{first}\n{rest}" if rest else first
