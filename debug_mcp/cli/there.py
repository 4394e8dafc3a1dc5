"""What a person asks for, done by a server elsewhere: REST, downloads and the stream of a command.

A connection that breaks is made again, from the byte at hand on: nothing is shown twice or lost.
"""

import json
import re
import ssl
from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import quote, unquote

import anyio
import httpx2
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus, WebSocketException

from debug_mcp.cli.place import Facts, File, Kind, Show
from debug_mcp.cli.showing import plain
from debug_mcp.errors import DebugMcpError, ToolFailed, Unavailable
from debug_mcp.interfaces.downloads import CONTENT, OUTPUT
from debug_mcp.interfaces.errors import TABLE
from debug_mcp.interfaces.websocket import STREAM
from debug_mcp.operations.registry import Operation, Route

TIMEOUT = httpx2.Timeout(60, connect=10)
# How often a connection is made again that brings nothing, and how long apart at most.
ATTEMPTS = 8
_FIRST_SECONDS, _MOST_SECONDS = 0.25, 5.0
_OPEN_SECONDS = 10
_NO_RANGE = 416
_RESTARTING = (502, 503, 504)
_DONE = 1000
_BODILESS = ("GET", "DELETE")
_PATHS: dict[Kind, str] = {"artifact": CONTENT, "output": OUTPUT}
_ERRORS = {kind.code: kind for kind in TABLE}
_SHOWN = 200


class There:
    """A server elsewhere, asked as the owner of a token.

    Args:
        http: Sends the token with each request.
        root: Where REST is served.
        token: The token.
    """

    def __init__(self, http: httpx2.AsyncClient, root: str, token: str) -> None:
        self._http = http
        self._root = root
        self._token = token

    async def ask(self, operation: Operation, **arguments: Any) -> Facts:
        """Run an operation; one that may be repeated is asked for again if its answer is lost."""
        route = _route(operation, arguments)
        rest = {name: value for name, value in arguments.items() if name not in route.in_path}
        bodiless = route.method in _BODILESS
        patience = _Patience(operation.read_only or "idempotency_key" in arguments)
        while True:
            try:
                answer = await self._http.request(
                    route.method,
                    self._root + _filled(route.path, arguments),
                    params=rest if bodiless else None,
                    json=None if bodiless else rest,
                )
                break
            except httpx2.TransportError as error:
                await patience.wait(error, self._root)
        _check(answer.status_code, str(answer.url), answer.content)
        facts: Facts = answer.json()
        return facts

    async def follow(self, command_id: str, offset: int, show: Show) -> Facts:
        """Show what a command writes to its end."""
        url = self._root.replace("http", "ws", 1) + _filled(STREAM, {"command_id": command_id})
        view: Facts = {}
        patience = _Patience(again=False)
        while True:
            try:
                async with connect(
                    f"{url}?offset={offset}",
                    additional_headers={"Authorization": f"Bearer {self._token}"},
                    compression=None,
                    open_timeout=_OPEN_SECONDS,
                ) as stream:
                    patience.succeeded()
                    async for message in stream:
                        if isinstance(message, bytes):
                            await show(message)
                            offset += len(message)
                        else:
                            view = json.loads(message).get("command", view)
                if stream.close_code == _DONE:
                    return view
            except InvalidStatus as refused:
                response = refused.response
                if response.status_code not in _RESTARTING:
                    _check(response.status_code, url, bytes(response.body or b""), refused)
                await patience.wait(refused, url)
            except (WebSocketException, OSError, TimeoutError) as error:
                await patience.wait(error, url)

    async def file(self, kind: Kind, name: str) -> File:
        """Return what is known of a file."""
        url = self._url(kind, name)
        try:
            answer = await self._http.head(url)
            if answer.is_error:  # its reason is in the body, which HEAD leaves out
                answer = await self._http.get(url, headers={"Range": "bytes=0-0"})
        except httpx2.TransportError as error:
            raise _unreachable(url, error) from error
        _check(answer.status_code, url, answer.content)
        _, _, quoted = answer.headers.get("content-disposition", "").partition("filename*=UTF-8''")
        tag = answer.headers.get("etag", "").strip('"')
        return File(
            unquote(quoted) or name,
            int(answer.headers.get("content-length", 0)),
            tag if kind == "artifact" else None,
        )

    async def read(self, kind: Kind, name: str, offset: int, show: Show) -> None:
        """Show all bytes of a file from an offset on."""
        url = self._url(kind, name)
        patience = _Patience(again=True)
        while True:
            headers = {"Range": f"bytes={offset}-"} if offset else {}
            try:
                async with self._http.stream("GET", url, headers=headers) as answer:
                    if answer.status_code == _NO_RANGE:
                        return  # nothing has come since
                    if answer.is_error:
                        _check(answer.status_code, url, await answer.aread())
                    if offset and answer.status_code != 206:
                        raise ToolFailed(f"{url} does not go on from where it was cut off")
                    async for chunk in answer.aiter_raw():
                        await show(chunk)
                        offset += len(chunk)
                        patience.succeeded()
                return
            except httpx2.TransportError as error:
                await patience.wait(error, url)

    def _url(self, kind: Kind, name: str) -> str:
        return self._root + re.sub(r"{\w+}", quote(name, safe=""), _PATHS[kind])


