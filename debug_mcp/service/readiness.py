"""Whether this server can do its work now, and why not. Asked by what sends it requests."""

import shutil
from collections.abc import Awaitable, Callable

import anyio

from debug_mcp.config import Layout, Settings, user_environment
from debug_mcp.errors import DebugMcpError, Unavailable
from debug_mcp.models.server import CheckView, ReadyView
from debug_mcp.models.sessions import Isolation
from debug_mcp.runner.boundary import choose_boundary
from debug_mcp.runner.capture import capture
from debug_mcp.runner.sandbox import Confined
from debug_mcp.store.database import Database

# Nobody can make the server look more often than this, however often it is asked.
LOOK_SECONDS = 2.0
# What takes longer would keep a caller waiting too.
CHECK_SECONDS = 5.0
_MIB = 1024 * 1024

Check = Callable[[], Awaitable[None]]


class Readiness:
    """Looks at what every command needs: the ledger, git, the sandbox, room on the disk."""

    def __init__(self, database: Database, settings: Settings, layout: Layout) -> None:
        self._database = database
        self._settings = settings
        self._layout = layout
        self._lock = anyio.Lock()  # one look at a time: who comes meanwhile gets its answer
        self._seen: ReadyView | None = None
        self._looked_at = -LOOK_SECONDS

    async def look(self) -> ReadyView:
        """Return what was found, now or a moment ago. It names no path, id or version."""
        async with self._lock:
            now = anyio.current_time()
            if self._seen is None or now - self._looked_at >= LOOK_SECONDS:
                self._seen = await self._look()
                self._looked_at = anyio.current_time()
            return self._seen

    async def _look(self) -> ReadyView:
        checks = {
            "store": self._database.check_writable,
            "git": _check_git,
            "sandbox": self._check_sandbox,
            "disk": self._check_disk,
        }
        seen = [await _checked(name, check) for name, check in checks.items()]
        return ReadyView(ready=all(check.ok for check in seen), checks=seen)

    async def _check_sandbox(self) -> None:
        await anyio.to_thread.run_sync(choose_boundary, self._settings.isolation)

    async def _check_disk(self) -> None:
        free = (await anyio.to_thread.run_sync(shutil.disk_usage, self._layout.root)).free
        wanted = self._settings.ready_disk_bytes
        if free < wanted:
            raise Unavailable(f"{free // _MIB} MiB are free, and {wanted // _MIB} are wanted")


async def _check_git() -> None:
    path = user_environment().get("PATH", "")
    program = Confined("git", ("git", "--version"), {"PATH": path}, "/", Isolation.NONE)
    if (await capture(program)).exit_code != 0:
        raise Unavailable("git does not run")


async def _checked(name: str, check: Check) -> CheckView:
    try:
        with anyio.fail_after(CHECK_SECONDS):
            await check()
    except DebugMcpError as error:
        return CheckView(name=name, ok=False, why=error.message)
    except OSError as error:
        return CheckView(name=name, ok=False, why=error.strerror or type(error).__name__)
    except TimeoutError:
        return CheckView(name=name, ok=False, why=f"no answer within {CHECK_SECONDS:g} s")
    return CheckView(name=name, ok=True)
