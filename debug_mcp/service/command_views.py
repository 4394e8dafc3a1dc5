"""What a caller is shown of a command: outcome first, then output, then what to do next."""

import json
import re
import shlex
import signal
from pathlib import Path

from debug_mcp.config import NetworkPolicy
from debug_mcp.errors import NextCall
from debug_mcp.models.base import now
from debug_mcp.models.commands import (
    TIMEOUT_LIMIT_SECONDS,
    WAIT_SECONDS,
    Command,
    CommandKind,
    CommandRow,
    CommandState,
    CommandView,
    Limit,
    Outcome,
    QueueView,
)
from debug_mcp.runner.output import Page, excerpt, last_line, last_written
from debug_mcp.service.command_output import lost_output, output_view
from debug_mcp.service.network import lacks_network
from debug_mcp.service.reports import read_report
from debug_mcp.service.result_views import current_seconds, results_view
from debug_mcp.testreports.invocation import runs_only_pytest
from debug_mcp.testreports.model import Report

FINISHED_BYTES = 6000
RUNNING_BYTES = 1500
ROW_CHARACTERS = 200
_NOT_FOUND = re.compile(
    r"(?:^|: )(?P<program>[^\s:]+): (?:command )?not found$"  # bash, sh
    r"|execvp (?P<inside>\S+): No such file"  # bwrap
    r"|^(?P<plain>\S+): No such file or directory$",
    re.MULTILINE,
)
_OFFLINE = "no name could be looked up: without network: true there is only the session's loopback"
_FORBIDDEN = (
    "no name could be looked up: there is only the session's loopback; the operator's setting "
    "network can allow more"
)
_LONGER = 3
_QUIET_SECONDS = 5
# One test that took this much of the whole time does not look like progress.
_STUCK_SHARE = 0.5


def command_view(
    command: Command,
    directory: Path,
    since: int = 0,
    queue: QueueView | None = None,
    network: NetworkPolicy | None = NetworkPolicy.ASK,
    default_wait: float | None = None,
) -> CommandView:
    """Return the view of a command; reads its output, so call it in a thread.

    ``network`` is what its caller may have; None where there is no boundary to lack it behind.
    """
    path = directory / "output"
    running = command.state is not CommandState.FINISHED
    limit = RUNNING_BYTES if running else FINISHED_BYTES
    page: Page | None = excerpt(path, limit, since, growing=running)
    if command.outcome is Outcome.SPAWN_FAILED:
        page = None  # nothing of it is the command's
    report = read_report(directory)
    told = not since and _told_by_tests(command, report)
    if told:
        page = last_line(path)
    return CommandView(
        command_id=command.id,
        state=command.state,
        outcome=command.outcome,
        exit_code=command.exit_code,
        signal=_signal(command.exit_code),
        elapsed_seconds=_elapsed(command),
        last_output_age_seconds=last_written(path) if running and page and page.total else None,
        deadline_in_seconds=_deadline(command),
        queue=queue,
        limit=_limit(command),
        tests=None if report is None else results_view(report, command.ended_at or now()),
        output=None if page is None else output_view(page, running=running),
        hint=_progress_of_tests(command, report)
        or lost_output(command, path)
        or _hint(command, page, last_written(path), queue, network),
        next=None if told else _next(command, page, network, default_wait),
    )


def _told_by_tests(command: Command, report: Report | None) -> bool:
    """Return whether the output only repeats what the structured results say."""
    return (
        report is not None
        and report.complete
        and command.outcome in (Outcome.SUCCEEDED, Outcome.FAILED)
        and runs_only_pytest(command.request.command)
    )


def _progress_of_tests(command: Command, report: Report | None) -> str | None:
    """Say how long a run of tests that was ended too early would have taken."""
    if command.outcome is not Outcome.TIMED_OUT or report is None or not report.collected:
        return None
    done, seconds = len(report.tests), command.elapsed_seconds or 0
    if not done:
        return None
    said = f"{done} of {report.collected} tests in {seconds:.0f} s"
    quiet = current_seconds(report, command.ended_at or now())
    if quiet is not None and quiet > max(_STUCK_SHARE * seconds, _QUIET_SECONDS):
        return f"stuck in {report.current} for {quiet:.1f} s; {said}"
    return f"was progressing: {said}, about {seconds * report.collected / done:.0f} s in all"


def _signal(exit_code: int | None) -> str | None:
    """Name the signal in an exit code above 128, as shells and sandboxes report one."""
    try:
        return None if exit_code is None else signal.Signals(exit_code - 128).name
    except ValueError:
        return None


def _elapsed(command: Command) -> float | None:
    if command.state is CommandState.FINISHED:
        return command.elapsed_seconds
    began = command.started_at
    return None if began is None else (now() - began).total_seconds()


def _deadline(command: Command) -> int | None:
    if command.state is not CommandState.RUNNING or command.started_at is None:
        return None
    gone = (now() - command.started_at).total_seconds()
    return max(round(command.request.timeout_seconds - gone), 0)


