"""Connections that do not last for ever without a request, and of which there is no end.

uvicorn waits without end for the head of a request, and answers too many connections only once
they have sent one.
"""

import http
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

_REFUSED = (
    "HTTP/1.1 {status.value} {status.phrase}\r\n"
    "Connection: close\r\nContent-Length: 0\r\nRetry-After: 5\r\n\r\n"
)


class LimitedConnection(H11Protocol):
    """One connection of uvicorn's, with limits."""

    max_connections: ClassVar[int]
    head_seconds: ClassVar[float]

    _timer: Any = None

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a request, or refuse the connection."""
        super().connection_made(transport)
        if len(self.connections) > self.max_connections:
            self._refuse(http.HTTPStatus.SERVICE_UNAVAILABLE)
        else:
            self._start_timer()

    def data_received(self, data: bytes) -> None:
        """Read on, and see whether a request's head is still incomplete."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE or not self.conn.trailing_data[0]:
            self._stop_timer()
        elif self._timer is None:
            self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_timer()
        super().connection_lost(exc)

    def _late(self) -> None:
        self._timer = None
        self._refuse(http.HTTPStatus.REQUEST_TIMEOUT)

    def _refuse(self, status: http.HTTPStatus) -> None:
        self.transport.write(_REFUSED.format(status=status).encode("ascii"))
        self.transport.close()

    def _start_timer(self) -> None:
        self._timer = self.loop.call_later(self.head_seconds, self._late)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class PromptWebSocket(WebSocketsSansIOProtocol):
    """A WebSocket of uvicorn's that does not wait for ever for a client that does not read.

    uvicorn closes a connection when all was read that stands before the close; this one is cut.
    """

    def keepalive_timeout(self) -> None:
        """Cut a connection whose ping came back too late."""
        super().keepalive_timeout()
        self.transport.abort()

    def on_task_complete(self, task: Any) -> None:
        """Give a client some time for the rest, once nothing follows."""
        super().on_task_complete(task)
        self.loop.call_later(self.close_timeout, self.transport.abort)


def limited(max_connections: int, head_seconds: float) -> type[H11Protocol]:
    """Return the protocol that uvicorn is to use.

    Args:
        max_connections: Further ones are answered 503 and closed.
        head_seconds: How long a connection may take to send the head of a request; 408 after that.
    """
    limits = {"max_connections": max_connections, "head_seconds": head_seconds}
    return type("Limited", (LimitedConnection,), limits)
