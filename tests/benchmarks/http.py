"""Cheap calls over HTTP with 1, 8 and 64 clients: MCP and REST against the SDK's trivial server."""

import contextlib
import json
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

import anyio

from tests.benchmarks.bench import Bench
from tests.benchmarks.client import ROOT
from tests.benchmarks.table import Line, Measure
from tests.operator import Operator

_CLIENTS = (1, 8, 64)
_SECONDS = 3.0
_ROUNDS = 3
_START_SECONDS = 30
_NO_LIMITS = {
    "DEBUG_MCP_HTTP_REQUESTS_PER_SECOND": "1000000",
    "DEBUG_MCP_HTTP_REQUESTS_BURST": "1000000",
}
_META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "benchmark", "version": "1"},
}


def lines(bench: Bench) -> Iterator[Line]:
    operator = Operator(bench.folder / "data")
    token = operator.token("bench")
    server = bench.stack.enter_context(operator.serving(**_NO_LIMITS))
    port = int(server.url.removesuffix("/mcp").rsplit(":", 1)[1])
    trivial = bench.stack.enter_context(_trivial())
    key = f"Authorization: Bearer {token}\r\n"
    rest = f"GET /v1/server HTTP/1.1\r\nHost: localhost:{port}\r\n{key}\r\n".encode()
    targets = {
        "MCP server_info": (port, _call(port, "server_info", {}, key)),
        "REST GET /v1/server": (port, rest),
        "": (trivial, _call(trivial, "add", {"a": 1, "b": 2})),
    }
    rounds = 1 if bench.quick else _ROUNDS
    for clients in _CLIENTS:
        seen: dict[str, list[list[float]]] = {name: [] for name in targets}
        for _ in range(rounds):
            for name, (to, request) in targets.items():
                seen[name].append(anyio.run(_load, to, request, clients))
        bare = seen.pop("")
        for name, found in seen.items():
            what = f"{name}, {clients} clients"
            yield Line(
                f"{what}: each second", _rate(found), _rate(bare), "the SDK's trivial server"
            )
            yield Line(f"{what}: p99", _p99(found), _p99(bare), "the SDK's trivial server")


def _rate(found: list[list[float]]) -> Measure:
    return Measure([len(times) / _SECONDS for times in found], "calls")


def _p99(found: list[list[float]]) -> Measure:
    return Measure([statistics.quantiles(times, n=100)[-1] for times in found], "ms")


async def _load(port: int, request: bytes, clients: int) -> list[float]:
    """Send one request after the other on each connection; return how long each took, in ms."""
    times: list[float] = []

    async def client() -> None:
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            while time.perf_counter() < end:
                began = time.perf_counter()
                await stream.send(request)
                await _answer(stream)
                times.append((time.perf_counter() - began) * 1000)

    end = time.perf_counter() + _SECONDS
    async with anyio.create_task_group() as tasks:
        for _ in range(clients):
            tasks.start_soon(client)
    return times


async def _answer(stream: anyio.abc.ByteStream) -> None:
    received = b""
    while b"\r\n\r\n" not in received:
        received += await stream.receive()
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), received[:300]
    [length] = [
        int(line.split(b":")[1])
        for line in head.lower().split(b"\r\n")
        if line.startswith(b"content-length:")
    ]
    while len(body) < length:
        body += await stream.receive()


def _call(port: int, tool: str, arguments: dict[str, int], more: str = "") -> bytes:
    params = {"name": tool, "arguments": arguments, "_meta": _META}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    return (
        f"POST /mcp HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Type: application/json\r\n"
        "Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\n"
        f"Mcp-Method: tools/call\r\nMcp-Name: {tool}\r\n{more}"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


@contextlib.contextmanager
def _trivial() -> Iterator[int]:
    """Start the SDK's trivial server over HTTP; yield its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    program = [sys.executable, "-m", "tests.benchmarks.trivial", str(port)]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(program, cwd=ROOT, stdout=quiet, stderr=quiet) as process:
        try:
            end = time.monotonic() + _START_SECONDS
            while time.monotonic() < end:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                time.sleep(0.05)
            yield port
        finally:
            process.kill()
