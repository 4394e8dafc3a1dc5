"""How much one caller may ask for: token buckets, requests at once, and the size of a body.

The buckets are in memory and of one server: a restart forgives, and several servers on one data
directory count apart. They keep one client from taking the server from the others; they are no
accounting.
"""

import contextlib
import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from debug_mcp.errors import Busy, DebugMcpError, InvalidInput
from debug_mcp.transport.refusals import refusal

_KEYS = 10_000


@dataclass(frozen=True, slots=True)
class Rate:
    """How fast a bucket fills, in tokens a second, and how many it holds."""

    per_second: float
    burst: float


@dataclass(slots=True)
class _Level:
    tokens: float
    at: float


class Buckets:
    """A token bucket for each key, full at first. The one unused longest makes room for another."""

    def __init__(
        self, per_second: float, burst: int, clock: Callable[[], float] = anyio.current_time
    ) -> None:
        self._rate = Rate(per_second, burst)
        self._clock = clock
        self._levels: dict[str, _Level] = {}

    def take(self, key: str, rate: Rate | None = None) -> float:
        """Take one token; return 0, or the seconds until there is one.

        Args:
            key: Whose bucket.
            rate: That of this key, where it is another one than for all.
        """
        rate = rate or self._rate
        now = self._clock()
        level = self._levels.pop(key, _Level(rate.burst, now))
        tokens = min(rate.burst, level.tokens + (now - level.at) * rate.per_second)
        taken = tokens >= 1
        # Set anew, so that the order of the keys is that of their last use.
        self._levels[key] = _Level(tokens - 1 if taken else tokens, now)
        if len(self._levels) > _KEYS:
            del self._levels[next(iter(self._levels))]
        return 0 if taken else (1 - tokens) / rate.per_second


class AtOnce:
    """Counts what each key has under way."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._count: Counter[str] = Counter()

    @contextlib.contextmanager
    def one(self, key: str, limit: int | None = None) -> Iterator[None]:
        """Count one more while the block runs; ``limit`` where it is another one than for all.

        Raises:
            Busy: The key has as many under way as it may.
        """
        limit = limit or self._limit
        if self._count[key] >= limit:
            raise Busy(
                f"{limit} requests of yours are under way, which is the limit",
                retry_after_seconds=1,
            )
        self._count[key] += 1
        try:
            yield
        finally:
            self._count[key] -= 1
            if not self._count[key]:
                del self._count[key]


def rate_of(per_second: float) -> Rate:
    """Return the rate of a token that has its own: four seconds' worth in short succession."""
    return Rate(per_second, max(1, 4 * per_second))


def too_fast(seconds: float) -> Busy:
    """Return the error for a caller whose bucket is empty for so long."""
    return Busy("too many requests in a short time", retry_after_seconds=max(1, math.ceil(seconds)))


class BodyLimit:
    """Reads a request's body before anybody else does: not too large, and not too slowly."""

    def __init__(
        self,
        app: ASGIApp,
        max_bytes: int,
        seconds: float,
        refused: Callable[[DebugMcpError], None],
    ) -> None:
        self._app = app
        self._refused = refused
        self._max_bytes = max_bytes
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 413 or 408, or pass the request on with its body.

        A WebSocket has no body; how long its messages may be, the server below says.
        """
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = b""
        with anyio.move_on_after(self._seconds) as waiting:
            read = await self._read(receive)
            if read is None:
                return  # the client went away
            body = read
        if waiting.cancelled_caught:
            slow = InvalidInput(f"the body did not arrive within {self._seconds:g} s")
            self._refused(slow)
            await refusal(408, slow, close=True)(scope, receive, send)
            return
        if len(body) > self._max_bytes:
            large = InvalidInput(f"the body is larger than {self._max_bytes} bytes")
            self._refused(large)
            await refusal(413, large, close=True)(scope, receive, send)
            return
        replayed = False

        async def replay() -> Message:
            nonlocal replayed
            if replayed:
                return await receive()
            replayed = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, replay, send)

    async def _read(self, receive: Receive) -> bytes | None:
        """Return the body, or a little more than the limit of it; None when the client left."""
        body = bytearray()
        more = True
        while more and len(body) <= self._max_bytes:
            message = await receive()
            if message["type"] != "http.request":
                return None
            body += message.get("body", b"")
            more = message.get("more_body", False)
        return bytes(body)
