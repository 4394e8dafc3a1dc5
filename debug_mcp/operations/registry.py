"""What an operation is: one typed async function, from which every way in is made.

    @operation(scope=Scope.COMMAND_RUN, title="Run a command")
    async def command_run(call: Call, args: CommandRun) -> CommandView: ...

The name, the description (the docstring) and the schemas of the MCP tool all come from that one
definition; so will the REST route and the command line.
"""

import difflib
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_type_hints

from debug_mcp.auth.principal import Principal, Scope
from debug_mcp.errors import InvalidInput
from debug_mcp.models.base import Arguments, Report, View, silent
from debug_mcp.operations.arguments import parse
from debug_mcp.service.services import Services


@dataclass(frozen=True, slots=True)
class Call:
    """Who calls, what there is to call, and how a caller who waits is told of progress."""

    principal: Principal
    services: Services
    report: Report = silent


@dataclass(frozen=True, slots=True)
class Operation:
    """One entry of the contract.

    ``read_only``: it changes nothing. ``destructive``: it may end or remove something.
    ``open_world``: what it runs may reach beyond this machine.
    """

    name: str
    title: str
    description: str
    scope: Scope
    arguments: type[Arguments]
    result: type[View]
    read_only: bool
    destructive: bool
    open_world: bool
    function: Callable[[Call, Any], Awaitable[View]]

    async def invoke(self, call: Call, raw: Mapping[str, Any]) -> View:
        """Check the arguments and run the operation.

        Raises:
            DebugMcpError: The arguments are wrong, or the operation says why it cannot be done.
        """
        return await self.function(call, parse(self.name, self.arguments, raw))


def named(operations: Sequence[Operation], name: str) -> Operation:
    """Return the operation of a name.

    Raises:
        InvalidInput: There is none; the candidates are all, first those that may be meant.
    """
    known = {operation.name: operation for operation in operations}
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, len(known), 0.6)
    raise InvalidInput(
        f"unknown tool {name!r}" if name else "which tool?",
        candidates=list(dict.fromkeys([*near, *known])),
    )


def operation(
    *,
    scope: Scope,
    title: str,
    read_only: bool = False,
    destructive: bool = False,
    open_world: bool = False,
) -> Callable[[Callable[[Call, Any], Awaitable[View]]], Operation]:
    """Make an operation of a function; its docstring is what a model reads."""

    def define(function: Callable[[Call, Any], Awaitable[View]]) -> Operation:
        hints = get_type_hints(function)
        return Operation(
            name=function.__name__,
            title=title,
            description=inspect.getdoc(function) or "",
            scope=scope,
            arguments=hints["args"],
            result=hints["return"],
            read_only=read_only,
            destructive=destructive,
            open_world=open_world,
            function=function,
        )

    return define