class _Patience:
    """How long it is worth to ask again: longer each time, until something came."""

    def __init__(self, again: bool) -> None:
        self._left = ATTEMPTS if again else 0
        self._seconds = _FIRST_SECONDS

    def succeeded(self) -> None:
        self._left = ATTEMPTS
        self._seconds = _FIRST_SECONDS

    async def wait(self, error: Exception, url: str) -> None:
        """Wait before the next attempt.

        Raises:
            Unavailable: It is not worth it any more.
        """
        if not self._left:
            raise _unreachable(url, error) from error
        self._left -= 1
        await anyio.sleep(self._seconds)
        self._seconds = min(self._seconds * 2, _MOST_SECONDS)


def client(token: str) -> httpx2.AsyncClient:
    """Return what sends requests with a token."""
    return httpx2.AsyncClient(
        # Bytes come as they are, so that offsets are right.
        headers={"Authorization": f"Bearer {token}", "Accept-Encoding": "identity"},
        timeout=TIMEOUT,
        # The system's certificates, or those of SSL_CERT_FILE.
        verify=ssl.create_default_context(),
    )


def _route(operation: Operation, arguments: Mapping[str, Any]) -> Route:
    """Return the route that takes these arguments, with as many of them in its path as can be."""
    fitting = [route for route in operation.routes if set(route.in_path) <= set(arguments)]
    return max(fitting, key=lambda route: len(route.in_path))


def _filled(path: str, arguments: Mapping[str, Any]) -> str:
    for name, value in arguments.items():
        path = path.replace(f"{{{name}}}", quote(str(value), safe=""))
    return path


def _check(status: int, url: str, body: bytes, cause: Exception | None = None) -> None:
    """Raise what a refusal says.

    Raises:
        DebugMcpError: The server refused.
    """
    if status < 300:
        return
    try:
        problem = json.loads(body)
        kind = _ERRORS[problem["code"]]
    except (ValueError, KeyError, TypeError):
        _foreign(status, url, body, cause)
    raise kind(
        plain(str(problem.get("detail", ""))),
        field=problem.get("field"),
        candidates=problem.get("candidates", ()),
        next_call=problem.get("next"),
    ) from cause


def _foreign(status: int, url: str, body: bytes, cause: Exception | None) -> NoReturn:
    said = plain(" ".join(body.decode(errors="replace").split())[:_SHOWN])
    raise Unavailable(f"{url} answers {status}, and not as debug-mcp does: {said}") from cause


def _unreachable(url: str, error: Exception) -> DebugMcpError:
    bottom: BaseException = error
    while cause := bottom.__cause__ or bottom.__context__:
        bottom = cause
    why = str(bottom) or str(error) or type(error).__name__
    return Unavailable(f"{url} cannot be reached: {why}")
