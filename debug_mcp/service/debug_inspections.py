"""Looking around where a program stands still: expressions, members, frames, threads."""

import anyio

from debug_mcp.debuggers.stops import Frame, evaluate, evaluate_all, locals_of, members_of, stack_of
from debug_mcp.debuggers.values import LONG_VALUE_CHARACTERS, clip, is_plain, shown, whole
from debug_mcp.errors import Conflict, InvalidInput, NotFound, ToolFailed
from debug_mcp.models.debugging import (
    DebugInspect,
    DebugState,
    DebugView,
    MemberView,
    ThreadView,
)
from debug_mcp.service.calls import driving
from debug_mcp.service.debug_live import FAILURES, LiveRun
from debug_mcp.service.debug_sights import breakpoint_views, source_of, stack_lines, values_of
from debug_mcp.service.debug_views import Seen, sight

MEMBERS = 20
THREADS = 50


async def inspected(run: LiveRun, args: DebugInspect) -> DebugView:
    """Return what was asked for.

    Raises:
        Conflict: The program runs or has ended.
        NotFound: There is no such frame.
        ToolFailed: The debugger refuses it.
    """
    async with run.lock:
        try:
            seen = await sight(run, args.frame or None, args.thread)
            if seen is None:
                raise Conflict(
                    "the program runs: there is nothing to look at until it stands still",
                    field="debug_id",
                    next_call=driving(run.row.id, "pause"),
                )
            return await _look(run, seen, args)
        except FAILURES as error:
            raise ToolFailed(f"the debugger does not show that: {error}") from None


async def _look(run: LiveRun, seen: Seen, args: DebugInspect) -> DebugView:
    frame = seen.frame
    if frame is None:
        raise NotFound(f"there is no frame {args.frame} on the stack", field="frame")
    view = DebugView(
        debug_id=run.row.id,
        command_id=run.command.id,
        state=DebugState.STOPPED,
        at=frame.at,
        function=frame.function,
        frame=frame.number or None,
    )
    if args.expressions:
        return view.model_copy(update={"expressions": await _expressions(run, frame, args)})
    if args.expand is not None:
        return view.model_copy(update=await _members(run, frame, args))
    match args.what:
        case "stack":
            return view.model_copy(update=await _stack(run, seen, args))
        case "threads":
            return view.model_copy(update={"threads": await _threads(run)})
        case "breakpoints":
            found = breakpoint_views(run.breakpoints, run.trace, over=False)
            return view.model_copy(update={"breakpoints": found})
        case "source":
            text = await anyio.to_thread.run_sync(source_of, run.tree, frame)
            hint = None if text else "its source is outside of the tree, or not there any more"
            return view.model_copy(update={"source": text, "hint": hint})
    variables, more = values_of(await locals_of(run.debugger, frame), args.offset)
    hint = None if variables else "this frame has no variables"
    return view.model_copy(update={"locals": variables, "more_locals": more, "hint": hint})


async def _expressions(run: LiveRun, frame: Frame, args: DebugInspect) -> dict[str, str]:
    context = run.plan.adapter.context
    values = await evaluate_all(run.debugger, args.expressions, frame, context)
    return {name: clip(value, LONG_VALUE_CHARACTERS) for name, value in values.items()}


async def _members(run: LiveRun, frame: Frame, args: DebugInspect) -> dict[str, object]:
    value = await evaluate(run.debugger, args.expand or "", frame)
    if value.error:
        raise InvalidInput(f"{args.expand!r} cannot be expanded: {value.text}", field="expand")
    found = [
        member for member in await members_of(run.debugger, value.reference) if is_plain(member)
    ]
    page = found[args.offset : args.offset + MEMBERS]
    members = [
        MemberView(name=name, value=text, type=str(member.get("type") or "") or None)
        for member in page
        for name, text in [shown(member)]
    ]
    return {
        "expressions": {args.expand: clip(value.text)},
        "members": tuple(members),
        "more_members": len(found) - args.offset - len(page) or None,
        "hint": None if found else "it has no members",
    }


async def _stack(run: LiveRun, seen: Seen, args: DebugInspect) -> dict[str, object]:
    thread = args.thread or seen.stop.thread or 1
    stack = await stack_of(run.debugger, run.plan.places, thread, args.offset)
    lines, more = stack_lines(stack, args.offset, limit=len(stack.frames))
    return {"stack": lines, "more_frames": more or None}


async def _threads(run: LiveRun) -> tuple[ThreadView, ...]:
    """Return the threads, each with the first place of the tree on its stack."""
    found = []
    for thread in (await run.debugger.threads())[:THREADS]:
        number = whole(thread.get("id"))
        found.append(
            ThreadView(
                thread=number,
                name=str(thread.get("name", "?")),
                at=await _place(run, number),
            )
        )
    return tuple(found)


async def _place(run: LiveRun, thread: int) -> str | None:
    try:
        top = (await stack_of(run.debugger, run.plan.places, thread)).top
    except FAILURES:
        return None  # it has ended since, or does not stand still
    return None if top is None else f"{top.at} {top.function}"
