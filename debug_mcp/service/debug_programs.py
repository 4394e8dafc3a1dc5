"""What to start so that a program runs under its debugger, in a session.

The adapter runs inside the session, on the session's own Python or as a system's program. What it
needs of ours is bound read-only.
"""

import contextlib
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import anyio

from debug_mcp.beneath import Refused, open_beneath, opened_root
from debug_mcp.debuggers import injected_folder
from debug_mcp.debuggers.adapters import (
    DEBUGPY,
    FAILURE,
    LLDB,
    NONE,
    STOP_ON,
    Adapter,
    check_stop_on,
    found,
    native_start,
    package_of,
    python_start,
)
from debug_mcp.debuggers.breakpoints import Point, Unresolved, resolve
from debug_mcp.debuggers.debugger import Start
from debug_mcp.debuggers.invocation import (
    NotDebuggable,
    Program,
    PythonProgram,
    program_of,
    words_of,
)
from debug_mcp.debuggers.stops import Places
from debug_mcp.errors import InvalidInput, Unavailable
from debug_mcp.models.debugging import Breakpoint, DebugRun
from debug_mcp.models.sessions import Isolation, WorkSession
from debug_mcp.runner.sandbox import Bind, Folders, Sandbox
from debug_mcp.service.confinement import Confinement
from debug_mcp.service.launches import AdapterProgram
from debug_mcp.service.surroundings import FIRST_LINE_BYTES, Surroundings
from debug_mcp.testreports import STOP_PLUGIN
from debug_mcp.worktrees.paths import relative

