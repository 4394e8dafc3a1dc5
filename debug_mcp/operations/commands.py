"""Operations on commands."""

from debug_mcp.auth.principal import Scope
from debug_mcp.models.commands import (
    CommandCancel,
    CommandInput,
    CommandList,
    CommandListView,
    CommandRun,
    CommandView,
    CommandWait,
)
from debug_mcp.models.outputs import CommandOutput, OutputPage
from debug_mcp.operations.registry import Call, Route, operation


@operation(
    scope=Scope.COMMAND_RUN,
    further={"`network`": Scope.COMMAND_NETWORK},
    routes=(Route("POST", "/sessions/{session_id}/commands", creates="/commands/{command_id}"),),
    title="Run a command",
    destructive=True,
    open_world=True,
)
async def command_run(call: Call, args: CommandRun) -> CommandView:
    """Run a program in a session and wait up to wait_seconds for its end.

    A longer one goes on: follow it with command_wait. Each command is a new process in the same
    machine-like session: cd and variables do not carry over; files, /tmp and the home do. All
    processes of a command end with it. A non-zero exit code is a normal answer. Commands of one
    session run one after the other, unless parallel is true.
    """
    return await call.services.commands.run(call.principal, args, call.report)


@operation(
    scope=Scope.SESSION_READ,
    routes=(Route("GET", "/commands/{command_id}", defaults={"wait_seconds": 0}),),
    title="Wait for a command",
    read_only=True,
)
async def command_wait(call: Call, args: CommandWait) -> CommandView:
    """Wait for a command's end, at most wait_seconds, and show its output from byte since on.

    With until it also answers when that text is printed, a server's "listening" for example; never
    because of anything else printed. Works again after a lost connection or a
    restart of the server.
    """
    return await call.services.commands.wait(call.principal, args, call.report)


@operation(
    scope=Scope.SESSION_READ,
    routes=(Route("GET", "/commands/{command_id}/output/text"),),
    title="Read a command's output",
    read_only=True,
)
async def command_output(call: Call, args: CommandOutput) -> OutputPage:
    """Read what a command wrote, stdout and stderr as one stream, with byte offsets for ever.

    mode tail, head or range: a part; follow next_offset. mode search: lines with a pattern. mode
    errors: lines that look like errors of compilers, tests and tracebacks.
    """
    return await call.services.commands.output(call.principal, args)


@operation(
    scope=Scope.COMMAND_RUN,
    routes=(Route("POST", "/commands/{command_id}/input"),),
    title="Type into a command",
    destructive=True,
)
async def command_input(call: Call, args: CommandInput) -> CommandView:
    """Type into a running command that was started with tty: true or stdin: "open".

    Answers after wait_seconds, or when until is printed, with the output since the call.
    """
    return await call.services.commands.type(call.principal, args, call.report)


@operation(
    scope=Scope.COMMAND_RUN,
    routes=(Route("POST", "/commands/{command_id}/cancel"),),
    title="Cancel a command",
    idempotent=True,
    destructive=True,
)
async def command_cancel(call: Call, args: CommandCancel) -> CommandView:
    """End a command and every process of it: SIGTERM, a grace period, SIGKILL.

    A queued one never starts; one that has ended stays as it ended.
    """
    return await call.services.commands.cancel(call.principal, args)


@operation(
    scope=Scope.SESSION_READ,
    routes=(Route("GET", "/commands"),),
    title="List commands",
    read_only=True,
)
async def command_list(call: Call, args: CommandList) -> CommandListView:
    """List your commands, newest first, of one session or of all; queued ones with their place."""
    return await call.services.commands.list(call.principal, args)
