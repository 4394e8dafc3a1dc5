"""Errors as HTTP bodies: problem details (RFC 9457), with the facts that every way in gives."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.responses import JSONResponse

from debug_mcp.errors import DebugMcpError
from debug_mcp.interfaces.errors import TABLE, error_facts

PROBLEM = "application/problem+json"
REALM = "debug-mcp"


class ProblemResponse(JSONResponse):
    """A response of the type for problems."""

    media_type = PROBLEM


def problem(
    error: DebugMcpError, status: int | None = None, headers: Mapping[str, str] | None = None
) -> ProblemResponse:
    """Return a response that says what was wrong.

    The type is ``about:blank``, so the title is that of the status; ``code`` tells the kinds of
    error apart, as everywhere else.

    Args:
        error: What was wrong.
        status: The status; without it the one in the table of errors.
        headers: Further headers.
    """
    status = TABLE[type(error)].http_status if status is None else status
    sent = dict(headers or {})
    if "retry_after_seconds" in error.details:
        sent["Retry-After"] = str(error.details["retry_after_seconds"])
    if status == HTTPStatus.FORBIDDEN and "scope" in error.details:
        # RFC 6750, section 3.1.
        sent["WWW-Authenticate"] = (
            f'Bearer realm="{REALM}", error="insufficient_scope", scope="{error.details["scope"]}"'
        )
    return ProblemResponse(problem_facts(error, status), status, sent)


def problem_facts(error: DebugMcpError, status: int) -> dict[str, Any]:
    """Return the members of a problem: ``type, title, status, detail, code, field?, …, next?``."""
    facts = error_facts(error)
    described = facts.pop("error")
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": described.pop("message"),
        **described,
        **facts,
    }
