"""Which statuses are answered, for whoever counts them."""

from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SWITCHED = 101
_STATUSES = {
    "http.response.start": None,
    "websocket.http.response.start": None,
    "websocket.accept": _SWITCHED,
}


class Answered:
    """Tells of the status of each response when it begins; 101 is a WebSocket that was opened."""

    def __init__(self, app: ASGIApp, answered: Callable[[int], None]) -> None:
        self._app = app
        self._answered = answered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""

        async def watched(message: Message) -> None:
            if message["type"] in _STATUSES:
                self._answered(_STATUSES[message["type"]] or message["status"])
            await send(message)

        await self._app(scope, receive, watched)
