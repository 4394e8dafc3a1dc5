"""The view of a debug run: while it runs, where it stands still, and after its end."""

from dataclasses import dataclass

import anyio

from debug_mcp.debuggers.debugger import State, Stop
from debug_mcp.debuggers.stops import (
    Frame,
    Stack,
    evaluate_all,
    exception_of,
    locals_of,
    stack_of,
)
from debug_mcp.debuggers.values import clip
from debug_mcp.errors import NextCall
from debug_mcp.models.base import now
from debug_mcp.models.debugging import DebugState, DebugView
from debug_mcp.models.outputs import OutputView
from debug_mcp.models.results import ResultsView
from debug_mcp.runner import output
from debug_mcp.service.calls import driving
from debug_mcp.service.command_output import output_view
from debug_mcp.service.debug_live import FAILURES, LiveRun
from debug_mcp.service.debug_programs import was_changed
from debug_mcp.service.debug_sights import (
    STATES,
    breakpoint_views,
    exception_text,
    hits_of,
    reason_of,
    source_of,
    stack_lines,
    values_of,
)
from debug_mcp.service.reports import read_report
from debug_mcp.service.result_views import results_view

OUTPUT_BYTES = 1500


@dataclass(frozen=True, slots=True)
class Seen:
    """Where the program stands: what holds until it goes on."""

    stop: Stop
    stack: Stack
    frame: Frame | None


async def sight(run: LiveRun, frame: int | None = None, thread: int | None = None) -> Seen | None:
    """Return where the program stands still; None when it does not. It raises ``FAILURES``.

    Args:
        run: The run; its lock is held.
        frame: The number of a frame; the first of the tree's own by default.
        thread: A thread; the one that stopped by default.
    """
    stop = run.debugger.stop
    if stop is None:
        return None
    number = stop.thread if thread is None else thread
    stack = Stack() if number is None else await stack_of(run.debugger, run.plan.places, number)
    chosen = stack.top
    if frame is not None:
        chosen = next((each for each in stack.frames if each.number == frame), None)
    return Seen(stop, stack, chosen)


async def view_of(run: LiveRun) -> DebugView:
    """Return the view of a run as it is now."""
    async with run.lock:
        try:
            seen = await sight(run)
            if seen is not None:
                return await _stopped(run, seen)
        except FAILURES as error:
            run.failure = run.failure or str(error)
    return await _going_or_over(run)


async def _stopped(run: LiveRun, seen: Seen) -> DebugView:
    debugger, frame = run.debugger, seen.frame
    exception = await exception_of(debugger, seen.stop)
    variables = [] if frame is None else await locals_of(debugger, frame)
    captures = await evaluate_all(debugger, run.captures, frame)
    threads = await debugger.threads()
    shown, more = values_of(variables)
    lines, more_frames = stack_lines(seen.stack)
    failed = exception is not None and run.is_test
    reason = reason_of(seen.stop.reason, exception, python=run.is_python)
    test = run.row.asked.test
    if failed:
        current = await anyio.to_thread.run_sync(_current_test, run)
        reason, test = ("test_failed", current) if current else ("collection_error", test)
    return DebugView(
        **_common(run),
        state=DebugState.STOPPED,
        reason=reason,
        test=test,
        at=None if frame is None else frame.at,
        function=None if frame is None else frame.function,
        exception=exception_text(exception),
        source=await anyio.to_thread.run_sync(source_of, run.tree, frame),
        frame=None if frame is None else frame.number or None,
        locals=shown,
        more_locals=more,
        captures={name: clip(value) for name, value in captures.items()},
        stack=lines,
        more_frames=more_frames or None,
        thread=seen.stop.thread if len(threads) > 1 else None,
        other_threads=len(threads) - 1 or None,
        can_step=not failed,
        breakpoints=breakpoint_views(run.breakpoints, run.trace, over=False),
        hits=hits_of(run.trace, run.breakpoints),
        total_hits=run.trace.total or None,
        # Of pytest's own there is nothing that is not said better here.
        output=None if failed else await _output(run),
        hint=await _edited(run, frame),
        next=_step_there(run, frame) if failed else None,
    )


async def _edited(run: LiveRun, frame: Frame | None) -> str | None:
    """Say that the source that is shown is not what runs."""
    if frame is None or not frame.own:
        return None
    changed = await anyio.to_thread.run_sync(was_changed, run.tree, frame.path, run.began)
    why = f"{frame.path} has changed since the program started: its lines may not be what runs"
    return f"{why}; restart runs the new ones" if changed else None


def _common(run: LiveRun) -> dict[str, str]:
    return {"debug_id": run.row.id, "command_id": run.command.id}


def _step_there(run: LiveRun, frame: Frame | None) -> NextCall | None:
    """Return the call that stops at the same place before it fails, where one can step."""
    if frame is None or not frame.own:
        return None
    return driving(run.row.id, "restart", breakpoints=[frame.at])


async def _going_or_over(run: LiveRun) -> DebugView:
    over = run.debugger.state is State.ENDED
    tests = await anyio.to_thread.run_sync(_tests, run) if over else None
    return DebugView(
        **_common(run),
        state=STATES[run.debugger.state],
        test=run.row.asked.test,
        exit_code=run.exit_code if over else None,
        tests=tests,
        breakpoints=breakpoint_views(run.breakpoints, run.trace, over=over),
        hits=hits_of(run.trace, run.breakpoints),
        total_hits=run.trace.total or None,
        output=None if tests is not None and tests.complete else await _output(run),
        hint=run.failure or (_why_no_stop(run, tests) if over else None),
        next=None if over else driving(run.row.id, "continue"),
    )


def _why_no_stop(run: LiveRun, tests: ResultsView | None) -> str | None:
    if not run.row.asked.stop:
        return None if run.trace.total else "no breakpoint was passed"
    if tests is not None and tests.complete and not tests.failed and not tests.errors:
        return "the test passed: nothing to stop at" if tests.passed else "no test ran"
    if run.exit_code is None:
        return "ended without an exit code"
    return None


def _current_test(run: LiveRun) -> str | None:
    """Return the test that is running; None while tests are collected."""
    report = read_report(run.directory)
    return None if report is None else report.current


def _tests(run: LiveRun) -> ResultsView | None:
    report = read_report(run.directory)
    return None if report is None else results_view(report, now())


async def _output(run: LiveRun) -> OutputView | None:
    """Return what was printed since the last view."""
    path = run.directory / "output"

    def read() -> OutputView | None:
        if not output.size(path) and run.debugger.output.total:
            # Of a debugger that keeps the program's output to itself.
            text = run.debugger.output.text[-OUTPUT_BYTES:]
            return OutputView(text=text, total_bytes=run.debugger.output.total)
        running = run.debugger.state is not State.ENDED
        page = output.excerpt(path, OUTPUT_BYTES, run.output_seen, growing=running)
        run.output_shown = page.end
        return output_view(page, running=running) if page.text else None

    return await anyio.to_thread.run_sync(read)
