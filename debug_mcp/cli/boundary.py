"""What stands between those who hold a token, in words for the line that a server starts with."""

import os
from pathlib import Path

from debug_mcp.config import container_variable
from debug_mcp.models.sessions import Isolation

# What Docker and Podman leave in a container's root.
_MARKS = (Path("/.dockerenv"), Path("/run/.containerenv"))


def boundary_said(isolation: Isolation, *, contained: bool, uid: int) -> str:
    """Return what to say of a level of isolation.

    Args:
        isolation: The level.
        contained: Whether this is a container.
        uid: The user who serves.
    """
    if isolation is Isolation.LANDLOCK:
        return "each session is kept to its own files by Landlock, which is less than a sandbox"
    if isolation is Isolation.BWRAP:
        return "each session has a sandbox of its own"
    who = "root" if uid == 0 else f"user {uid}"
    only = "this container is" if contained else f"the rights of {who} are"
    return (
        f"no sandbox: whoever holds a token runs programs as {who} and can reach all sessions, "
        f"{only} the only boundary"
    )


def in_container() -> bool:
    """Return whether this is a container, as far as that can be told.

    Container managers set ``container`` for the first process (systemd's Container Interface); our
    own image does, for those that do not.
    """
    return container_variable() != "" or any(mark.exists() for mark in _MARKS)


def boundary_here(isolation: Isolation) -> str:
    """Return what to say of a level of isolation on this machine."""
    return boundary_said(isolation, contained=in_container(), uid=os.geteuid())
