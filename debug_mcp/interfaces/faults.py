"""Saying what is wrong with a request whose parameters do not fit its method."""

from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.types import INVALID_PARAMS
from pydantic import ValidationError

_SHOWN = 3


async def explain(ctx: ServerRequestContext[Any], call_next: CallNext) -> HandlerResult:
    """Answer malformed parameters with what is wrong, where the SDK would say only that it is.

    Raises:
        MCPError: The parameters do not fit.
    """
    try:
        return await call_next(ctx)
    except ValidationError as error:
        if ctx.request_id is None:
            raise
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        said = dict.fromkeys(f"{_where(fault['loc'])}: {fault['msg']}" for fault in faults)
        message = f"{ctx.method}: {'; '.join(list(said)[:_SHOWN])}"
        raise MCPError(INVALID_PARAMS, message) from error


def _where(place: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in place) or "params"