def _limit(command: Command) -> Limit | None:
    match command.outcome:
        case Outcome.TIMED_OUT:
            return Limit(name="timeout_seconds", value=command.request.timeout_seconds)
        case Outcome.IDLE_TIMED_OUT:
            return Limit(
                name="idle_timeout_seconds", value=command.request.idle_timeout_seconds or 0
            )
        case Outcome.OUTPUT_LIMIT:
            return Limit(name="output_bytes", value=command.output_bytes or 0)
        case _:
            return None


def command_row(command: Command, queue: QueueView | None = None) -> CommandRow:
    """Return a command as it stands in a list."""
    asked = command.request.command
    written = asked if isinstance(asked, str) else shlex.join(asked)
    return CommandRow(
        command_id=command.id,
        session_id=command.session_id,
        state=command.state,
        outcome=command.outcome,
        exit_code=command.exit_code,
        command=written if len(written) <= ROW_CHARACTERS else f"{written[:ROW_CHARACTERS]}…",
        kind=None if command.kind is CommandKind.RUN else command.kind,
        parallel=command.request.parallel or None,
        queue=queue,
        accepted_at=command.accepted_at,
        elapsed_seconds=_elapsed(command),
    )


def _hint(
    command: Command,
    page: Page | None,
    written_ago: float | None,
    queue: QueueView | None,
    network: NetworkPolicy | None,
) -> str | None:
    match command.outcome:
        case Outcome.SPAWN_FAILED:
            if _lacks_folder(command):
                return f"cwd: there is no folder {command.request.cwd!r} in the tree"
            missing = _NOT_FOUND.search(command.message or "")
            if missing:
                return f"{_not_found(missing)}; a list runs without a shell"
            return command.message or "it could not be started"
        case Outcome.FAILED if command.exit_code == 127 and page is not None:
            missing = _NOT_FOUND.search(page.text.strip())
            return _not_found(missing) if missing else None
        case Outcome.OUTPUT_LIMIT:
            dropped = command.output_dropped or 0
            why = command.message or "the limit of kept output was reached"
            return f"{why}: the last {dropped} bytes were dropped; the program itself went on"
        case Outcome.FAILED if network and _lacked_network(command, page):
            return _OFFLINE if network is NetworkPolicy.ASK else _FORBIDDEN
        case Outcome.TIMED_OUT if page is not None:
            return _progress(command, page, written_ago)
        case Outcome.LOST:
            return (
                command.message
                or "nobody saw its end: its supervisor was killed; it was not run again"
            )
        case None if command.state is CommandState.QUEUED:
            return _waits(queue)
        case _:
            return None


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


def _not_found(found: re.Match[str]) -> str:
    program = found["program"] or found["inside"] or found["plain"]
    return (
        f"program_not_found: {program} is neither in the tree nor on the server's PATH, which the "
        "client's configuration sets"
    )


def _next(
    command: Command,
    page: Page | None,
    network: NetworkPolicy | None,
    default_wait: float | None,
) -> NextCall | None:
    if command.state is not CommandState.FINISHED:
        seconds = WAIT_SECONDS if default_wait is None else _plain(default_wait)
        waiting: dict[str, object] = {"command_id": command.id, "wait_seconds": seconds}
        if page is not None and page.end:
            waiting["since"] = page.end
        return {"tool": "command_wait", "arguments": waiting}
    asked = command.request.command
    match command.outcome:
        case Outcome.TIMED_OUT if command.request.timeout_seconds < TIMEOUT_LIMIT_SECONDS:
            longer = min(command.request.timeout_seconds * _LONGER, TIMEOUT_LIMIT_SECONDS)
            return _again(command, timeout_seconds=_plain(longer))
        case Outcome.LOST if not command.damaged:
            return _again(command)
        case Outcome.FAILED if command.exit_code == 127 and (listed := _written_as_text(asked)):
            return _again(command, command=listed)
        case Outcome.FAILED if network is NetworkPolicy.ASK and _lacked_network(command, page):
            return _again(command, network=True)
        case _ if page is not None and page.omitted:
            cut = {"command_id": command.id, "mode": "range", "offset": page.omitted[0]}
            return {"tool": "command_output", "arguments": cut}
        case _:
            return None


def _again(command: Command, /, **changes: object) -> NextCall:
    """Return the call that was made, with changes; what the caller left out stays out."""
    asked = command.request.model_dump(
        mode="json", exclude_defaults=True, exclude={"idempotency_key", "wait_seconds"}
    )
    return {"tool": "command_run", "arguments": {**asked, **changes}}


def _plain(number: float) -> float:
    return int(number) if number == int(number) else number


def _lacked_network(command: Command, page: Page | None) -> bool:
    return not command.request.network and page is not None and lacks_network(page.text)


def _written_as_text(asked: str | list[str]) -> list[str] | None:
    """Return the list that a model wrote as a text, which the shell then took for a program."""
    if not isinstance(asked, str) or not asked.startswith("["):
        return None
    try:
        found = json.loads(asked)
    except ValueError:
        return None
    return found if found and all(isinstance(part, str) for part in found) else None
