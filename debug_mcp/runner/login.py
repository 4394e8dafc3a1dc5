"""The variables that the person has in a terminal, PATH above all.

A server that is started from a desktop or by an editor inherits a shorter one: version managers add
themselves in the files that a login shell reads. The only way to know is to start that shell.
"""

import contextlib
import os
import pwd
import secrets
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

import anyio

from debug_mcp.errors import ToolFailed
from debug_mcp.models.sessions import Isolation
from debug_mcp.runner.capture import capture
from debug_mcp.runner.sandbox import Confined
from debug_mcp.runner.shim.processes import stat_of

# A profile may do anything: wait for a terminal, start a session manager, print for ever.
LOGIN_SECONDS = 5
_OUTPUT_BYTES = 1 << 20
# The NUL parts what the profile printed from the environment. Not `echo $PATH`: fish prints spaces.
_SHOW = "printf '\\0'; /usr/bin/env -0"
# Everything that the shell starts inherits it, also what leaves its process group and its session,
# as agents and daemons do: so they are known when they are to end. It names the server that asked,
# so that the next one ends what a killed one left.
_MARK = "_DMCP_LOGIN"
_STARTED = 19  # the place of a process's start in what ``stat_of`` returns
# What is killed may have forked a moment before; nothing forks for ever.
_ROUNDS = 20


async def login_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the person's login shell, or nothing where that does not tell.

    The shell gets an empty standard input and no terminal; what it prints is dropped, and after
    ``LOGIN_SECONDS`` it is ended. Nothing that it started is left: not a daemon either.
    """
    mark = f"{_server()}:{secrets.token_hex(8)}"
    shell = environment.get("SHELL") or _shell_of_user()
    # Interactive too: nvm and its like stand in .bashrc, which only an interactive shell reads.
    program = Confined(
        shell,
        (shell, "-l", "-i", "-c", _SHOW),
        {**environment, _MARK: mark},
        "/",
        Isolation.NONE,
    )
    try:
        shown = await capture(program, limit=_OUTPUT_BYTES, timeout=LOGIN_SECONDS)
    except ToolFailed:
        return {}
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(_end_all, mark)
    variables = (os.fsdecode(field).partition("=") for field in shown.output.split(b"\0")[1:])
    return {name: value for name, _, value in variables if name not in ("", _MARK)}


def _end_all(mark: str) -> None:
    """Kill each process with this mark or a dead server's, and what they forked meanwhile."""
    for _ in range(_ROUNDS):
        found = [pid for pid, its in _marked() if its == mark or not _lives(its)]
        if not found:
            return
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)


def _marked() -> Iterator[tuple[int, str]]:
    """Yield the processes that have a mark, and their marks."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            # Somebody else's, or it has ended; a zombie has no variables.
            with contextlib.suppress(OSError):
                for variable in (entry / "environ").read_bytes().split(b"\0"):
                    name, _, mark = os.fsdecode(variable).partition("=")
                    if name == _MARK:
                        yield int(entry.name), mark


def _server() -> str:
    """Return what names this process among all that ever were: its number is used again."""
    return f"{_namespace()}:{os.getpid()}:{os.fsdecode(stat_of('/proc/self')[_STARTED])}"


def _lives(mark: str) -> bool:
    """Return whether the server that set a mark is there, or may be where we cannot see it."""
    match mark.split(":"):
        case [namespace, pid, started, _] if namespace == _namespace():
            try:
                return os.fsdecode(stat_of(f"/proc/{pid}")[_STARTED]) == started
            except OSError:
                return False
    return True


def _namespace() -> str:
    return str(Path("/proc/self/ns/pid").stat().st_ino)


def _shell_of_user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_shell or "/bin/sh"
    except KeyError:  # a container may run as a user that nobody has named
        return "/bin/sh"
