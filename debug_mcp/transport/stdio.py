"""MCP over standard input and output, with a clean end however the client ends it.

The SDK's own reader blocks a thread on descriptor 0: SIGTERM then kills without clean-up, and
SIGINT hangs until the client closes its end. Here input is awaited, so the end of input, SIGTERM
and SIGINT all lead out the same way.
"""

import contextlib
import os
import signal
from collections.abc import AsyncIterator
from typing import Any, cast

import anyio
from mcp.server import Server
from mcp.server.stdio import stdio_server

FRAME_LIMIT_BYTES = 32 * 1024 * 1024
_READ_BYTES = 64 * 1024


class Lines:
    """The lines of a descriptor, awaited. All that ``stdio_server`` asks of its ``stdin``."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    async def __aiter__(self) -> AsyncIterator[str]:
        """Yield each line as text; a frame without end is dropped, and the next one read."""
        parts: list[bytes] = []
        size = 0
        while True:
            # epoll refuses regular files, which are always readable.
            with contextlib.suppress(PermissionError):
                await anyio.wait_readable(self._fd)
            chunk = os.read(self._fd, _READ_BYTES)
            if not chunk:
                return
            first, *rest = chunk.split(b"\n")
            parts.append(first)
            size += len(first)
            for line in rest:
                # A cut frame is no JSON: the client gets a parse error and not silence.
                yield b"".join(parts).decode("utf-8", "replace")
                parts, size = [line], len(line)
            if size > FRAME_LIMIT_BYTES:
                parts, size = parts[:1], len(parts[0])


def take_input() -> int:
    """Move standard input away, so that no child process can read the protocol."""
    wire = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return wire


async def serve_stdio(server: Server[Any]) -> None:
    """Serve until the input ends, or SIGTERM or SIGINT arrives."""
    lines = Lines(take_input())
    async with anyio.create_task_group() as tasks:

        async def stop_on_signal() -> None:
            with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
                async for _ in signals:
                    tasks.cancel_scope.cancel()
                    return

        tasks.start_soon(stop_on_signal)
        # The SDK only iterates over it.
        async with stdio_server(stdin=cast("anyio.AsyncFile[str]", lines)) as (read, write):
            await server.run(read, write, server.create_initialization_options())
        tasks.cancel_scope.cancel()