SOURCE_BYTES = 4 << 20
_OURS = "/run/debug-mcp/debugger"
_PACKAGES = "/run/debug-mcp/packages"
_ADAPTER = "debugpy_adapter.py"


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a debug run starts from.

    ``words`` is the program as a caller would write it. ``by_plugin``: our plugin of pytest stops
    it at failures.
    """

    words: tuple[str, ...]
    variables: dict[str, str]
    cwd: str
    adapter: Adapter
    program: AdapterProgram
    start: Start
    places: Places
    points: tuple[Point, ...]
    by_plugin: bool


@dataclass(frozen=True, slots=True)
class _Around:
    """What stands around the program."""

    sandbox: Sandbox
    folders: Folders
    surroundings: Surroundings
    cwd: str

    @property
    def root(self) -> str:
        return self.sandbox.workspace(self.folders)


class DebugPrograms:
    """Plans debug runs."""

    def __init__(self, confinement: Confinement) -> None:
        self._confinement = confinement

    async def plan(self, session: WorkSession, args: DebugRun) -> Plan:
        """Find out what to start.

        Raises:
            InvalidInput: There is no such program, place or condition to stop; no debugger for it.
            Unavailable: Its debugger is not installed.
        """
        if not check_stop_on(args.stop_on):
            raise InvalidInput(f"stop_on {args.stop_on!r} is none of {STOP_ON}", field="stop_on")
        folders = self._confinement.folders(session)
        around = _Around(
            await self._confinement.sandbox(session),
            folders,
            await self._confinement.surroundings(session.id),
            relative(args.cwd, ("/workspace", str(folders.tree)), "cwd"),
        )
        return await anyio.to_thread.run_sync(_plan, around, args)


def _plan(around: _Around, args: DebugRun) -> Plan:
    words, variables = _words(args)
    try:
        program = program_of(words, lambda name: _find(around, name))
    except NotDebuggable as error:
        raise InvalidInput(str(error), field="command") from None
    cwd = os.path.normpath(f"{around.root}/{around.cwd}")
    adapter, adapter_program, start = _adapter(around, args, program, cwd)
    return Plan(
        words=tuple(words),
        variables=variables,
        cwd=around.cwd,
        adapter=adapter,
        program=adapter_program,
        start=start,
        places=Places(around.root),
        points=points_of(args.breakpoints, around.folders.tree, python=adapter.python),
        by_plugin=STOP_PLUGIN in start.arguments.get("args", ()),
    )


def _words(args: DebugRun) -> tuple[list[str], dict[str, str]]:
    if (args.command is None) == (args.test is None):
        raise InvalidInput("give one of command and test", field="command")
    if args.test is not None:
        return ["python3", "-m", "pytest", args.test], {}
    try:
        return words_of(args.command or "")
    except NotDebuggable as error:
        raise InvalidInput(str(error), field="command") from None


def _adapter(
    around: _Around, args: DebugRun, program: Program, cwd: str
) -> tuple[Adapter, AdapterProgram, Start]:
    """Return the debugger of a program, what is run of it, and what it is told."""
    stop_on = args.stop_on if args.stop else NONE
    if isinstance(program, PythonProgram):
        plugin = program.is_pytest and stop_on == FAILURE
        if plugin:
            program = replace(program, arguments=("-p", STOP_PLUGIN, *program.arguments))
        start = python_start(program, cwd, stop_on, plugin=plugin)
        return DEBUGPY, _debugpy(around.sandbox), start
    name = found(LLDB, around.surroundings.programs())
    if name is None:
        raise Unavailable(f"there is no {LLDB.name} for programs of machine code: {LLDB.remedy}")
    return LLDB, AdapterProgram((name,)), native_start(program, cwd, stop_on)


def _debugpy(sandbox: Sandbox) -> AdapterProgram:
    """Return debugpy's adapter on the session's Python; the program's own needs no debugpy.

    Raises:
        Unavailable: The server has no debugpy, or the program no loopback interface for it.
    """
    if sandbox.boundary.isolation is Isolation.LANDLOCK:
        raise Unavailable(
            "debugpy speaks with its program over the loopback interface, which commands lack at "
            "isolation landlock; it works in the sandbox: install bubblewrap (see debug-mcp doctor)"
        )
    package = package_of(DEBUGPY)
    if package is None:
        raise Unavailable(f"there is no debugpy for Python programs: {DEBUGPY.remedy}")
    ours = Bind(injected_folder(), _OURS)
    bind = Bind(package, f"{_PACKAGES}/{package.name}")
    packages = str(Path(sandbox.seen(bind)).parent)
    script = f"{sandbox.seen(ours)}/{_ADAPTER}"
    return AdapterProgram(("python3", "-Xfrozen_modules=off", script, packages), (ours, bind))


def _find(around: _Around, name: str) -> tuple[str, bytes] | None:
    """Find a program as a shell does; return its path as the program sees it, and its beginning."""
    surroundings = around.surroundings
    if "/" in name or name.endswith(".py"):
        path = surroundings.inside(name, around.cwd)
        entry = None if path is None else surroundings.entry(path)
        if entry is None or entry.kind != "file":
            return None
        return f"{around.root}/{path}", entry.head
    own = _content(around.folders.home, f"venv/bin/{name}", FIRST_LINE_BYTES)
    if own is not None:
        return f"{around.sandbox.home(around.folders)}/venv/bin/{name}", own
    for folder in surroundings.path:
        with contextlib.suppress(OSError), (folder / name).open("rb") as file:
            first = file.read(FIRST_LINE_BYTES)
            ours = around.sandbox.scripts(folder) if folder == surroundings.scripts else None
            return f"{ours or folder}/{name}", first
    return None


@contextlib.contextmanager
def _opened(root: Path, path: str) -> Iterator[int | None]:
    """Yield a file in which anything may have been planted; None where it cannot be opened."""
    with contextlib.ExitStack() as stack:
        fd = None
        with contextlib.suppress(OSError, Refused, Unavailable):
            fd = open_beneath(stack.enter_context(opened_root(root)), path)
            stack.callback(os.close, fd)
        yield fd


def _content(root: Path, path: str, limit: int) -> bytes | None:
    """Return the first bytes of a regular file; None where there is none."""
    with _opened(root, path) as fd:
        if fd is None or not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        return os.pread(fd, limit, 0)


def lines_of(tree: Path, path: str) -> list[str] | None:
    """Return the lines of a file of a tree; None where there is none.

    It reads: call it in a thread.
    """
    content = _content(tree, path, SOURCE_BYTES)
    return None if content is None else content.decode("utf-8", "replace").splitlines()


def was_changed(tree: Path, path: str, since: float) -> bool:
    """Return whether a file of a tree was written after a time in seconds since 1970.

    It reads: call it in a thread.
    """
    with _opened(tree, path) as fd:
        return fd is not None and os.fstat(fd).st_mtime > since


def points_of(
    asked: Sequence[Breakpoint], tree: Path, first: int = 0, *, python: bool
) -> tuple[Point, ...]:
    """Find the places of breakpoints, numbered from ``first`` on. Reads: call it in a thread.

    Raises:
        InvalidInput: One of them names no place.
    """
    points = []
    for number, breakpoint_ in enumerate(asked):
        try:
            point = resolve(
                breakpoint_, first + number, lambda path: lines_of(tree, path), python=python
            )
        except Unresolved as error:
            raise InvalidInput(
                str(error), field=f"breakpoints[{number}].at", candidates=error.candidates
            ) from None
        points.append(point)
    return tuple(points)
