"""Looks whether a machine has what debug-mcp needs, and says what to do about what is missing."""

import importlib.util
import os
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import anyio

from debug_mcp.config import IsolationPolicy, Settings, config_file, user_environment
from debug_mcp.debuggers.adapters import ADAPTERS, installed
from debug_mcp.errors import DebugMcpError
from debug_mcp.models.sessions import Isolation
from debug_mcp.runner.boundary import Boundary, choose_boundary
from debug_mcp.runner.capture import capture
from debug_mcp.runner.landlock.options import holes
from debug_mcp.runner.sandbox import Confined
from debug_mcp.runner.toolchains import find_toolchains
from debug_mcp.store.filesystem import NETWORKED, file_system, mounts

GIB = 1024**3
ROOM_BYTES = GIB
GIT_VERSION = (2, 34)
PYTHON_VERSION = (3, 11)
_TOOLS = (
    "python3", "pip", "uv", "node", "npm", "go", "cargo", "rustc", "java", "make", "gcc", "clang",
    "cmake",
)  # fmt: skip


class State(StrEnum):
    """What became of a check. Only ``FAILED`` keeps debug-mcp from working as asked."""

    OK = "ok"
    MISSING = "missing"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at: what was found, and what to do when that is not enough."""

    name: str
    state: State
    found: str
    remedy: str | None = None


async def examine(settings: Settings) -> list[Check]:
    """Return every check, with these settings, in the order in which they are worth mending."""
    boundary = await anyio.to_thread.run_sync(choose_boundary, IsolationPolicy.AUTO)
    return [
        check_python(),
        await _check_git(),
        check_sandbox(boundary, settings.isolation, _read),
        *_check_nsenter(boundary),
        check_data_dir(settings.data_dir.expanduser().absolute(), mounts()),
        _check_config(),
        await anyio.to_thread.run_sync(_check_tools, settings),
        *_check_debuggers(),
    ]


def check_python() -> Check:
    """Look at the interpreter that runs the server: each command's supervisor runs on it too."""
    found = f"{'.'.join(map(str, sys.version_info[:3]))} ({sys.executable})"
    if sys.version_info[:2] < PYTHON_VERSION:
        return Check("python", State.FAILED, found, "use Python 3.11 or newer")
    if importlib.util.find_spec("_ctypes") is None:
        remedy = "install libffi's headers (apt install libffi-dev) and build this Python again"
        return Check("python", State.FAILED, f"{found} without _ctypes", remedy)
    return Check("python", State.OK, found)


async def _check_git() -> Check:
    path = user_environment().get("PATH", "")
    git = shutil.which("git", path=path)
    remedy = "install git (apt install git, dnf install git)"
    if git is None:
        return Check("git", State.FAILED, "not on PATH", remedy)
    program = Confined("git", (git, "--version"), {"PATH": path}, "/", Isolation.NONE)
    try:
        said = (await capture(program)).output.decode("utf-8", "replace").strip()
    except DebugMcpError as error:
        return Check("git", State.FAILED, error.message, remedy)
    return check_git_version(said, git)


def check_git_version(said: str, path: str) -> Check:
    """Look at what ``git --version`` says."""
    match = re.search(r"(\d+)\.(\d+)", said)
    found = f"{said.removeprefix('git version ')} ({path})"
    if match is None or (int(match[1]), int(match[2])) < GIT_VERSION:
        newer = ".".join(map(str, GIT_VERSION))
        return Check("git", State.FAILED, found, f"install git {newer} or newer")
    return Check("git", State.OK, found)


def check_sandbox(
    boundary: Boundary, policy: IsolationPolicy, read: Callable[[str], str | None]
) -> Check:
    """Look at what the probe of the sandbox said, and in its settings for why.

    Args:
        boundary: What works here.
        policy: Whether less than a sandbox will do.
        read: Returns a file's text, or None when it is not there.
    """
    if boundary.isolation is Isolation.BWRAP:
        return Check("sandbox", State.OK, f"bubblewrap works ({boundary.bwrap})")
    state = State.FAILED if policy is IsolationPolicy.REQUIRE_BWRAP else State.MISSING
    why = (boundary.why or "").split("; ")[0]
    if boundary.isolation is Isolation.LANDLOCK:
        found = f"{why}: Landlock confines commands instead, and {holes()}"
        return Check("sandbox", state, found, _mend(why, read))
    if policy is IsolationPolicy.REQUIRE_LANDLOCK:
        state = State.FAILED
    return Check("sandbox", state, f"{why}: commands run with your own rights", _mend(why, read))


