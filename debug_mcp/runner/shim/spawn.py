"""Starting the command."""

import _signal as signal  # type: ignore[import-not-found]
import os

from debug_mcp.runner.shim.child import Child
from debug_mcp.runner.shim.output import Output
from debug_mcp.runner.shim.processes import high
from debug_mcp.runner.shim.spec import OPTIONS_FD, STATUS_FD, Spec


def spawn(directory: int, spec: Spec, output: Output) -> Child:
    """Start the command in a new session, with one pipe as both stdout and stderr.

    One pipe keeps the bytes as they were written; two lose the order. It is never a plain file:
    ``echo x > /dev/stderr`` would truncate that.
    """
    os.chdir(spec.fields[b"cwd"])
    os.putenv(b"PATH", spec.environment.get(b"PATH", b"/usr/bin:/bin"))  # where spawnp looks
    output.writer = high(output.writer)
    actions: list[tuple[object, ...]] = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, output.writer, 1),
        (os.POSIX_SPAWN_DUP2, output.writer, 2),
    ]
    status = reports = None
    if spec.fields[b"sandbox"] == b"bwrap":
        status, reports = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        reports = high(reports)
        actions.append((os.POSIX_SPAWN_DUP2, reports, STATUS_FD))
        options = high(os.open("options", os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory))
        actions.append((os.POSIX_SPAWN_DUP2, options, OPTIONS_FD))
    pid = os.posix_spawnp(
        spec.arguments[0],
        spec.arguments,
        spec.environment,
        file_actions=actions,
        setsid=True,
        setsigmask=[],
        # An ignored signal is inherited: ours, Python's own, and those of the server's parent.
        setsigdef=[n for n in range(1, 32) if n not in (signal.SIGKILL, signal.SIGSTOP)],
    )
    os.close(output.writer)
    if reports is not None:
        os.close(reports)
    return Child(pid, status)
