"""A client that costs next to nothing: raw JSON lines of the stateless protocol over two pipes.

The SDK's own client would take a good part of each call for itself.
"""

import contextlib
import json
import os
import select
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).parents[2]
REPLY_SECONDS = 60
END_SECONDS = 10
_META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "benchmark", "version": "1"},
}


class Client:
    """A server process of its own, ended with the block."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            arguments,
            cwd=ROOT,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input = self._process.stdin.fileno()
        self._output = self._process.stdout.fileno()
        self._poll = select.poll()
        self._poll.register(self._output, select.POLLIN)
        self._rest = b""
        self._number = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:
            assert self._process.stdin is not None
            self._process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(END_SECONDS)
            self._process.kill()

    @property
    def pid(self) -> int:
        return self._process.pid

    def discover(self) -> None:
        """Return when the server answers."""
        self._reply(self._send("server/discover", {}))

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool that must succeed, and return its structured content."""
        return self.calls(tool, [arguments])[0]

    def calls(self, tool: str, arguments: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Send all calls at once and return the answers in the order of the calls."""
        waiting = [
            self._send("tools/call", {"name": tool, "arguments": each}) for each in arguments
        ]
        answers: dict[int, dict[str, Any]] = {}
        while len(answers) < len(waiting):
            message = self._message()
            if message.get("id") in waiting:
                answers[message["id"]] = _content(message)
        return [answers[number] for number in waiting]

    def _send(self, method: str, params: Mapping[str, Any]) -> int:
        self._number += 1
        request = {
            "jsonrpc": "2.0",
            "id": self._number,
            "method": method,
            "params": {**params, "_meta": _META},
        }
        data = json.dumps(request).encode() + b"\n"
        while data:
            data = data[os.write(self._input, data) :]
        return self._number

    def _reply(self, number: int) -> dict[str, Any]:
        while (message := self._message()).get("id") != number:
            pass
        return message

    def _message(self) -> dict[str, Any]:
        while b"\n" not in self._rest:
            if not self._poll.poll(REPLY_SECONDS * 1000):
                raise TimeoutError(f"no reply within {REPLY_SECONDS} s")
            data = os.read(self._output, 1 << 16)
            if not data:
                raise EOFError("the server ended")
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message


def _content(message: Mapping[str, Any]) -> dict[str, Any]:
    if "error" in message:
        raise RuntimeError(message["error"])
    result = message["result"]
    if result["isError"]:
        raise RuntimeError(result["content"][0]["text"])
    content: dict[str, Any] = result["structuredContent"]
    return content