def _mend(why: str, read: Callable[[str], str | None]) -> str:
    if "not installed" in why:
        return "apt install bubblewrap, or dnf install bubblewrap"
    if (read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") or "").strip() == "1":
        return (
            "AppArmor keeps programs from user namespaces, as on Ubuntu 24.04. Allow it for "
            "bubblewrap alone: sudo apt install apparmor-profiles && sudo cp "
            "/usr/share/apparmor/extra-profiles/bwrap-userns-restrict /etc/apparmor.d/ && sudo "
            "apparmor_parser -r /etc/apparmor.d/bwrap-userns-restrict"
        )
    if (read("/proc/sys/kernel/unprivileged_userns_clone") or "").strip() == "0":
        return "sudo sysctl kernel.unprivileged_userns_clone=1"
    if (read("/proc/sys/user/max_user_namespaces") or "").strip() == "0":
        return "sudo sysctl user.max_user_namespaces=10000"
    return (
        "in a container, allow user namespaces: docker run --security-opt seccomp=unconfined "
        "--security-opt apparmor=unconfined --security-opt systempaths=unconfined"
    )


def _check_nsenter(boundary: Boundary) -> list[Check]:
    if boundary.isolation is not Isolation.BWRAP:
        return []
    if boundary.nsenter is not None:
        found = f"commands of a session share its network ({boundary.nsenter})"
        return [Check("nsenter", State.OK, found)]
    return [
        Check(
            "nsenter",
            State.MISSING,
            boundary.why or "it does not work: each command has a network of its own",
            "install util-linux",
        )
    ]


def check_data_dir(folder: Path, mounted: str) -> Check:
    """Look whether everything can be kept in a folder.

    Args:
        folder: An absolute path; it need not exist yet.
        mounted: Lines in the form of ``/proc/self/mountinfo``.
    """
    name = "data directory"
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        remedy = "name a folder of yours with --data-dir or DEBUG_MCP_DATA_DIR"
        return Check(name, State.FAILED, f"{there} cannot be written to", remedy)
    kind = file_system(folder, mounted)
    free = shutil.disk_usage(there).free
    found = f"{folder} ({kind}, {free / GIB:.1f} GiB free)"
    if kind in NETWORKED:
        return Check(name, State.FAILED, found, "name a folder on a local disk with --data-dir")
    if free < ROOM_BYTES:
        return Check(name, State.MISSING, found, "make room: sessions and outputs need some GiB")
    return Check(name, State.OK, found)


def _check_config() -> Check:
    path = config_file()
    found = f"{path}" if path.exists() else f"none; defaults hold ({path} would be read)"
    return Check("configuration", State.OK, found)


def _check_tools(settings: Settings) -> Check:
    inherited = user_environment()
    home = Path(inherited.get("HOME", "/nonexistent"))
    extra = tuple(folder.expanduser() for folder in settings.bind)
    toolchains = find_toolchains(inherited.get("PATH", ""), home, extra)
    found = [name for name in _TOOLS if shutil.which(name, path=toolchains.path)]
    folders = ", ".join(map(str, toolchains.folders)) or "none"
    return Check(
        "toolchains", State.OK, f"{', '.join(found) or 'none'}; beside the system's: {folders}"
    )


def _check_debuggers() -> list[Check]:
    path = user_environment().get("PATH", "")
    checks = []
    for adapter in ADAPTERS:
        found = installed(adapter, path)
        checks.append(
            Check(adapter.name, State.OK, f"for {adapter.languages} ({found})")
            if found
            else Check(adapter.name, State.MISSING, f"for {adapter.languages}", adapter.remedy)
        )
    return checks


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text()
    except OSError:
        return None
