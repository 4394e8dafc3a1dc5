"""What a caller is shown of a command: outcome first, then output, then what to do next."""

import shlex
import signal
from dataclasses import replace
from pathlib import Path

from debug_mcp.errors import NextCall
from debug_mcp.models.base import now
from debug_mcp.models.commands import (
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
from debug_mcp.models.network import NetworkPolicy
from debug_mcp.models.outputs import PAGE_BYTES
from debug_mcp.runner.output import Page, excerpt, last_line, size
from debug_mcp.service.calls import Advice, plain
from debug_mcp.service.command_output import lost_output, output_view
from debug_mcp.service.coverage import noted_coverage
from debug_mcp.service.hints import advise
from debug_mcp.service.last_looks import LOOK_FILE
from debug_mcp.service.reports import read_report
from debug_mcp.service.result_views import current_seconds, first_failure, results_view
from debug_mcp.service.streams import SEPARATE, quiet_seconds, stream_paths
from debug_mcp.service.surroundings import Surroundings
from debug_mcp.testreports.invocation import runs_only_pytest
from debug_mcp.testreports.model import Report

FINISHED_BYTES = 6000
RUNNING_BYTES = 1500
ROW_CHARACTERS = 200
REPEATED_CHARACTERS = 8000
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
    around: Surroundings | None = None,
    debug: bool = False,
) -> CommandView:
    """Return the view of a command; reads its output, so call it in a thread.

    ``network`` is what its caller may have; None where there is no boundary to lack it behind.
    ``around`` is what a program that did not start may have meant. ``debug``: its caller may debug.
    """
    path = directory / "output"
    running = command.state is not CommandState.FINISHED
    page, apart = _pages(command, directory, since)
    said, quiet = _together(page, apart), quiet_seconds(directory)
    report = read_report(directory)
    advice = advise(command, said, quiet, queue, network, around)
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
        last_output_age_seconds=quiet if running and said and said.total else None,
        deadline_in_seconds=_deadline(command),
        queue=queue,
        limit=_limit(command),
        tests=None if report is None else results_view(report, command.ended_at or now()),
        coverage=None if running else noted_coverage(directory),
        output=None if page is None else output_view(page, running=running),
        stderr=None if apart is None else output_view(apart, running=running),
        unread=None if told else _unread(page) + _unread(apart) or None,
        hint=_progress_of_tests(command, report)
        or lost_output(command, path)
        or (advice and advice.hint),
        next=(_debugging(command, report, directory) if debug else None)
        or (None if told else _next(command, page, apart, advice, default_wait)),
    )


def _pages(command: Command, directory: Path, since: int) -> tuple[Page | None, Page | None]:
    """Return what is shown of its output, and of a stderr that is apart."""
    if command.outcome is Outcome.SPAWN_FAILED:
        return None, None  # nothing of it is the command's
    running = command.state is not CommandState.FINISHED
    limit, apart = RUNNING_BYTES if running else FINISHED_BYTES, None
    if command.request.streams == SEPARATE:
        stdout, stderr = stream_paths(directory)
        # Half of it, and what the other does not need.
        room = max(limit // 2, limit - max(size(stdout) - since, 0))
        apart = excerpt(stderr, room, growing=running)
        limit -= min(apart.total, room)
    return excerpt(directory / "output", limit, since, growing=running), apart


def _together(page: Page | None, apart: Page | None) -> Page | None:
    """Return what was said on either stream, for those who ask what was said."""
    if page is None or apart is None:
        return page
    return replace(page, text=page.text + apart.text, total=page.total + apart.total)


def _debugging(command: Command, report: Report | None, directory: Path) -> NextCall | None:
    """Return the call that shows where a command hung or crashed, or stops at its failing test."""
    look: NextCall = {"tool": "debug_postmortem", "arguments": {"command_id": command.id}}
    if command.outcome in (Outcome.TIMED_OUT, Outcome.IDLE_TIMED_OUT):
        hung = (directory / LOOK_FILE).exists() and not _was_progressing(command, report)
        return look if hung else None
    if command.outcome is Outcome.FAILED and report is None and (directory / LOOK_FILE).exists():
        return look
    if report is None or report.source != "pytest" or command.outcome is not Outcome.FAILED:
        return None
    test = first_failure(report)
    if test is None:
        return None
    asked: dict[str, object] = {"session_id": command.session_id, "test": test}
    if command.request.env:
        asked["env"] = command.request.env
    return {"tool": "debug_run", "arguments": asked}


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
    if quiet is not None and not _was_progressing(command, report):
        return f"stuck in {report.current} for {quiet:.1f} s; {said}"
    return f"was progressing: {said}, about {seconds * report.collected / done:.0f} s in all"


def _was_progressing(command: Command, report: Report | None) -> bool:
    """Return whether tests ended one after the other; not where nobody knows."""
    if report is None or not report.tests:
        return False
    quiet = current_seconds(report, command.ended_at or now())
    longest = max(_STUCK_SHARE * (command.elapsed_seconds or 0), _QUIET_SECONDS)
    return quiet is None or quiet <= longest


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
            return command.limit


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


def _next(
    command: Command,
    page: Page | None,
    apart: Page | None,
    advice: Advice | None,
    default_wait: float | None,
) -> NextCall | None:
    if command.state is not CommandState.FINISHED:
        seconds = WAIT_SECONDS if default_wait is None else plain(default_wait)
        waiting: dict[str, object] = {"command_id": command.id, "wait_seconds": seconds}
        if page is not None and page.end:
            waiting["since"] = page.end
        return {"tool": "command_wait", "arguments": waiting}
    if advice is not None and advice.next is not None and not _is_long(command):
        return advice.next
    for part, stream in ((page, {}), (apart, {"stream": "stderr"})):
        if part is not None and part.omitted:
            start, end = part.omitted
            cut = {"command_id": command.id, **stream, "mode": "range", "offset": start}
            length = min(max(end - start, FINISHED_BYTES), PAGE_BYTES)
            more = {} if length == FINISHED_BYTES else {"length": length}
            return {"tool": "command_output", "arguments": {**cut, **more}}
    return None


def _is_long(command: Command) -> bool:
    """Return whether what was asked is too long to be said again in an answer."""
    asked = command.request.command
    return sum(map(len, [asked] if isinstance(asked, str) else asked)) > REPEATED_CHARACTERS


def _unread(page: Page | None) -> int:
    if page is None:
        return 0
    start, end = page.omitted or (0, 0)
    return end - start + page.total - page.end
