"""Where a person's command is done: in this process, or by a server elsewhere. Both do the same."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from debug_mcp.operations.registry import Operation

Facts = dict[str, Any]
# Takes the next bytes; returns when there is room for more.
Show = Callable[[bytes], Awaitable[None]]
Kind = Literal["artifact", "output"]


@dataclass(frozen=True, slots=True)
class File:
    """What is known of a file before it is read; ``sha256`` is that of an artifact's content."""

    name: str
    size: int
    sha256: str | None = None


class Place(Protocol):
    """What the commands for people need."""

    async def ask(self, operation: Operation, **arguments: Any) -> Facts:
        """Run an operation; return its structured answer.

        Raises:
            DebugMcpError: It refused, or could not be asked.
        """
        ...

    async def follow(self, command_id: str, offset: int, show: Show) -> Facts:
        """Show what a command writes, from a byte on, to its end; return its view without output.

        Raises:
            DebugMcpError: There is no such command, or nobody can say any more what becomes of it.
        """
        ...

    async def file(self, kind: Kind, name: str) -> File:
        """Return what is known of a file: an artifact by its id, an output by its command's.

        Raises:
            DebugMcpError: There is none.
        """
        ...

    async def read(self, kind: Kind, name: str, offset: int, show: Show) -> None:
        """Show all bytes of a file from an offset on.

        Raises:
            DebugMcpError: There is no such file, or its rest cannot be had.
        """
        ...
