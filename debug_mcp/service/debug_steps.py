"""Steps: several in one call, each told in a line."""

import anyio

from debug_mcp.debuggers.debugger import State
from debug_mcp.debuggers.stops import locals_of
from debug_mcp.service.debug_live import LiveRun
from debug_mcp.service.debug_sights import changed, values_of
from debug_mcp.service.debug_views import sight

# A breakpoint inside of what is stepped over stops there, and that is no step any more.
_GOES_ON = "step"


async def stepped(run: LiveRun, how: str, times: int, seconds: float) -> list[str]:
    """Take some steps; return where each led and what it changed, when there are several.

    It ends early where the program stops for another reason, ends, or when the time is over. It
    raises what a request to the debugger raises.
    """
    until = anyio.current_time() + seconds
    lines: list[str] = []
    before = await _here(run)
    for _ in range(times):
        async with run.lock:
            if run.debugger.state is not State.STOPPED:
                break
            await run.debugger.resume(how)
        await run.settle(max(until - anyio.current_time(), 0))
        if run.debugger.stop is None or times == 1:
            break
        place, values = after = await _here(run)
        news = changed(before[1], values)
        lines.append(f"{place}{f': {news}' if news else ''}")
        before = after
        if run.debugger.stop is None or run.debugger.stop.reason != _GOES_ON:
            break
    return lines


async def _here(run: LiveRun) -> tuple[str, dict[str, str]]:
    async with run.lock:
        seen = await sight(run)
        if seen is None or seen.frame is None:
            return "?", {}
        variables, _ = values_of(await locals_of(run.debugger, seen.frame))
        return f"{seen.frame.at} {seen.frame.function}", variables
