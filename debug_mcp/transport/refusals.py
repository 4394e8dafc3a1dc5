"""What HTTP answers where no operation was reached: the contract's error, as a JSON body.

Under ``/v1`` it is a problem (RFC 9457), as all errors there are.
"""

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from debug_mcp.errors import DebugMcpError
from debug_mcp.interfaces.errors import error_facts
from debug_mcp.interfaces.problems import REALM, problem
from debug_mcp.interfaces.rest import PREFIX


def refusal(
    status: int,
    error: DebugMcpError,
    *,
    headers: dict[str, str] | None = None,
    close: bool = False,
) -> ASGIApp:
    """Return what answers with an error's facts; with ``close`` the connection ends with it."""
    sent = dict(headers or {})
    if "retry_after_seconds" in error.details:
        sent["Retry-After"] = str(error.details["retry_after_seconds"])
    if close:
        sent["Connection"] = "close"

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        response = (
            problem(error, status, sent)
            if scope["path"].startswith(f"{PREFIX}/")
            else JSONResponse(error_facts(error), status, sent)
        )
        await response(scope, receive, send)

    return answer


def challenge(fault: str | None = None) -> dict[str, str]:
    """Return the header that says how to authenticate (RFC 6750, section 3).

    Args:
        fault: What is wrong with the token that was sent; None when there was none.
    """
    value = f'Bearer realm="{REALM}"'
    if fault is not None:
        value += f', error="invalid_token", error_description="{fault}"'
    return {"WWW-Authenticate": value}
