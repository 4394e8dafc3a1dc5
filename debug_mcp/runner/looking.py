"""Looks at what a command runs while it runs, from inside its own namespaces.

The processes may be hostile, and whoever reads their memory reads what they wrote: so the tools
that do stand in the sandbox with them. They are opened here and run there from their descriptor,
which needs no file inside. The user namespace to enter is the one that owns the process's PID
namespace (``ioctl_ns(2)``): the sandbox has a second one within, which may not do that.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from debug_mcp.models.sessions import Isolation
from debug_mcp.runner.capture import Captured, capture
from debug_mcp.runner.sandbox import Confined
from debug_mcp.runner.shim.processes import TICKS, descendants, stat_of
from debug_mcp.runner.supervisor import read_fields

LOOK_SECONDS = 10.0
LOOK_BYTES = 8 << 20
_NS_GET_USERNS = 0xB701
_PYTHON = ("python", "pypy")


@dataclass(frozen=True, slots=True)
class Process:
    """A process of a command.

    Attributes:
        pid: Its number on the host.
        parent: Its parent's.
        inside: Its number as it sees itself.
        program: The name of the file that it runs.
        arguments: Its command line.
        state: As a letter (``proc_pid_stat(5)``): R runs, S and D wait, T is stopped, Z has ended.
        cpu_seconds: Processor time until now, without that of its children.
        confined: It runs in a sandbox.
    """

    pid: int
    parent: int
    inside: int
    program: str
    arguments: tuple[str, ...]
    state: str
    cpu_seconds: float
    confined: bool

    @property
    def is_python(self) -> bool:
        """Whether it is an interpreter of Python."""
        return self.program.startswith(_PYTHON)


def processes_of(directory: Path, isolation: Isolation, most: int) -> list[Process]:
    """Return what the command of a directory runs now, parents before children, at most so many.

    It reads some files for each: call it in a thread.
    """
    state = read_fields(directory / "state")
    if state is None:
        return []
    # A sandboxed process has one number more than we.
    least = len(_numbers("/proc/self")) + 1 if isolation is Isolation.BWRAP else 0
    found = []
    for folder in descendants(int(state["shim"]), most):
        process = _process(folder, least)
        if process is not None:
            found.append(process)
    return sorted(found, key=lambda process: process.pid)


def _process(folder: str, least: int) -> Process | None:
    """Return a process; None when it has ended, or is the sandbox and not in it.

    Args:
        folder: Its folder below ``/proc``.
        least: How many numbers one in the sandbox has at least; 0 where there is no sandbox.
    """
    try:
        numbers, stat = _numbers(folder), stat_of(folder)
        arguments = Path(folder, "cmdline").read_bytes().split(b"\0")[:-1]
        program = PurePath(os.readlink(f"{folder}/exe")).name  # noqa: PTH115  # of another's root
    except OSError:
        return None
    # The first inside is the sandbox's own.
    if least and (len(numbers) < least or numbers[-1] == 1):
        return None
    return Process(
        pid=numbers[0],
        parent=int(stat[1]),
        inside=numbers[-1],
        program=program,
        arguments=tuple(os.fsdecode(argument) for argument in arguments),
        state=stat[0].decode(),
        cpu_seconds=(int(stat[11]) + int(stat[12])) / TICKS,
        confined=bool(least),
    )


def _numbers(folder: str) -> list[int]:
    """Return the numbers of a process, from ours to its own, one for each namespace between.

    Raises:
        OSError: It has ended.
    """
    status = Path(folder, "status").read_bytes()
    _, _, rest = status.partition(b"\nNSpid:")
    return [int(number) for number in rest.partition(b"\n")[0].split()]


async def look(
    process: Process, program: str, arguments: Sequence[str], nsenter: str | None
) -> Captured:
    """Run a program of ours beside a process, in its namespaces; return what it wrote.

    Args:
        process: Whom to look at.
        program: The path of the program on the host.
        arguments: Of the program; ``process.inside`` is the number by which it knows the process.
        nsenter: What enters namespaces; needed for a process in a sandbox.

    Raises:
        ToolFailed: It could not be started, or took too long.
        OSError: The process has ended, or is not ours to look at.
    """
    with contextlib.ExitStack() as stack:
        opened = stack.enter_context(_opened(program))
        inherited = [opened]
        entering: tuple[str, ...] = ()
        if process.confined and nsenter is not None:
            space = stack.enter_context(_opened(f"/proc/{process.pid}/ns/pid"))
            owner = fcntl.ioctl(space, _NS_GET_USERNS)
            stack.callback(os.close, owner)
            inherited.append(owner)
            entering = (
                nsenter, f"--user=/proc/self/fd/{owner}", "--target", str(process.pid),
                "--pid", "--mount", "--preserve-credentials", "--",
            )  # fmt: skip
        command = (*entering, f"/proc/self/fd/{opened}", *arguments)
        confined = Confined(PurePath(program).name, command, {}, "/", Isolation.NONE)
        return await capture(confined, inherited=inherited, limit=LOOK_BYTES, timeout=LOOK_SECONDS)


@contextlib.contextmanager
def _opened(path: str) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)
