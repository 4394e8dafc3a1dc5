"""The debuggers that are known: how each is started, and what it must be told.

One handshake drives them all (``debugger.Debugger.start``); what differs stands here.
"""

import importlib.util
import shutil
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

from debug_mcp.debuggers.debugger import Start
from debug_mcp.debuggers.invocation import NativeProgram, PythonProgram
from debug_mcp.debuggers.wire import Message

FAILURE, ENTRY, NONE, RAISED = "failure", "entry", "none", "raised:"
STOP_ON = f"{FAILURE}, {ENTRY}, {NONE}, or {RAISED} and the name of an exception"


@dataclass(frozen=True, slots=True)
class Adapter:
    """A debugger.

    Attributes:
        name: As it is known.
        languages: What it debugs, in words.
        programs: What its adapter may be called, best first.
        package: The Python package that it is, where it is one of the server's own.
        remedy: How to get it.
        python: It runs Python programs: functions and expressions are Python's.
        context: In which an expression may be a statement too.
    """

    name: str
    languages: str
    programs: tuple[str, ...]
    package: str | None
    remedy: str
    python: bool
    context: str


DEBUGPY = Adapter(
    "debugpy",
    "Python",
    (),
    "debugpy",
    "pip install debugpy beside debug-mcp",
    python=True,
    context="repl",
)
LLDB = Adapter(
    "lldb-dap",
    "machine code: C, C++, Rust",
    ("lldb-dap-22", "lldb-dap-21", "lldb-dap-20", "lldb-dap"),
    None,
    "apt install lldb-22, or another package with lldb-dap 20 or later",
    python=False,
    context="watch",
)
ADAPTERS = (DEBUGPY, LLDB)


def check_stop_on(stop_on: str) -> bool:
    """Return whether ``stop_on`` is one that is known."""
    named = stop_on.startswith(RAISED) and stop_on.removeprefix(RAISED).strip() != ""
    return stop_on in (FAILURE, ENTRY, NONE) or named


def python_start(program: PythonProgram, cwd: str, stop_on: str, *, plugin: bool) -> Start:
    """Return how to start a Python program under debugpy.

    Args:
        program: It.
        cwd: Where, as the program sees it.
        stop_on: When to stop it besides breakpoints.
        plugin: A plugin of pytest stops it at failures, so nothing else must.
    """
    what: Message = {}
    if program.module is not None:
        what["module"] = program.module
    elif program.code is not None:
        what["code"] = program.code
    else:
        what["program"] = program.program
    arguments = {
        **what,
        "args": list(program.arguments),
        "python": [*program.interpreter, "-Xfrozen_modules=off"],
        "cwd": cwd,
        "console": "internalConsole",
        "redirectOutput": False,  # it goes where the output of any command goes
        "justMyCode": True,
        "stopOnEntry": stop_on == ENTRY,
        # A child would wait for a second connection, which nobody makes.
        "subProcess": False,
        "showReturnValue": True,
    }
    return Start("debugpy", arguments, filters=_python_filters(stop_on, plugin=plugin))


def _python_filters(stop_on: str, *, plugin: bool) -> Message:
    if stop_on.startswith(RAISED):
        name = stop_on.removeprefix(RAISED).strip()
        option = {
            "path": [{"names": ["Python Exceptions"]}, {"names": [name]}],
            "breakMode": "always",
        }
        return {"filters": [], "exceptionOptions": [option]}
    return {"filters": ["uncaught"] if stop_on == FAILURE and not plugin else []}


def native_start(program: NativeProgram, cwd: str, stop_on: str) -> Start:
    """Return how to start a program of machine code under lldb-dap; it stops at each crash."""
    arguments: Message = {
        "program": program.program,
        "args": list(program.arguments),
        "cwd": cwd,
        "stopOnEntry": stop_on == ENTRY,
        "disableASLR": False,  # a sandbox may forbid it
    }
    filters = ["cpp_throw"] if stop_on.startswith(RAISED) else []
    return Start("lldb-dap", arguments, filters={"filters": filters})


def found(adapter: Adapter, names: Container[str]) -> str | None:
    """Return which of an adapter's programs is among some names, the best first."""
    return next((name for name in adapter.programs if name in names), None)


def package_of(adapter: Adapter) -> Path | None:
    """Return the folder of the package that an adapter is; None where there is none."""
    spec = None if adapter.package is None else importlib.util.find_spec(adapter.package)
    return None if spec is None or spec.origin is None else Path(spec.origin).parent


def installed(adapter: Adapter, path: str) -> str | None:
    """Return where an adapter is, by its package or on a PATH; None where it is not."""
    package = package_of(adapter)
    if package is not None:
        return str(package)
    there = (shutil.which(name, path=path) for name in adapter.programs)
    return next((program for program in there if program), None)


def lldb_program() -> str | None:
    """Return where lldb itself is, beside its adapter; None where it is not."""
    names = (program.replace("lldb-dap", "lldb") for program in LLDB.programs)
    return next(filter(None, map(shutil.which, names)), None)
