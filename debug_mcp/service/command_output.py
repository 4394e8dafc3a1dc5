"""Reading what a command wrote: a part of it, or what is found in it.

All of this reads files: call it in a thread.
"""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar

from debug_mcp.errors import InvalidInput
from debug_mcp.models.commands import Command, CommandState
from debug_mcp.models.outputs import (
    CommandOutput,
    FaultView,
    MatchView,
    Mode,
    OutputPage,
    OutputView,
    StreamName,
)
from debug_mcp.runner import output
from debug_mcp.runner.faults import faults, grouped
from debug_mcp.runner.output import Page
from debug_mcp.runner.patterns import Pattern
from debug_mcp.runner.plain import plain
from debug_mcp.runner.search import context, hits
from debug_mcp.runner.timeline import written_after
from debug_mcp.service.streams import bytes_of

# What one answer shows and counts; a match with its context has some hundred characters.
PAGE_CHARACTERS = 20_000
COUNTED = 10_000
Found = TypeVar("Found", MatchView, FaultView)


def output_page(command: Command, path: Path, args: CommandOutput) -> OutputPage:
    """Return the page that was asked for.

    Raises:
        InvalidInput: The mode and the other arguments do not fit, or the pattern is malformed.
    """
    mode = _mode(args)
    growing = command.state is not CommandState.FINISHED
    page = OutputPage(command_id=command.id, mode=mode, state=command.state)
    match mode:
        case "search":
            return _searched(page, path, args)
        case "errors":
            return _faults(page, path, args)
        case "tail":
            part = output.tail(path, args.length, growing=growing)
        case _:
            start = args.offset if mode == "range" else 0
            part = output.read(path, start, args.length, growing=growing)
    return page.model_copy(
        update={
            "written_seconds": _written(path, part),
            "output": output_view(part, running=growing, raw=args.raw),
            "hint": lost_output(command, path, args.stream or "stdout"),
        },
    )


def _written(path: Path, part: Page) -> tuple[float, float] | None:
    """Return when the first and the last byte of a part were written."""
    first, last = written_after(path, [part.start, max(part.end - 1, 0)])
    return None if first is None or last is None else (first, last)


def lost_output(command: Command, path: Path, stream: StreamName = "stdout") -> str | None:
    """Say that what was written is not there any more, where that is so."""
    written = bytes_of(command, stream)
    there = output.size(path)
    if there >= written:
        return None
    return f"{written - there} of {written} bytes of its output are gone: the file was changed"


def output_view(page: Page, *, running: bool = False, raw: bool = False) -> OutputView:
    """Return a page as a caller sees it; ``next_offset`` where there is or may be more."""
    return OutputView(
        text=page.text if raw else plain(page.text),
        total_bytes=page.total,
        omitted=page.omitted,
        offset=page.start or None,
        next_offset=page.end if running or page.end < page.total else None,
    )


def _mode(args: CommandOutput) -> Mode:
    """Return the mode, which may follow from what else was asked.

    Raises:
        InvalidInput: What else was asked does not fit the mode.
    """
    if args.mode is None:
        return "search" if args.pattern is not None else "range" if args.offset else "tail"
    if args.mode == "search" and args.pattern is None:
        raise InvalidInput("mode search needs a pattern", field="pattern")
    if args.mode != "search" and args.pattern is not None:
        arguments = args.model_dump(exclude_defaults=True, exclude={"mode"})
        raise InvalidInput(
            f"pattern is for mode search, not for {args.mode}",
            field="pattern",
            next_call={"tool": "command_output", "arguments": {**arguments, "mode": "search"}},
        )
    if args.mode in ("head", "tail") and args.offset:
        raise InvalidInput(
            f"offset is not for mode {args.mode}: give mode range",
            field="offset",
            next_call={
                "tool": "command_output",
                "arguments": {**args.model_dump(exclude_defaults=True), "mode": "range"},
            },
        )
    return args.mode


def _searched(page: OutputPage, path: Path, args: CommandOutput) -> OutputPage:
    shown: list[MatchView] = []
    total, room, after, searched_to = 0, PAGE_CHARACTERS, None, None
    for hit in hits(path, Pattern(args.pattern or ""), args.offset):
        total += 1
        if len(shown) < args.limit and room > 0:
            above, below = context(path, hit, args.context) if args.context else ([], [])
            found = MatchView(
                offset=hit.offset,
                line=hit.line,
                text=hit.text,
                before=tuple(above),
                after=tuple(below),
            )
            room -= len(found.model_dump_json())
            shown.append(found)
            end = hit.end
        elif after is None:
            after = end
        if total == COUNTED and after is not None:
            searched_to = hit.end
            break
    return page.model_copy(
        update={
            "matches": _dated(shown, path),
            "total_matches": total,
            "total_bytes": output.size(path),
            "searched_to": searched_to,
            "next_offset": after,
            "hint": None if shown else _nothing(args, page),
        }
    )


def _dated(views: Sequence[Found], path: Path) -> tuple[Found, ...]:
    """Say of each when it was written."""
    times = written_after(path, [view.offset for view in views])
    return tuple(
        view.model_copy(update={"after_seconds": after})
        for view, after in zip(views, times, strict=True)
    )


def _nothing(args: CommandOutput, page: OutputPage) -> str:
    where = f" from byte {args.offset} on" if args.offset else ""
    more = "; the command goes on" if page.state != CommandState.FINISHED else ""
    return f"not found{where}{more}"


def _faults(page: OutputPage, path: Path, args: CommandOutput) -> OutputPage:
    groups = grouped(islice(faults(path, args.offset), COUNTED))
    shown = groups[: args.limit]
    return page.model_copy(
        update={
            "errors": _dated(
                [
                    FaultView(
                        kind=fault.kind,
                        text=fault.text,
                        at=fault.place,
                        offset=fault.offset,
                        line=fault.line,
                        count=fault.count if fault.count > 1 else None,
                    )
                    for fault in shown
                ],
                path,
            ),
            "total_errors": sum(fault.count for fault in groups),
            "total_bytes": output.size(path),
            "next_offset": groups[len(shown)].offset if len(shown) < len(groups) else None,
            "hint": None if shown else "nothing in it has the form of an error that is known here",
            "next": None
            if shown
            else {
                "tool": "command_output",
                "arguments": {
                    **args.model_dump(include={"command_id", "stream"}, exclude_defaults=True),
                    "mode": "tail",
                },
            },
        }
    )
