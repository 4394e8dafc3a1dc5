"""Core files: kept where a call asks for them, and read while what crashed is still as it was.

The kernel writes a core where the program stands, and only as large as a limit that is 0 unless the
call's ``artifacts`` ask for cores. What the debugger says of it is kept beside the command, so that
it outlives the session; the core itself becomes an artifact and leaves the tree.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from debug_mcp.artifacts.collect import Files, Kept
from debug_mcp.beneath import Refused, opened_beneath, opened_root
from debug_mcp.debuggers.adapters import LLDB, lldb_program
from debug_mcp.debuggers.stacks import BACKTRACE, ThreadStack, native_stacks, native_values
from debug_mcp.debuggers.values import clip
from debug_mcp.errors import DebugMcpError
from debug_mcp.models.artifacts import ArtifactKind
from debug_mcp.models.base import now
from debug_mcp.models.commands import Command
from debug_mcp.models.postmortems import LastLook, ProcessView
from debug_mcp.models.sessions import WorkSession
from debug_mcp.runner.capture import capture
from debug_mcp.runner.sandbox import Bind
from debug_mcp.service.confinement import Confinement
from debug_mcp.service.last_looks import keep_look
from debug_mcp.service.looks import stack_view

GLOB = "core*"
READ_SECONDS = 20
_THREADS = 20
_SEEN = "/run/debug-mcp/core"
_PATTERN = Path("/proc/sys/kernel/core_pattern")
_VARIABLES = "frame variable"
_REASON = re.compile(r"^\* thread #\d+(?:, name = '(?P<name>[^']*)')?, stop reason = (?P<why>.+)$")


def wants_core(command: Command) -> bool:
    """Return whether a command's call asks for core files: a glob whose last part begins so."""
    globs = command.request.artifacts
    return any(glob.rpartition("/")[2].startswith("core") for glob in globs)


def core_hint(command: Command) -> str | None:
    """Say how to keep the core file of a crash, or why there is none."""
    if not wants_core(command):
        return f'the same call with artifacts: ["{GLOB}"] keeps its core file'
    pattern = _PATTERN.read_text().strip() if _PATTERN.exists() else ""
    if pattern.startswith(("|", "/")):
        return (
            f"this machine takes core files away ({clip(pattern)}): the operator can keep them in "
            "sessions with sysctl kernel.core_pattern=core"
        )
    return None


class Cores:
    """Takes core files out of trees, and has them read."""

    def __init__(self, files: Files, confinement: Confinement) -> None:
        self._files = files
        self._confinement = confinement

    async def take(
        self, session: WorkSession, directory: Path, found: Sequence[Kept], since: float
    ) -> None:
        """Remove the cores that a command left from its session's tree, and keep what one says.

        Args:
            session: The command's session.
            directory: The command's.
            found: What its end has collected.
            since: When it began, in seconds since 1970; what is older is not its own.
        """
        cores = [kept for kept in found if kept.kind is ArtifactKind.CORE]
        tree = self._confinement.folders(session).tree
        fresh = [core for core in cores if _take_out(tree, core.name, since)]
        if fresh:
            process = await self._read(session, fresh[0])
            seen = LastLook(looked_at=now(), processes=(process,), core=fresh[0].name)
            await keep_look(directory, seen)

    async def _read(self, session: WorkSession, core: Kept) -> ProcessView:
        """Return what the debugger says of a core, in the session's sandbox: it may be forged."""
        lldb = lldb_program()
        if lldb is None:
            return _view(core, "crashed", [], f"no lldb to read it: {LLDB.remedy}")
        sandbox = await self._confinement.sandbox(session)
        bind = Bind(self._files.path(core.sha256), _SEEN)
        program = sandbox.confine(
            self._confinement.folders(session),
            [
                lldb, "--no-lldbinit", "--batch", "--core", sandbox.seen(bind),
                "-o", BACKTRACE, "-o", _VARIABLES,
            ],
            environment={"PATH": sandbox.toolchains.path},
            binds=(bind,),
            supervised=False,
        )  # fmt: skip
        try:
            said = await capture(program, timeout=READ_SECONDS)
        except DebugMcpError as error:
            return _view(core, "crashed", [], str(error))
        text = said.output.decode("utf-8", "replace")
        _, _, rest = text.partition(f"(lldb) {BACKTRACE}")
        backtrace, _, variables = rest.partition(f"(lldb) {_VARIABLES}")
        stacks = native_stacks(backtrace)
        if not stacks:
            return _view(core, "crashed", [], clip(said.message or "lldb says nothing of it"))
        native_values(stacks[0], variables)
        reason = next(filter(None, map(_REASON.match, backtrace.splitlines())), None)
        why = "crashed" if reason is None else f"crashed: {reason['why']}"
        return _view(core, clip(why), stacks, None, None if reason is None else reason["name"])


def _view(
    core: Kept, state: str, stacks: list[ThreadStack], why: str | None, name: str | None = None
) -> ProcessView:
    shown = tuple(stack_view(stack) for stack in stacks[:_THREADS])
    return ProcessView(
        command=name or core.name,
        state=state,
        threads=shown,
        more_threads=len(stacks) - len(shown) or None,
        why=why,
    )


def _take_out(tree: Path, name: str, since: float) -> bool:
    """Remove a file from a tree unless it is older; return whether it was not."""
    path = PurePosixPath(name)
    try:
        with opened_root(tree) as root, opened_beneath(root, str(path.parent)) as folder:
            fresh = os.stat(path.name, dir_fd=folder, follow_symlinks=False).st_ctime >= since
            if fresh:
                os.unlink(path.name, dir_fd=folder)
            return fresh
    except (OSError, Refused):  # somebody is changing the tree meanwhile
        return False
