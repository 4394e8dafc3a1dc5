"""Server processes that start in milliseconds, are spoken to in JSON lines, and die by SIGKILL.

They are forked from a process that has everything imported (``multiprocessing``'s fork server), so
that a thousand kills do not take a thousand imports of the SDK.
"""

import json
import multiprocessing
import os
import threading
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

import anyio

from debug_mcp.cli.launched import run_stdio
from debug_mcp.config import Settings

_FORK = multiprocessing.get_context("forkserver")
_FORK.set_forkserver_preload(["debug_mcp.cli.launched", "debug_mcp.runner.supervisor", "git"])
_META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "chaos", "version": "1"},
}


class Died(Exception):
    """The server was gone before it answered."""


class Refused(Exception):
    """The server answered with an error; ``fault`` is its structured content."""

    def __init__(self, fault: Mapping[str, Any]) -> None:
        super().__init__(str(fault))
        self.fault = fault


class Server:
    """One server on standard input and output, for one thread at a time; any may kill it."""

    def __init__(self, settings: Settings, errors: str) -> None:
        stdin, ours_out = os.pipe()
        ours_in, stdout = os.pipe()
        # Connections, because these are what can be handed to a process that is being started.
        with Connection(stdin, writable=False) as their_in, Connection(stdout) as their_out:
            self._process = _FORK.Process(
                target=_serve, args=(their_in, their_out, errors, settings), daemon=True
            )
            self._process.start()
        self._to = os.fdopen(ours_out, "wb", buffering=0)
        self._from = os.fdopen(ours_in, "rb")
        self._number = 0
        self._killed = threading.Event()

    @property
    def is_dead(self) -> bool:
        return self._killed.is_set()

    def kill(self) -> None:
        """Send SIGKILL."""
        self._killed.set()
        self._process.kill()

    def bury(self) -> None:
        """Kill it if it lives, wait until it is gone, and let go of its pipes."""
        self.kill()
        self._process.join()
        self._process.close()
        self._to.close()
        self._from.close()

    def call(self, tool: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Call a tool and return its structured content.

        Raises:
            Died: The server ended before it answered.
            Refused: It answered with an error.
        """
        self._number += 1
        params = {"name": tool, "arguments": arguments, "_meta": _META}
        request = {"jsonrpc": "2.0", "id": self._number, "method": "tools/call", "params": params}
        try:
            self._to.write(json.dumps(request).encode() + b"\n")
            answer = self._answer()
        except (BrokenPipeError, EOFError, json.JSONDecodeError) as error:
            raise Died from error
        if "error" in answer:
            raise Refused(answer["error"])
        content: dict[str, Any] = answer["result"]["structuredContent"]
        if answer["result"].get("isError"):
            raise Refused(content)
        return content

    def _answer(self) -> dict[str, Any]:
        while line := self._from.readline():
            message: dict[str, Any] = json.loads(line)
            if message.get("id") == self._number:
                return message
        raise EOFError


def _serve(stdin: Connection, stdout: Connection, errors: str, settings: Settings) -> None:
    log = os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for place, fd in enumerate((stdin.fileno(), stdout.fileno(), log)):
        os.dup2(fd, place)
    stdin.close()
    stdout.close()
    os.close(log)
    anyio.run(run_stdio, settings)
