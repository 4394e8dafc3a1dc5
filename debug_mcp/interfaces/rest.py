"""Operations as REST under ``/v1``, made from the same definitions as the MCP tools.

Nothing is decided here: arguments go to the operation's own check, scopes and ownership are the
service's, and what went wrong is a problem (RFC 9457) of the one table of errors.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from starlette.datastructures import URL, QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute
from starlette.routing import Route as HttpRoute
from starlette.types import Receive, Scope, Send

from debug_mcp.auth.principal import Principal
from debug_mcp.errors import DebugMcpError, InvalidInput, NotFound
from debug_mcp.interfaces.problems import problem
from debug_mcp.interfaces.rest_arguments import WrongType, arguments
from debug_mcp.operations.registry import Call, Operation, Route
from debug_mcp.service.services import Services

PREFIX = "/v1"
# States of what was accepted and is not done yet.
_GOING_ON = ("cloning", "syncing", "preparing", "queued", "starting", "running")
_ACCEPTED, _CREATED, _OK, _NOT_MODIFIED = 202, 201, 200, 304

Entry = tuple[Operation, Route]


def rest_routes(
    operations: Sequence[Operation], services: Services, principal_of: Callable[[], Principal]
) -> list[BaseRoute]:
    """Return the routes of all operations.

    Args:
        operations: What is served.
        services: What there is to call.
        principal_of: Says who makes the present request.
    """
    paths: dict[str, dict[str, Entry]] = {}
    for operation in operations:
        for route in operation.routes:
            paths.setdefault(route.path, {})[route.method] = (operation, route)
    return [
        HttpRoute(PREFIX + path, _Endpoint(entries, lambda: Call(principal_of(), services)))
        for path, entries in paths.items()
    ]


class _Endpoint:
    """One path, with an operation for each of its methods."""

    def __init__(self, entries: dict[str, Entry], calling: Callable[[], Call]) -> None:
        self._entries = dict(entries)
        self._calling = calling
        if "GET" in entries:
            self._entries["HEAD"] = entries["GET"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        response = await self._answer(request)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if request.method not in self._entries:
            return _other_method(request, sorted({*self._entries, "OPTIONS"}))
        operation, route = self._entries[request.method]
        try:
            sent = await arguments(request, operation, route)
            view = await operation.invoke(self._calling(), sent)
        except WrongType as error:
            return problem(error, 415)
        except DebugMcpError as error:
            return problem(error)
        return _shown(request, route, view.compact())


def _other_method(request: Request, allowed: list[str]) -> Response:
    allow = {"Allow": ", ".join(allowed)}
    if request.method == "OPTIONS":
        return Response(status_code=204, headers=allow)
    return problem(_no_method(request.method, allowed), 405, allow)


def _no_method(method: str, allowed: Sequence[str]) -> InvalidInput:
    return InvalidInput(f"{method} is not for this path", candidates=allowed)


def _shown(request: Request, route: Route, facts: dict[str, Any]) -> Response:
    if route.creates is not None:
        location = PREFIX + route.creates.format(
            **{name: quote(str(value), safe="") for name, value in facts.items()}
        )
        status = _ACCEPTED if facts.get("state") in _GOING_ON else _CREATED
        return JSONResponse(facts, status, {"Location": location})
    response = JSONResponse(facts, _OK)
    if route.method != "GET":
        return response
    response.headers["Cache-Control"] = "private, no-cache"
    if "next_cursor" in facts:
        response.headers["Link"] = f'<{_next_page(request.url, facts["next_cursor"])}>; rel="next"'
    # Weak: the same facts may be written in another order.
    tag = f'W/"{hashlib.sha256(bytes(response.body)).hexdigest()[:32]}"'
    response.headers["ETag"] = tag
    if names_tag(request.headers.get("if-none-match", ""), tag):
        kept = ("etag", "cache-control", "link")
        headers = {name: response.headers[name] for name in kept if name in response.headers}
        return Response(status_code=_NOT_MODIFIED, headers=headers)
    return response


def names_tag(header: str, tag: str) -> bool:
    """Return whether an If-None-Match names a tag, compared weakly (RFC 9110, section 8.8.3.2)."""
    named = [part.strip().removeprefix("W/") for part in header.split(",")]
    return header.strip() == "*" or tag.removeprefix("W/") in named


def _next_page(url: URL, cursor: str) -> str:
    """Return the next page's path and query, without a host: a proxy may have another name."""
    kept = [pair for pair in QueryParams(url.query).multi_items() if pair[0] != "cursor"]
    return f"{url.path}?{urlencode([*kept, ('cursor', cursor)])}"


async def http_problem(request: Request, error: Exception) -> Response:
    """Return the problem for what no route answers, or for what a route could not go on with."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = error.headers if isinstance(error, HTTPException) else None
    if status == 404:  # a status says what it is
        return problem(NotFound(f"there is nothing at {request.url.path}"), 404, headers)
    if status == 405:
        allowed = (headers or {}).get("Allow", "")
        return problem(_no_method(request.method, allowed.split(", ")), 405, headers)
    return problem(_Unexpected("something went wrong here; the server's log says what"), status)


class _Unexpected(DebugMcpError):
    """A fault of the server."""
