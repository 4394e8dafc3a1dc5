"""An operator: somebody at the command line of one data directory, with true processes."""

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import anyio

SECONDS = 20
_PROGRAM = (sys.executable, "-m", "debug_mcp")


class Operator:
    """Somebody at the command line of one data directory."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir

    def does(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end."""
        return _run(self._command(*arguments), environment)

    def asks(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Call an operation of a server elsewhere."""
        return _run([*_PROGRAM, "call", *arguments], environment)

    def token(self, name: str, *options: str) -> str:
        """Make a token; return its secret."""
        printed = self.does("token", "create", name, *options).stdout
        [secret] = re.findall(r"dmcp_\S+", printed)
        return str(secret)

    @contextlib.contextmanager
    def serving(self, *arguments: str, **environment: str) -> Iterator["Serving"]:
        """Start a server on a free port; it is killed at the end if it is still there."""
        process = subprocess.Popen(
            self._command("serve", "--port", "0", *arguments),
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )
        with process:
            try:
                yield Serving(process)
            finally:
                process.kill()

    def _command(self, *arguments: str) -> list[str]:
        folder = ["--data-dir", str(self.data_dir)]
        return [*_PROGRAM, *arguments, *folder]


class Serving:
    """A server process that has said where it is."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        assert process.stderr is not None
        self.process = process
        self.said = process.stderr.readline()
        self.url, *_ = re.findall(r'http://[^\s"]+', self.said) or [""]

    async def ended(self) -> int:
        """Wait for the process's end; return its exit code."""
        with anyio.fail_after(SECONDS):
            return await anyio.to_thread.run_sync(self.process.wait, abandon_on_cancel=True)


def _run(command: list[str], environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command, capture_output=True, text=True, timeout=SECONDS, env={**os.environ, **environment}
    )
