"""The requests that are being served, so that they can be ended before they end by themselves."""

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import anyio
from starlette.types import Message

from debug_mcp.service.tokens import TokenService

# How long an open stream may outlive the token that opened it, whoever revoked it.
LOOK_SECONDS = 2


class Kind(StrEnum):
    """What a request turned out to be, once its response had begun; a call until then."""

    CALL = "call"
    DOWNLOAD = "download"
    EVENTS = "events"
    WEBSOCKET = "websocket"


@dataclass(eq=False)
class OpenRequest:
    """One request under way. Cancelling its scope ends it; ``refused`` says that its token did.

    ``standing``: it only waits for news, and nothing is lost when it ends. ``started``: something
    was answered; ``finished``: all of it; ``sized``: its length was promised.
    """

    token_id: str
    digest: str
    standing: bool
    started: bool = False
    finished: bool = False
    sized: bool = False
    refused: bool = False
    kind: Kind = Kind.CALL
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    def sending(self, message: Message) -> None:
        """Know of a message before it is sent."""
        self.started = True
        if message["type"] == "websocket.accept":
            self.kind = Kind.WEBSOCKET
        elif message["type"] == "http.response.start":
            headers = dict(message["headers"])
            self.sized = b"content-length" in headers
            self.kind = _kind(headers)
        self.finished = message["type"] == "websocket.close" or (
            message["type"].endswith("http.response.body") and not message.get("more_body", False)
        )


def _kind(headers: Mapping[bytes, bytes]) -> Kind:
    """Return what a response is, by its headers; ASGI has their names in small letters."""
    if headers.get(b"content-type", b"").startswith(b"text/event-stream"):
        return Kind.EVENTS
    attached = headers.get(b"content-disposition", b"").startswith(b"attachment")
    return Kind.DOWNLOAD if attached else Kind.CALL


class OpenRequests:
    """All requests under way on this server."""

    def __init__(self, tokens: TokenService) -> None:
        self._tokens = tokens
        self._open: set[OpenRequest] = set()
        self._changed = anyio.Event()

    @contextlib.contextmanager
    def under_way(self, request: OpenRequest) -> Iterator[None]:
        """Know of a request while the block runs."""
        self._open.add(request)
        self._change()
        try:
            yield
        finally:
            self._open.discard(request)
            self._change()

    async def end_with_their_tokens(self) -> None:
        """End, for as long as this runs, every request whose token opens nothing any more."""
        while True:
            while not self._open:
                await self._changed.wait()
            await anyio.sleep(LOOK_SECONDS)
            if not self._open:
                continue
            valid = await self._tokens.valid()
            for request in self._open:
                if (request.token_id, request.digest) not in valid:
                    request.refused = True
                    request.scope.cancel()

    def count(self) -> dict[str, int]:
        """Return how many requests are under way of each kind."""
        counted = Counter(request.kind for request in self._open)
        return {kind: counted[kind] for kind in Kind}

    async def none_left(self) -> None:
        """Return when no request is under way."""
        while self._open:
            await self._changed.wait()

    def end(self, *, standing_only: bool = False) -> None:
        """End every request, or only those that wait for news."""
        for request in self._open:
            if request.standing or not standing_only:
                request.scope.cancel()

    def _change(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()
