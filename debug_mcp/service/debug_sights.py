"""What an agent is shown of a debug run: all at once that it would ask for next, within bounds."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from debug_mcp.debuggers.breakpoints import BreakpointSet, Point
from debug_mcp.debuggers.debugger import State
from debug_mcp.debuggers.stops import Frame, Stack
from debug_mcp.debuggers.trace import Trace
from debug_mcp.debuggers.values import clip, shown
from debug_mcp.debuggers.wire import Message
from debug_mcp.models.debugging import BreakpointView, DebugState, Hit
from debug_mcp.service.debug_programs import lines_of

LOCALS = 25
FRAMES = 12
SOURCE_LINES = 4
SOURCE_CHARACTERS = 160

STATES = {
    State.STARTING: DebugState.STARTING,
    State.RUNNING: DebugState.RUNNING,
    State.STOPPED: DebugState.STOPPED,
    State.ENDED: DebugState.EXITED,
}
_NEVER = "verified, never reached"


def source_of(tree: Path, frame: Frame | None) -> str | None:
    """Return the lines around a frame, its own marked. Reads the tree: call it in a thread."""
    if frame is None or not frame.own:
        return None
    lines = lines_of(tree, frame.path)
    if lines is None or not 0 < frame.line <= len(lines):
        return None
    first = max(frame.line - SOURCE_LINES, 1)
    last = min(frame.line + SOURCE_LINES, len(lines))
    width = len(str(last))
    return "\n".join(
        f"{number:>{width}} {'>' if number == frame.line else ' '} "
        f"{clip(lines[number - 1], SOURCE_CHARACTERS)}".rstrip()
        for number in range(first, last + 1)
    )


def stack_lines(stack: Stack, start: int = 0, limit: int = FRAMES) -> tuple[tuple[str, ...], int]:
    """Return frames as lines, and how many are left out; those of libraries stand for one another.

    A frame's place in the list of frames is its number, so folded ones say theirs.
    """
    lines: list[str] = []
    folded: list[Frame] = []
    taken = 0
    for frame in stack.frames:
        if len(lines) >= limit:
            break
        taken += 1
        if not frame.own and frame.number > start:
            folded.append(frame)
            continue
        lines += _fold(folded)
        folded = []
        lines.append(f"{frame.number} {frame.at} {frame.function}")
    lines += _fold(folded)
    return tuple(lines), max(stack.total - start - taken, 0)


def _fold(frames: Sequence[Frame]) -> list[str]:
    if not frames:
        return []
    first, last = frames[0], frames[-1]
    if first is last:
        return [f"{first.number} {first.at} {first.function}"]
    return [f"{first.number}-{last.number} outside of the tree: {last.function} … {first.function}"]


def values_of(
    variables: Sequence[Message], offset: int = 0, limit: int = LOCALS
) -> tuple[dict[str, str], int | None]:
    """Return some variables with their values, and how many come after them."""
    page = variables[offset : offset + limit]
    return dict(map(shown, page)), (len(variables) - offset - len(page)) or None


def breakpoint_views(
    breakpoints: BreakpointSet, trace: Trace, *, over: bool
) -> tuple[BreakpointView, ...]:
    """Return what became of each breakpoint; ``over``: the program will not come there any more."""
    return tuple(
        _breakpoint_view(breakpoints, point, trace.counts[point.number], over=over)
        for point in breakpoints.points
        if not point.temporary
    )


def _breakpoint_view(
    breakpoints: BreakpointSet, point: Point, passed: int, *, over: bool
) -> BreakpointView:
    placed, hits = breakpoints.state(point), breakpoints.hits(point) + passed
    why = None
    if placed is None or not placed.verified:
        why = f"not verified: {placed.message if placed and placed.message else 'no code there'}"
    elif over and not hits:
        why = _NEVER
    line = (placed.line if placed else None) or point.line or None
    return BreakpointView(
        at=point.at,
        line=None if point.at.endswith(f":{line}") else line,
        hits=hits,
        why=why if not hits else None,
    )


def hits_of(trace: Trace, breakpoints: BreakpointSet) -> tuple[Hit, ...]:
    """Return the hits that did not stop."""
    names = {point.number: point.at for point in breakpoints.points}
    return tuple(
        Hit(n=passed.n, at=names.get(passed.number, "?"), values=passed.values)
        for passed in trace.kept
    )


def reason_of(stop_reason: str, exception: tuple[str, str] | None, *, python: bool) -> str:
    """Return why a program stopped, in our words."""
    if stop_reason == "exception":
        return "exception" if python or exception is None else "crash"
    return {"function breakpoint": "breakpoint", "goto": "step"}.get(stop_reason, stop_reason)


def exception_text(exception: tuple[str, str] | None) -> str | None:
    """Return the type and the text of an exception as one."""
    if exception is None:
        return None
    kind, said = exception
    return said if kind in said or not kind else f"{kind}: {said}" if said else kind


def changed(before: dict[str, Any], after: dict[str, Any]) -> str:
    """Return the variables that have another value now."""
    return ", ".join(
        f"{name}={value}" for name, value in after.items() if before.get(name) != value
    )
