"""Messages of the Debug Adapter Protocol, to bytes and back.

Each is a header, of which only ``Content-Length`` matters, and a JSON object. Adapters add members
and leave others out, so what comes is read tolerantly, never validated.
"""

import json
from collections.abc import Iterator
from typing import Any

Message = dict[str, Any]

_HEADER_BYTES = 4096
# Adapters cut long values themselves; the longest message seen in use had 300 KB.
MESSAGE_BYTES = 64 << 20


class Malformed(Exception):
    """What came is no message: there is no way to find the next one."""


def encode(message: Message) -> bytes:
    """Return a message as it is sent."""
    body = json.dumps(message, ensure_ascii=False).encode("utf-8", "surrogatepass")
    return b"Content-Length: %d\r\n\r\n" % len(body) + body


class Messages:
    """Cuts a stream of bytes into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """Yield the messages that are whole now.

        Raises:
            Malformed: A header is none, or names too many bytes.
        """
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n", 0, _HEADER_BYTES)) >= 0:
            start = end + 4
            length = _length(bytes(self._buffer[:end]))
            if len(self._buffer) < start + length:
                return
            body = bytes(self._buffer[start : start + length])
            del self._buffer[: start + length]
            message = _object(body)
            if message is not None:
                yield message
        if len(self._buffer) > _HEADER_BYTES:
            raise Malformed("no header where a message should begin")


def _length(header: bytes) -> int:
    for line in header.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and value.strip().isdigit():
            length = int(value)
            if length <= MESSAGE_BYTES:
                return length
            raise Malformed(f"a message of {length} bytes")
    raise Malformed("a header without Content-Length")


def _object(body: bytes) -> Message | None:
    """Return a body as an object; None for one that is none, which is passed over."""
    try:
        message = json.loads(body.decode("utf-8", "replace"))
    except ValueError:
        return None
    return message if isinstance(message, dict) else None
