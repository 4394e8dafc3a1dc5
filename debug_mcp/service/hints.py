"""What the end of a command means, and the call that would go on from there."""

import re
import signal

from debug_mcp.models.base import now
from debug_mcp.models.commands import (
    TIMEOUT_LIMIT_SECONDS,
    Command,
    CommandState,
    Outcome,
    QueueView,
)
from debug_mcp.models.network import NetworkPolicy
from debug_mcp.runner.output import Page
from debug_mcp.service.calls import Advice, again, plain
from debug_mcp.service.cores import core_hint
from debug_mcp.service.keyboard import prompt_hint
from debug_mcp.service.limits import limit_hint
from debug_mcp.service.network import lacks_network
from debug_mcp.service.program_hints import folder_advice, program_advice
from debug_mcp.service.surroundings import Surroundings

_OFFLINE = "no name could be looked up: without network: true there is only the session's loopback"
_FORBIDDEN = (
    "no name could be looked up: there is only the session's loopback; the operator's setting "
    "network can allow more"
)
_LONGER = 3
_QUIET_SECONDS = 5
_SIGNALS = {
    signal.SIGKILL: "killed by SIGKILL: by the machine when its memory was full, or by itself",
    signal.SIGSEGV: "crashed with SIGSEGV: it used memory that is not its own",
    signal.SIGABRT: "ended itself with SIGABRT: a failed assertion or a damaged heap",
    signal.SIGBUS: "crashed with SIGBUS: memory or a mapped file that is not there any more",
    signal.SIGFPE: "crashed with SIGFPE: a division by zero",
    signal.SIGILL: "crashed with SIGILL: an instruction that this processor does not have",
    signal.SIGPIPE: "ended by SIGPIPE: it wrote to a pipe that nobody reads",
    signal.SIGXCPU: "ended by SIGXCPU: its processor time was used up",
    signal.SIGXFSZ: "ended by SIGXFSZ: a file became larger than is allowed",
}

_DUMPING = {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL}


def advise(
    command: Command,
    page: Page | None,
    written_ago: float | None,
    queue: QueueView | None,
    network: NetworkPolicy | None,
    around: Surroundings | None,
) -> Advice | None:
    """Return what to say of a command beside its outcome; None where that says all.

    Args:
        command: The command.
        page: What is shown of its output.
        written_ago: How many seconds ago it last wrote.
        queue: What it waits for.
        network: What its caller may have of the network; None where there is no boundary.
        around: What a program that did not start may have meant; None when nobody looked.
    """
    match command.outcome:
        case None:
            queued = command.state is CommandState.QUEUED
            waits = _waits(queue) if queued else prompt_hint(command, page.text if page else "")
            return None if waits is None else Advice(waits)
        case Outcome.SPAWN_FAILED:
            if _lacks_folder(command):
                return folder_advice(command, around)
            advice = program_advice(command, command.message or "", around)
            return advice or Advice(command.message or "it could not be started")
        case Outcome.FAILED:
            return _failed(command, "" if page is None else page.text, network, around)
        case Outcome.OUTPUT_LIMIT:
            why = command.message or "the limit of kept output was reached"
            dropped = command.output_dropped or 0
            return Advice(
                f"{why}: the last {dropped} bytes were dropped; the program itself went on"
            )
        case Outcome.RESOURCE_LIMIT:
            return None if command.limit is None else Advice(limit_hint(command.limit))
        case Outcome.TIMED_OUT:
            return _timed_out(command, page, written_ago)
        case Outcome.IDLE_TIMED_OUT:
            return _idle_timed_out(command)
        case Outcome.LOST:
            said = "nobody saw its end: its supervisor was killed; it was not run again"
            again_ = None if command.damaged else again(command)
            return Advice(command.message or said, again_)
        case _:
            return None


def _failed(
    command: Command, said: str, network: NetworkPolicy | None, around: Surroundings | None
) -> Advice | None:
    advice = program_advice(command, said, around)
    if advice is not None:
        return advice
    if network and not command.request.network and lacks_network(said):
        if network is NetworkPolicy.ASK:
            return Advice(_OFFLINE, again(command, network=True))
        return Advice(_FORBIDDEN)
    code = command.exit_code
    why = None if code is None else _SIGNALS.get(code - 128)  # type: ignore[call-overload]
    if why is None or code is None:
        return None
    kept = core_hint(command) if code - 128 in _DUMPING else None
    return Advice(why if kept is None else f"{why}; {kept}")


def _timed_out(command: Command, page: Page | None, written_ago: float | None) -> Advice | None:
    hint = _progress(command, page, written_ago) if page is not None else None
    limit = command.request.timeout_seconds
    if limit >= TIMEOUT_LIMIT_SECONDS:
        return None if hint is None else Advice(hint)
    longer = plain(min(limit * _LONGER, TIMEOUT_LIMIT_SECONDS))
    return Advice(hint or "its time was over", again(command, timeout_seconds=longer))


def _idle_timed_out(command: Command) -> Advice:
    limit = command.request.idle_timeout_seconds or 0
    hint = f"it printed nothing for {plain(limit)} s"
    if limit >= TIMEOUT_LIMIT_SECONDS:
        return Advice(hint)
    longer = plain(min(limit * _LONGER, TIMEOUT_LIMIT_SECONDS))
    return Advice(hint, again(command, idle_timeout_seconds=longer))


def _waits(queue: QueueView | None) -> str | None:
    if queue is None:
        return None
    if queue.waits_for:
        return (
            f"it starts when {queue.waits_for} has ended"
            + (f", and {queue.ahead - 1} more" if queue.ahead > 1 else "")
            + "; a command with parallel: true does not wait for them"
        )
    return f"it starts when one of the {queue.places} places for running commands is free"


def _progress(command: Command, page: Page, written_ago: float | None) -> str | None:
    """Tell a slow run from a stuck one, as far as its output shows."""
    if not page.total:
        return "it printed nothing before its time was over"
    if written_ago is None or command.ended_at is None:
        return None
    quiet = written_ago - (now() - command.ended_at).total_seconds()
    if quiet < _QUIET_SECONDS:
        return "it printed to its end: perhaps slow rather than stuck"
    return f"it had printed nothing for {quiet:.1f} s when its time was over: it may be stuck"


def _lacks_folder(command: Command) -> bool:
    where = re.escape(command.request.cwd)
    why = "(?:No such file or directory|Not a directory)"
    return bool(re.search(f"/{where}: {why}", command.message or ""))


def not_cancelled(before: Command, after: Command) -> str | None:
    """Say which end stands when a command was to be cancelled and ended otherwise.

    Args:
        before: The command when it was asked for.
        after: The command now.
    """
    if after.state is not CommandState.FINISHED:
        return "it was told to end and has not yet: ask again with command_wait"
    if after.outcome is Outcome.CANCELLED:
        return None
    if before.state is CommandState.FINISHED:
        return "it had ended before it was to be cancelled; its end stands"
    return "it ended by itself before the cancel reached it; that end stands"
