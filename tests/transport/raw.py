"""HTTP by hand: what no client library would send."""

from dataclasses import dataclass
from urllib.parse import urlsplit

import anyio
from anyio.abc import SocketStream

ANSWER_SECONDS = 20


@dataclass(frozen=True)
class Answer:
    """A response as it came: status, headers with lower-case names, and body."""

    status: int
    headers: dict[str, str]
    body: str


async def connect(url: str) -> SocketStream:
    """Open a connection to the server of a URL."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return await anyio.connect_tcp(parts.hostname, parts.port)


async def send(url: str, request: bytes) -> Answer:
    """Send bytes on a connection of their own and read until the server closes it.

    The server must close it: ask for that with ``Connection: close``, or send what makes it.
    """
    async with await connect(url) as stream:
        await stream.send(request)
        return await answer(stream)


async def answer(stream: SocketStream) -> Answer:
    """Read an answer until the server closes the connection."""
    received = b""
    with anyio.fail_after(ANSWER_SECONDS):
        try:
            while True:
                received += await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            pass
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return Answer(
        int(first.split(" ")[1]),
        {name.lower(): value for name, value in headers.items()},
        body.decode("utf-8", "replace"),
    )


def request(
    url: str, *, method: str = "POST", path: str = "/mcp", token: str | None = None,
    body: bytes = b"{}", **headers: str,
) -> bytes:  # fmt: skip
    """Return a request; a header of None is left out, and others take its place by name."""
    parts = urlsplit(url)
    sent = {
        "Host": parts.netloc,
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "Content-Length": str(len(body)),
        "Connection": "close",
        **({"Authorization": f"Bearer {token}"} if token else {}),
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items())]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


async def answer_or_nothing(stream: SocketStream) -> bytes:
    """Read until the server closes the connection, which may be without a word."""
    received = b""
    with anyio.fail_after(ANSWER_SECONDS):
        try:
            while True:
                received += await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return received
