"""What a command reads, and what is typed into it while it runs."""

import json
import signal
from pathlib import Path

from debug_mcp.errors import Busy, Conflict, InvalidInput, NextCall
from debug_mcp.models.commands import Command, CommandInput, CommandRun, CommandState
from debug_mcp.runner.keyboard import NobodyReads, end_input, interrupt, resize, type_text
from debug_mcp.runner.supervisor import Stdin

OPEN = "open"
RETRY_SECONDS = 5
# Keys that interrupt, by the signal that stands for each.
_INTERRUPTS = {
    "ctrl-c": signal.SIGINT,
    "ctrl-\\": signal.SIGQUIT,
    "ctrl-z": signal.SIGTSTP,
}
_KEYS = {
    "ctrl-d": "\x04", "enter": "\r", "tab": "\t", "escape": "\x1b", "backspace": "\x7f",
    "up": "\x1b[A", "down": "\x1b[B", "right": "\x1b[C", "left": "\x1b[D",
}  # fmt: skip


def check_stdin(args: CommandRun) -> None:
    """Refuse what contradicts itself.

    Raises:
        InvalidInput: A text to read, and a terminal to type into.
    """
    if args.tty and args.stdin not in (None, OPEN):
        raise InvalidInput("with tty: true, type the text with command_input", field="stdin")


def stdin_of(request: CommandRun) -> Stdin:
    """Return what a command reads: by default nothing."""
    if request.tty:
        return Stdin("tty")
    if request.stdin is None:
        return Stdin()
    return Stdin("open") if request.stdin == OPEN else Stdin("text", request.stdin)


def prompt_hint(command: Command, text: str) -> str | None:
    """Return how to type at what looks like a prompt, at the end of a running command's output.

    Nobody can know it: dots of progress look the same, so it is only said where typing is possible.
    """
    request = command.request
    if not (request.tty or request.stdin == OPEN) or not text or text.endswith("\n"):
        return None
    call = json.dumps({"command_id": command.id, "text": "…\n"}, ensure_ascii=False)
    return f"its last line has no end; if that is a prompt: command_input {call}"


def not_running(command: Command) -> Conflict:
    """Say that nothing can be typed into a command, and what can be done instead."""
    if command.state is CommandState.FINISHED:
        return Conflict(
            f"command {command.id} has ended ({command.outcome})",
            field="command_id",
            next_call=_again(command),
        )
    return Conflict(
        f"command {command.id} is {command.state}: it can be typed into once it runs",
        field="command_id",
        next_call={"tool": "command_wait", "arguments": {"command_id": command.id}},
    )


async def send(command: Command, directory: Path, args: CommandInput) -> None:
    """Type into a command: the size first, then the text, then the key.

    Raises:
        Conflict: Its standard input is not open, or it ended meanwhile.
        InvalidInput: It has no terminal, and only that knows such a key.
        Busy: It does not read.
    """
    _check(command, args)
    try:
        if args.size is not None:
            await resize(directory, args.size[1], args.size[0])
        taken = await type_text(directory, args.text) if args.text else 0
        if taken < len(args.text):
            raise _full(command, f"{taken} of {len(args.text)} characters were taken", taken)
        if args.key is not None and not await _press(command, directory, args.key):
            raise _full(command, f"the text was taken, {args.key} was not", taken)
    except NobodyReads:
        raise Conflict(
            f"command {command.id} has just ended",
            field="command_id",
            next_call={"tool": "command_wait", "arguments": {"command_id": command.id}},
        ) from None
    except TimeoutError:
        raise _full(command, "another call is typing into it; nothing was taken", 0) from None


def _check(command: Command, args: CommandInput) -> None:
    request = command.request
    if not request.tty and request.stdin != OPEN:
        raise Conflict(
            f'command {command.id} reads nothing typed: start it with stdin: "open" or tty: true',
            field="command_id",
            next_call=_again(command),
        )
    if not (args.text or args.key or args.size):
        raise InvalidInput("give text, key or size", field="text", candidates=("text", "key"))
    if request.tty:
        return
    if args.size is not None:
        raise InvalidInput("only a terminal has a size: start it with tty: true", field="size")
    if args.key in ("ctrl-c", "ctrl-d", "ctrl-\\", None):
        return
    raise InvalidInput(
        f"{args.key} is a key of a terminal: start it with tty: true",
        field="key",
        candidates=("ctrl-c", "ctrl-d", "ctrl-\\"),
    )


async def _press(command: Command, directory: Path, key: str) -> bool:
    if key in _INTERRUPTS:
        return await interrupt(directory, _INTERRUPTS[key])
    if key == "ctrl-d" and not command.request.tty:
        return await end_input(directory)
    return bool(await type_text(directory, _KEYS[key]))


def _full(command: Command, message: str, taken: int) -> Busy:
    return Busy(
        f"command {command.id} does not read its input: {message}",
        retry_after_seconds=RETRY_SECONDS,
        taken=taken,
        next_call={"tool": "command_wait", "arguments": {"command_id": command.id}},
    )


def _again(command: Command) -> NextCall:
    """Return the call that starts it with its standard input open."""
    asked = command.request.model_dump(
        mode="json", exclude_defaults=True, exclude={"idempotency_key", "wait_seconds", "stdin"}
    )
    opened: dict[str, object] = {} if command.request.tty else {"stdin": OPEN}
    return {"tool": "command_run", "arguments": {**asked, **opened}}
