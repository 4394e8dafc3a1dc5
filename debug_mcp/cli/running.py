"""``debug-mcp run`` and ``debug-mcp logs``: a command as if it ran in this terminal.

Exit codes are the command's own; where it has none, those that shells and ``timeout`` use.
"""

import argparse
import signal
import uuid
from typing import Any

import anyio
from anyio.abc import TaskStatus

from debug_mcp.cli.answers import print_refusal
from debug_mcp.cli.opening import opened
from debug_mcp.cli.place import Facts, Place
from debug_mcp.cli.showing import READER_GONE, Output, ReaderGone, say
from debug_mcp.cli.sizes import size_text
from debug_mcp.errors import DebugMcpError, InvalidInput
from debug_mcp.operations.commands import command_cancel, command_run

# As `docker run`: what kept the command from being run or seen is no exit code of it.
NOT_RUN = 125
_TIMED_OUT = 124
_SIGNALLED = 128
_BY_OUTCOME = {
    "timed_out": _TIMED_OUT,
    "idle_timed_out": _TIMED_OUT,
    "cancelled": _SIGNALLED + signal.SIGINT,
}
_PLAIN = ("succeeded", "failed")


async def run_run(place: Place, options: argparse.Namespace) -> int:
    """Run a command in a session and show its output; return its exit code."""
    try:
        asked = _asked(options)
        run = _Run(place)
        async with opened(anyio.create_task_group()) as tasks:
            await tasks.start(run.heed_signals, tasks.cancel_scope)
            try:
                await run.run(asked)
            finally:
                tasks.cancel_scope.cancel()
    except DebugMcpError as error:
        print_refusal(error, as_json=False)
        return NOT_RUN
    return run.code


async def run_logs(place: Place, options: argparse.Namespace) -> int:
    """Show what a command wrote; with ``-f`` to its end, whose exit code is then returned."""
    out = Output()
    try:
        if not options.follow:
            await place.read("output", options.command, 0, out.show)
            return 0
        view = await place.follow(options.command, 0, out.show)
    except ReaderGone:
        return READER_GONE
    except DebugMcpError as error:
        print_refusal(error, as_json=False)
        return NOT_RUN
    say_end(view)
    return exit_code(view)


class _Run:
    """One command that belongs to this terminal: a signal ends it, a second one leaves it."""

    def __init__(self, place: Place) -> None:
        self.code = NOT_RUN
        self._place = place
        self._out = Output()
        self._following = anyio.CancelScope()
        self._signalled = False
        self._command: str | None = None

    async def run(self, asked: dict[str, Any]) -> None:
        """Run the command to its end, or until nobody is interested any more."""
        # The key: an answer that was lost is asked for again, and nothing runs twice.
        view = await self._place.ask(
            command_run, **asked, wait_seconds=0, idempotency_key=uuid.uuid4().hex
        )
        command = self._command = str(view["command_id"])
        say(f"command {command}")
        try:
            with self._following:
                view = await self._place.follow(command, 0, self._out.show)
                say_end(view)
                self.code = exit_code(view)
                return
            say(f"ending {command}; once more leaves it to itself")
            await self._place.ask(command_cancel, command_id=command)
            await self._place.follow(command, self._out.written, self._out.show)
        except ReaderGone:
            self.code = READER_GONE
            await self._place.ask(command_cancel, command_id=command)

    async def heed_signals(
        self, all_of_it: anyio.CancelScope, *, task_status: TaskStatus[None]
    ) -> None:
        """End the command at the first signal, and the wait for its end at the second."""
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            async for number in signals:
                self.code = _SIGNALLED + number
                if self._signalled:
                    say(f"{self._command or 'the command'} is left to itself")
                    all_of_it.cancel()
                    return
                self._signalled = True
                self._following.cancel()


def _asked(options: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments of ``command_run``; what was not given is left to their defaults.

    Raises:
        InvalidInput: There is no command, or an option stands where a command should.
    """
    words = options.words[1:] if options.words[:1] == ["--"] else options.words
    if not words:
        raise InvalidInput("which command? debug-mcp run SESSION COMMAND…", field="command")
    if options.words[0] != "--" and words[0].startswith("-"):
        raise InvalidInput(f"{words[0]} is no program: options stand before the session")
    given = {
        "cwd": options.cwd,
        "timeout_seconds": options.timeout,
        "network": options.network or None,
        "artifacts": options.artifact,
        "env": _variables(options.env),
    }
    return {
        "session_id": options.session,
        # One word is a line for a shell, as in `ssh host 'make && make check'`.
        "command": words[0] if len(words) == 1 else words,
        **{name: value for name, value in given.items() if value is not None},
    }


def _variables(given: list[str] | None) -> dict[str, str] | None:
    if given is None:
        return None
    pairs = [word.partition("=") for word in given]
    for name, equals, _ in pairs:
        if not equals:
            raise InvalidInput(f"--env {name!r} is no NAME=VALUE", field="env")
    return {name: value for name, _, value in pairs}


def exit_code(view: Facts) -> int:
    """Return the exit code that stands for the end of a command."""
    outcome = view.get("outcome", "")
    if outcome in _BY_OUTCOME:
        return _BY_OUTCOME[outcome]
    if "signal" in view:
        return _SIGNALLED + getattr(signal, view["signal"], signal.SIGKILL)
    # Success has exit code 0, which answers may leave out.
    return int(view.get("exit_code", 0 if outcome == "succeeded" else NOT_RUN))


def say_end(view: Facts) -> None:
    """Say what the exit code does not: how it ended, and what was kept of it."""
    if view.get("outcome") not in _PLAIN or "signal" in view:
        how = view.get("signal", view.get("outcome"))
        hint = f"; {view['hint']}" if "hint" in view else ""
        say(f"command {view.get('command_id')}: {how}{hint}")
    for artifact in view.get("artifacts", ()):
        size = size_text(artifact["size"])
        say(f"kept {artifact['name']} ({size}): debug-mcp get {artifact['artifact_id']}")
