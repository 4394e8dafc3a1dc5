"""What an operation is: one typed async function, from which every way in is made.

    @operation(
        scope=Scope.COMMAND_RUN,
        routes=(Route("POST", "/sessions/{session_id}/commands"),),
        title="Run a command",
    )
    async def command_run(call: Call, args: CommandRun) -> CommandView: ...

The name, the description (the docstring) and the schemas of the MCP tool all come from that one
definition, and so do the REST routes, their OpenAPI description and the command line.
"""

import contextlib
import difflib
import errno
import inspect
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_type_hints

from debug_mcp.auth.principal import Principal, Scope
from debug_mcp.errors import InvalidInput, Unavailable
from debug_mcp.models.base import Arguments, Report, View, silent
from debug_mcp.operations.arguments import parse
from debug_mcp.service.audit import object_in
from debug_mcp.service.services import Services

_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, slots=True)
class Call:
    """Who calls, what there is to call, and how a caller who waits is told of progress."""

    principal: Principal
    services: Services
    report: Report = silent


@dataclass(frozen=True, slots=True)
class Route:
    """Where an operation stands in HTTP, below ``/v1``.

    ``creates`` is the path of what it makes, with members of the answer in braces. ``defaults``
    stand for arguments that are not given. Arguments in ``without`` are not taken here: another
    route of the operation does.
    """

    method: str
    path: str
    creates: str | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)
    without: tuple[str, ...] = ()

    @property
    def in_path(self) -> tuple[str, ...]:
        """The arguments that are part of the path."""
        return tuple(re.findall(r"{(\w+)}", self.path))


@dataclass(frozen=True, slots=True)
class Operation:
    """One entry of the contract.

    ``scope`` and all of ``also`` are needed; ``further`` are those that some calls need besides, by
    what such a call has. The service checks them, and tests hold the two equal. ``read_only``: it
    changes nothing. ``destructive``: it may end or remove something. ``idempotent``: asking for the
    same again changes nothing more. ``open_world``: what it runs may reach beyond this machine.
    """

    name: str
    title: str
    description: str
    scope: Scope
    routes: tuple[Route, ...]
    arguments: type[Arguments]
    result: type[View]
    read_only: bool
    destructive: bool
    idempotent: bool
    open_world: bool
    also: tuple[Scope, ...]
    further: Mapping[str, Scope]
    function: Callable[[Call, Any], Awaitable[View]]

    @property
    def needs(self) -> tuple[Scope, ...]:
        """The scopes that every call needs."""
        return (self.scope, *self.also)

    async def invoke(self, call: Call, raw: Mapping[str, Any]) -> View:
        """Check the arguments and run the operation; the audit log has what it changed or refused.

        Raises:
            DebugMcpError: The arguments are wrong, or the operation says why it cannot be done.
        """
        with call.services.audit.watching(
            call.principal, self.name, object_in(raw), changes=not self.read_only
        ) as watched:
            args = parse(self.name, self.arguments, raw)
            with _explained():
                view = await self.function(call, _patient(args, call.services.default_wait))
            watched.object_id = object_in(view) or watched.object_id
        if not self.read_only:
            await call.services.audit.stored()
        return view


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Tell a full disk from a fault of ours.

    Raises:
        Unavailable: The disk is full.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise Unavailable("the disk is full: nothing can be written until it has room") from error


def _patient(args: Arguments, longest: float | None) -> Arguments:
    """Return arguments whose caller named no wait, with one that its client bears."""
    default = getattr(args, "wait_seconds", None)
    if default is None or longest is None or "wait_seconds" in args.model_fields_set:
        return args
    return args.model_copy(update={"wait_seconds": min(default, longest)})


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
    also: tuple[Scope, ...] = (),
    further: Mapping[str, Scope] | None = None,
    routes: tuple[Route, ...],
    title: str,
    read_only: bool = False,
    destructive: bool = False,
    idempotent: bool = False,
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
            routes=routes,
            arguments=hints["args"],
            result=hints["return"],
            read_only=read_only,
            destructive=destructive,
            idempotent=read_only or idempotent,
            open_world=open_world,
            also=also,
            further=further or {},
            function=function,
        )

    return define
