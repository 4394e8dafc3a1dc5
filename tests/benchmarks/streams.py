"""What the server needs while 50 WebSockets follow a command, or one client loads its output.

Half of the readers read all they can, half of them stop at once: neither may hold memory.
"""

import os
import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx2

from debug_mcp.config import MIB
from tests.benchmarks.bench import Bench, timed
from tests.benchmarks.process import memory, peak_memory, reset_peak
from tests.benchmarks.table import Budget, Line, Measure
from tests.operator import Operator

_READERS = 50
_SECONDS = 120
_STEP = 1 << 20


def lines(bench: Bench) -> Iterator[Line]:
    size = (256 if bench.quick else 1024) * MIB
    operator = Operator(bench.folder / "data")
    operator.does("call", "repository_init", f"url={bench.upstream()}", "name=app")
    token = operator.token("bench")
    limits = {"DEBUG_MCP_OUTPUT_BYTES": str(2 * size), "DEBUG_MCP_HTTP_REQUESTS_AT_ONCE": "100"}
    server = bench.stack.enter_context(operator.serving(**limits))
    root = server.url.removesuffix("/mcp")
    client = bench.stack.enter_context(
        httpx2.Client(
            base_url=f"{root}/v1", headers={"Authorization": f"Bearer {token}"}, timeout=_SECONDS
        )
    )
    session = client.post("/sessions", json={"repository": "app"}).json()["session_id"]
    client.post(f"/sessions/{session}/commands", json={"command": "true", "wait_seconds": 20})
    pid = server.process.pid
    idle = memory(pid)
    reset_peak(pid)

    command = f"read line; head -c {size} /dev/zero"
    asked = {"command": command, "stdin": "open", "wait_seconds": 0}
    ran = client.post(f"/sessions/{session}/commands", json=asked).json()["command_id"]
    sockets = [_opened(root, ran, token) for _ in range(_READERS)]
    readers = [threading.Thread(target=_read, args=(each,)) for each in sockets[::2]]
    for reader in readers:
        reader.start()
    client.post(f"/commands/{ran}/input", json={"text": "\n", "wait_seconds": 0})
    ended = client.get(f"/commands/{ran}?wait_seconds=50").json()
    assert ended["outcome"] == "succeeded", ended
    for reader in readers:
        reader.join(10)  # what they have not read by then, they will not
    peak = peak_memory(pid) - idle
    for each in sockets:
        each.close()
    yield Line(
        f"{_READERS} streams of {size // MIB} MiB: peak above idle",
        Measure([peak], "MiB"),
        budget=Budget("at most", 20),
    )
    yield from _download(client, ran, size, pid)


def _download(client: httpx2.Client, command: str, size: int, pid: int) -> Iterator[Line]:
    before = memory(pid)
    reset_peak(pid)
    seen = 0

    def load() -> None:
        nonlocal seen
        with client.stream("GET", f"/commands/{command}/output") as answer:
            for data in answer.iter_raw(_STEP):
                seen += len(data)

    milliseconds = timed(load)
    assert seen == size, seen
    yield Line(f"download of {size // MIB} MiB", Measure([size / milliseconds / 1e6], "GB/s"))
    yield Line(
        f"download of {size // MIB} MiB: peak above before",
        Measure([peak_memory(pid) - before], "MiB"),
        budget=Budget("at most", 20),
    )


def _opened(root: str, command: str, token: str) -> socket.socket:
    parts = urlsplit(root)
    stream = socket.create_connection((str(parts.hostname), int(parts.port or 0)), _SECONDS)
    stream.sendall(
        (
            f"GET /v1/commands/{command}/stream HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer {token}\r\n\r\n"
        ).encode()
    )
    assert stream.recv(12) == b"HTTP/1.1 101", "the stream was refused"
    return stream


def _read(stream: socket.socket) -> None:
    """Take everything and look at nothing, until the end or until it is closed elsewhere."""
    room = bytearray(_STEP)
    try:
        while stream.recv_into(room):
            pass
    except OSError:
        os.sched_yield()  # closed: it is over
