"""Looks at the processes of a command: what each does, and the stacks of its threads."""

import shutil
import sys
import sysconfig
from functools import cache
from pathlib import Path

import anyio

from debug_mcp.debuggers.adapters import LLDB, lldb_program
from debug_mcp.debuggers.stacks import (
    BACKTRACE,
    ThreadStack,
    Unreadable,
    native_stacks,
    python_stacks,
)
from debug_mcp.debuggers.stops import Places
from debug_mcp.debuggers.values import clip
from debug_mcp.errors import DebugMcpError
from debug_mcp.models.base import now
from debug_mcp.models.postmortems import LastLook, ProcessView, StackView
from debug_mcp.models.sessions import WorkSession
from debug_mcp.runner.looking import Process, look, processes_of
from debug_mcp.service.confinement import Confinement

PROCESSES = 8
CHARACTERS = 5000  # of all together
_MOST_PROCESSES = 200
_COMMAND_CHARACTERS = 200
_STATES = {"R": "running", "S": "sleeping", "D": "waiting for a disk", "T": "stopped", "Z": "ended"}
_NOT_OURS = (
    "the kernel does not let one process look into another here: run the server as root, or set "
    "kernel.yama.ptrace_scope to 0"
)


class Looks:
    """Looks into running commands."""

    def __init__(self, confinement: Confinement) -> None:
        self._confinement = confinement

    async def at(self, session: WorkSession, directory: Path, *, native: bool) -> LastLook:
        """Look at what a command of a directory runs now.

        Args:
            session: The command's session.
            directory: The command's.
            native: Look at the stacks of other programs than Python too, which takes a second each.
        """
        found = await anyio.to_thread.run_sync(
            processes_of, directory, session.isolation, _MOST_PROCESSES
        )
        boundary = await self._confinement.boundary()
        sandbox = await self._confinement.sandbox(session)
        places = Places(sandbox.workspace(self._confinement.folders(session)))
        looked_at = now()
        # Python first, which is looked into; then the youngest, for which the others wait.
        found.sort(key=lambda process: (not process.is_python, -process.pid))
        waiting = {process.parent for process in found}  # such as a shell
        views, room = [], CHARACTERS
        for process in found[:PROCESSES]:
            deep = native and process.pid not in waiting
            threads, why = await _stacks(process, places, boundary.nsenter, native=deep)
            view = _process_view(process, threads, why, room)
            room -= len(view.model_dump_json(exclude_defaults=True))
            views.append(view)
        more = len(found) - len(views)
        return LastLook(looked_at=looked_at, processes=tuple(views), more_processes=more or None)


async def _stacks(
    process: Process, places: Places, nsenter: str | None, *, native: bool
) -> tuple[list[ThreadStack], str | None]:
    """Return the stacks of a process, or why there are none."""
    if process.confined and nsenter is None:
        return [], "nsenter (of util-linux) is missing, without which nobody can look in"
    try:
        if process.is_python:
            return await _python(process, places, nsenter)
        return await _native(process, nsenter) if native else ([], None)
    except OSError as error:
        return [], f"{_NOT_OURS} ({error.strerror})"
    except (DebugMcpError, Unreadable) as error:
        return [], str(error)


async def _python(
    process: Process, places: Places, nsenter: str | None
) -> tuple[list[ThreadStack], str | None]:
    spy = py_spy()
    if spy is None:
        return [], "py-spy is missing: pip install py-spy beside debug-mcp"
    asked = ("dump", "--json", "--locals", "--pid", str(process.inside))
    said = await look(process, spy, asked, nsenter)
    if said.exit_code != 0:
        return [], clip(said.message.splitlines()[0] if said.message else "py-spy failed")
    return python_stacks(said.output, places), None


async def _native(process: Process, nsenter: str | None) -> tuple[list[ThreadStack], str | None]:
    lldb = lldb_program()
    if lldb is None:
        return [], f"no lldb for programs of machine code: {LLDB.remedy}"
    options = ("--no-lldbinit", "--batch", "-p", str(process.inside), "-o", BACKTRACE)
    said = await look(process, lldb, options, nsenter)
    _, _, backtrace = said.output.decode("utf-8", "replace").rpartition(f"(lldb) {BACKTRACE}")
    stacks = native_stacks(backtrace)
    return stacks, None if stacks else clip(said.message or "lldb says nothing of it")


@cache
def py_spy() -> str | None:
    """Return where py-spy is: beside the server, where pip puts it, or on PATH."""
    beside = f"{sysconfig.get_path('scripts')}:{Path(sys.executable).parent}"
    return shutil.which("py-spy", path=beside) or shutil.which("py-spy")


def _process_view(
    process: Process, threads: list[ThreadStack], why: str | None, room: int
) -> ProcessView:
    shown = []
    for view in map(stack_view, threads):
        room -= len(view.model_dump_json(exclude_defaults=True))
        if room < 0:
            break
        shown.append(view)
    return ProcessView(
        process=process.inside,
        command=clip(" ".join(process.arguments) or process.program, _COMMAND_CHARACTERS),
        state=_STATES.get(process.state, process.state),
        cpu_seconds=process.cpu_seconds,
        threads=tuple(shown),
        more_threads=len(threads) - len(shown) or None,
        why=why,
    )


def stack_view(thread: ThreadStack) -> StackView:
    """Return a thread as callers see it."""
    return StackView(
        thread=thread.name,
        runs=thread.runs,
        holds_gil=thread.holds_gil or None,
        stack=tuple(thread.frames),
        more_frames=thread.more_frames or None,
        at=thread.at,
        locals=thread.values,
        more_locals=thread.more_values or None,
    )
