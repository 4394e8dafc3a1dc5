"""``/v1/commands/{id}/stream``: a command's output as it comes, and what is typed into it.

Binary messages are bytes of the output, in order, from the offset that was asked for. Text messages
are JSON with a ``type``: ``state``, ``heartbeat``, ``taken`` and ``error`` from the server,
``input`` and ``resize`` from the client. Close code 1000: the command has ended, all was sent.
"""

import json
from collections.abc import Callable
from typing import Any

import anyio
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from debug_mcp.auth.principal import Principal, Scope
from debug_mcp.errors import DebugMcpError, InvalidInput
from debug_mcp.interfaces.errors import error_facts
from debug_mcp.interfaces.openapi_parts import errors
from debug_mcp.interfaces.problems import problem
from debug_mcp.interfaces.rest import PREFIX
from debug_mcp.models.commands import CommandState, CommandWait
from debug_mcp.operations.commands import command_input
from debug_mcp.operations.registry import Call
from debug_mcp.service.following import Following
from debug_mcp.service.services import Services

STREAM = "/commands/{command_id}/stream"
# What a page offers as its first subprotocol; the token is the second. Browsers let it set nothing
# else of the opening of a WebSocket.
SUBPROTOCOL = "bearer"
HEARTBEAT_SECONDS = 15.0
# Why it was closed (RFC 6455, section 7.4.1).
_DONE, _NO_TEXT = 1000, 1003
_OFFSET_DIGITS = 15
# What a message may hold, by its type, besides the type.
_TAKEN = {"input": ("text", "key"), "resize": ("size",)}
# What the view of a command says of its output; here that comes by itself.
_ELSEWHERE = ("output", "unread", "next")

Message = dict[str, Any]


def stream_routes(services: Services, principal_of: Callable[[], Principal]) -> list[BaseRoute]:
    """Return the route of the stream, and what answers there without a WebSocket."""

    async def stream(websocket: WebSocket) -> None:
        call = Call(principal_of(), services)
        command_id = websocket.path_params["command_id"]
        try:
            with services.audit.watching(
                call.principal, "command_stream", command_id, changes=False
            ):
                following = await services.commands.follow(
                    call.principal, command_id, _offset(websocket)
                )
        except DebugMcpError as error:
            await websocket.send_denial_response(problem(error))
            return
        offered = websocket.scope["subprotocols"]
        await websocket.accept(SUBPROTOCOL if SUBPROTOCOL in offered else None)
        await _Stream(websocket, call, following).run()

    async def no_stream(_: Request) -> Response:
        wrong = InvalidInput("this is a WebSocket: ask to switch to it")
        return problem(wrong, 426, {"Upgrade": "websocket", "Connection": "Upgrade"})

    return [WebSocketRoute(PREFIX + STREAM, stream), Route(PREFIX + STREAM, no_stream)]


def _offset(websocket: WebSocket) -> int:
    """Return where to begin.

    Raises:
        InvalidInput: It is no offset, or something else was asked for.
    """
    for name in websocket.query_params:
        if name != "offset":
            raise InvalidInput(f"unknown key {name!r} here", field=name, candidates=["offset"])
    asked = websocket.query_params.get("offset", "0")
    if not (asked.isascii() and asked.isdecimal() and len(asked) <= _OFFSET_DIGITS):
        raise InvalidInput(f"offset {asked!r} is no number of bytes", field="offset")
    return int(asked)


class _Stream:
    """One open WebSocket."""

    def __init__(self, websocket: WebSocket, call: Call, following: Following) -> None:
        self._websocket = websocket
        self._call = call
        self._following = following

    async def run(self) -> None:
        """Send and receive until the command has ended or the client has gone."""
        code: int | None = None
        async with anyio.create_task_group() as tasks:

            async def receive() -> None:
                nonlocal code
                code = await self._receive()
                tasks.cancel_scope.cancel()

            tasks.start_soon(receive)
            tasks.start_soon(self._following.watch)
            try:
                await self._send()
                code = _DONE
            except WebSocketDisconnect:
                code = None
            tasks.cancel_scope.cancel()
        if code is not None:
            await self._websocket.close(code)

    async def _send(self) -> None:
        shown = await self._say_state()
        while shown is not CommandState.FINISHED:
            data = await self._following.part(HEARTBEAT_SECONDS)
            if data:
                await self._websocket.send_bytes(data)
            elif self._following.command.state is not shown:
                shown = await self._say_state()
            else:
                await self._say({"type": "heartbeat", "offset": self._following.offset})
        # What it wrote between the last part and the state that was shown.
        while data := await self._following.part(0):
            await self._websocket.send_bytes(data)

    async def _say_state(self) -> CommandState:
        """Show the command as it is now, without its output; return its state."""
        following = self._following
        asked = CommandWait(command_id=following.command.id, wait_seconds=0, since=following.offset)
        view = await self._call.services.commands.wait(self._call.principal, asked)
        facts = {key: fact for key, fact in view.compact().items() if key not in _ELSEWHERE}
        await self._say({"type": "state", "offset": following.offset, "command": facts})
        return view.state

    async def _say(self, message: Message) -> None:
        await self._websocket.send_text(json.dumps(message, ensure_ascii=False))

    async def _receive(self) -> int | None:
        """Take what is typed, one after the other; return why to close, None if it is closed."""
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return None
            text = message.get("text")
            if text is None:
                return _NO_TEXT
            try:
                await self._say(await self._taken(text))
            except WebSocketDisconnect:
                return None

    async def _taken(self, text: str) -> Message:
        try:
            sent = _message(text)
            sent.update(command_id=self._following.command.id, wait_seconds=0)
            await command_input.invoke(self._call, sent)
        except DebugMcpError as error:
            return {"type": "error", **error_facts(error)}
        return {"type": "taken"}


def _message(text: str) -> Message:
    """Return the arguments of a message.

    Raises:
        InvalidInput: It is none.
    """
    try:
        sent = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"the message cannot be read as JSON: {error}") from None
    kind = sent.pop("type", None) if isinstance(sent, dict) else None
    if not isinstance(kind, str) or kind not in _TAKEN:
        raise InvalidInput("which type of message?", field="type", candidates=list(_TAKEN))
    for name in sent:
        if name not in _TAKEN[kind]:
            raise InvalidInput(
                f"unknown key {name!r} of {kind}", field=name, candidates=_TAKEN[kind]
            )
    return dict(sent)


def stream_items() -> dict[str, dict[str, Any]]:
    """Return what OpenAPI can say of it; the messages are described in the documentation."""
    item = {
        "operationId": "command_stream",
        "tags": ["command"],
        "summary": "Follow a command",
        "description": "A WebSocket: output as binary messages, state as JSON, input as JSON.\n\n"
        f"Scope: `{Scope.SESSION_READ}`; for input `{Scope.COMMAND_RUN}`.",
        "security": [{"bearer": [str(Scope.SESSION_READ)]}],
        "parameters": [
            {
                "name": "command_id",
                "in": "path",
                "required": True,
                "schema": {"type": "string"},
            },
            {
                "name": "offset",
                "in": "query",
                "description": "the first byte that is wanted; default 0",
                "schema": {"type": "integer", "minimum": 0, "default": 0},
            },
        ],
        "responses": {
            "101": {"description": "Switched to WebSocket."},
            "426": {"$ref": "#/components/responses/NoWebSocket"},
            **errors(),
        },
    }
    return {STREAM: {"get": item}}
