"""Operations on programs under a debugger."""

from debug_mcp.auth.principal import Scope
from debug_mcp.models.debugging import DebugControl, DebugInspect, DebugRun, DebugView
from debug_mcp.models.postmortems import DebugPostmortem, PostmortemView
from debug_mcp.operations.registry import Call, Route, operation


@operation(
    scope=Scope.DEBUG_CONTROL,
    also=(Scope.COMMAND_RUN,),
    routes=(Route("POST", "/sessions/{session_id}/debug-runs", creates="/commands/{command_id}"),),
    title="Run under a debugger",
    destructive=True,
    open_world=True,
)
async def debug_run(call: Call, args: DebugRun) -> DebugView:
    """Run a Python or native program, or one pytest test, under a debugger until it stops.

    Answers with the place, source, locals, stack and output there. A failing test stops in the
    frame that failed. Go on with debug_control, look around with debug_inspect.
    """
    return await call.services.debugging.run(call.principal, args)


@operation(
    scope=Scope.DEBUG_CONTROL,
    also=(Scope.COMMAND_RUN,),
    routes=(Route("POST", "/debug-runs/{debug_id}/control"),),
    title="Drive a debugger",
    destructive=True,
    open_world=True,
)
async def debug_control(call: Call, args: DebugControl) -> DebugView:
    """Continue, step, pause, restart or end a program; wait until it stops again.

    While it runs, continue only waits on.
    """
    return await call.services.debugging.control(call.principal, args)


@operation(
    scope=Scope.DEBUG_CONTROL,
    also=(Scope.COMMAND_RUN,),
    routes=(Route("POST", "/debug-runs/{debug_id}/inspect"),),
    title="Look into a stopped program",
    destructive=True,
)
async def debug_inspect(call: Call, args: DebugInspect) -> DebugView:
    """Show expressions, members of a value, or locals, stack, threads of a stopped program."""
    return await call.services.debugging.inspect(call.principal, args)


@operation(
    scope=Scope.DEBUG_CONTROL,
    routes=(Route("GET", "/commands/{command_id}/stacks"),),
    title="See where a command hangs",
    read_only=True,
)
async def debug_postmortem(call: Call, args: DebugPostmortem) -> PostmortemView:
    """Show all threads' stacks of a running command, or as it timed out or crashed (core kept)."""
    return await call.services.postmortems.show(call.principal, args)
