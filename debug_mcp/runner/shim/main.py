"""One command from its ``spec`` to its ``exit``."""

import os
import time

from debug_mcp.runner.shim.child import Child, verdict
from debug_mcp.runner.shim.files import publish, reserve
from debug_mcp.runner.shim.guard import stand_guard
from debug_mcp.runner.shim.limits import ended_by_file_size
from debug_mcp.runner.shim.output import Output
from debug_mcp.runner.shim.processes import become_subreaper, catch_signals, close_all_but, high
from debug_mcp.runner.shim.spawn import spawn
from debug_mcp.runner.shim.spec import FORMAT, Spec
from debug_mcp.runner.shim.stdin import Stdin
from debug_mcp.runner.shim.watch import Watch


def run(path: str, lock: int, tether: int, channel: int | None = None) -> None:
    """Run the command that ``spec`` in a directory describes, to its end.

    Takes over the whole process: its signals and every descriptor from 3 on are ours, and nothing
    is left to do after it but ``os._exit``. In a forked process call it with one thread.

    Args:
        path: The command's directory.
        lock: The descriptor that holds the ``flock`` of ``lock`` in it.
        tether: The end of a pipe at whose other end the server waits for ours.
        channel: A socket to the server that speaks with the command over its input and output.
    """
    lock, tether = high(lock), high(tether)
    channel = None if channel is None else high(channel)
    # Whatever else came along is not for the command.
    close_all_but(lock, tether, lock if channel is None else channel)
    stand_guard(channel)
    directory = high(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
    fd = os.open("spec", os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
    spec = Spec(os.read(fd, os.fstat(fd).st_size))
    os.close(fd)
    wakeups = catch_signals()
    become_subreaper()
    stdin = Stdin(directory, spec, channel)
    separate = spec.fields.get(b"streams") == b"separate"
    output = Output(directory, int(spec.fields[b"output_limit"]), stdin.both, separate)
    reserve(directory, "exit")
    began, clock = time.time(), time.monotonic()
    publish(directory, "state", {"format": FORMAT, "shim": os.getpid(), "started": began})

    ended: dict[str, object] = {"reason": "spawn_failed", "code": "", "swept": 0, "limit": ""}
    message = ""
    try:
        child = spawn(directory, spec, output, stdin)
    except OSError as error:
        child = Child(0, None)
        message = f"{os.fsdecode(error.filename or b'exec')}: {error.strerror}"
    else:
        ended = _follow(spec, child, output, stdin, wakeups)

    end = {
        "format": FORMAT,
        **ended,
        "ended": time.time(),
        "elapsed": time.monotonic() - clock,
        "cpu": child.cpu,
        "memory": child.memory,
        **output.finish(),
        "message": message.replace("\n", " "),
    }
    publish(directory, "exit", end, durable=True)


def _follow(
    spec: Spec, child: Child, output: Output, stdin: Stdin, wakeups: int
) -> dict[str, object]:
    """Follow the command to its end, and see that nothing of it is left; return how it ended."""
    watch = Watch(spec, child, output, stdin, wakeups)
    try:
        reason = watch.run()
    finally:  # even a fault of ours must leave no process behind
        swept = child.sweep()
    reason, code = verdict(child, reason)
    limit = watch.limit
    if reason == "exit" and code is not None and ended_by_file_size(spec, code):
        reason, limit = "limit", "file_bytes"
    return {
        "reason": reason,
        "code": "" if code is None else code,
        "swept": swept,
        "limit": limit,
        "limit_value": os.fsdecode(spec.fields.get(limit.encode(), b"")),
    }
