"""A session's own network: one namespace, with a loopback interface, for all of its commands.

So a server that one command started answers the next. A small process per session holds the
namespace (see ``runner.holder``), whatever becomes of this server; commands enter it with
``nsenter`` before their sandbox is built.
"""

import sys
from pathlib import Path

import anyio

from debug_mcp.errors import ToolFailed
from debug_mcp.models.sessions import Isolation
from debug_mcp.runner import holder
from debug_mcp.runner.boundary import entering, holding
from debug_mcp.runner.capture import capture
from debug_mcp.runner.sandbox import Confined
from debug_mcp.runner.supervisor import is_held

HOLD_SECONDS = 10
_LOOK_SECONDS = 0.002


async def enter_network(directory: Path, bwrap: str, nsenter: str) -> tuple[str, ...]:
    """Return what to put before a program so that it starts in the session's network.

    Args:
        directory: Where the holder keeps its lock, one for each session; made when it is missing.
        bwrap: What makes the namespace.
        nsenter: What enters it.

    Raises:
        ToolFailed: The namespace cannot be made.
    """
    with anyio.move_on_after(HOLD_SECONDS):
        while (pid := find_holder(directory)) is None:
            await _hold(directory, bwrap)
        return entering(nsenter, pid)
    raise ToolFailed("the session's network was not there in time")


def find_holder(directory: Path) -> int | None:
    """Return the process that holds the network, or None when there is none (any more)."""
    if not is_held(directory):
        return None
    return int((directory / "lock").read_bytes() or 0) or None


async def _hold(directory: Path, bwrap: str) -> None:
    try:
        directory.mkdir(mode=0o700, exist_ok=True)  # noqa: ASYNC240  # microseconds, once a session
    except FileNotFoundError as error:
        raise ToolFailed("the session's folder is gone") from error
    program = (sys.executable, "-I", "-S", holder.__file__, str(directory))
    done = await capture(Confined("bwrap", (*holding(bwrap), *program), {}, "/", Isolation.NONE))
    if done.exit_code == holder.ALREADY_HELD:
        await anyio.sleep(_LOOK_SECONDS)  # another server is at it
    elif done.exit_code != 0:
        raise ToolFailed(f"the session's network cannot be made: {done.message}")
