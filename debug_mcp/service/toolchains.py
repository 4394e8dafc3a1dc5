"""The person's tools: looked for once, in the background, when the first session is opened."""

import logging
from dataclasses import dataclass
from pathlib import Path

import anyio

from debug_mcp.config import Layout, Settings, user_environment
from debug_mcp.errors import DebugMcpError
from debug_mcp.runner.interpreter import Interpreter, find_interpreter, make_scripts
from debug_mcp.runner.login import login_environment
from debug_mcp.runner.toolchains import Toolchains, find_toolchains, with_folders

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Tools:
    """What commands can use: the toolchains, and Python where there is one.

    ``scripts`` is a folder with programs of that Python's packages (``runner.interpreter``).
    """

    toolchains: Toolchains
    interpreter: Interpreter | None = None
    scripts: Path | None = None


class Toolbox:
    """Finds out what there is, each thing once."""

    def __init__(self, settings: Settings, layout: Layout) -> None:
        self._settings = settings
        self._scripts = layout.root / "scripts"
        self._lock = anyio.Lock()  # protects the two below from being found out twice
        self._near: Toolchains | None = None
        self._all: Tools | None = None

    async def near(self) -> Toolchains:
        """Return what is on the server's own PATH: enough for the server's git, and quick."""
        if self._near is None:
            self._near = await self._look(dict(user_environment()))
        return self._near

    async def all(self) -> Tools:
        """Return everything that the person has in a terminal; takes a part of a second, once."""
        async with self._lock:
            if self._all is None:
                self._all = await self._find()
            return self._all

    async def prefetch(self) -> None:
        """Find out before anybody waits for it."""
        try:
            await self.all()
        except (OSError, DebugMcpError):
            _log.warning("the person's tools cannot be found out", exc_info=True)

    async def python(self) -> str | None:
        """Return the version of Python that commands get, such as ``3.11.7``, if there is one."""
        interpreter = (self._all or await self.all()).interpreter
        return None if interpreter is None else interpreter.version

    async def _find(self) -> Tools:
        own = dict(user_environment())
        login = await login_environment(own) if own.get("HOME") else {}
        path = ":".join(part for part in (own.get("PATH"), login.get("PATH")) if part)
        known = {**login, **own, "PATH": path}
        toolchains = await self._look(known)
        interpreter = await find_interpreter(toolchains.path, known)
        if interpreter is None:
            return Tools(toolchains)
        scripts = await anyio.to_thread.run_sync(make_scripts, interpreter, self._scripts)
        folders = (*interpreter.folders, interpreter.executable.parent)
        return Tools(with_folders(toolchains, folders, _home(own)), interpreter, scripts)

    async def _look(self, environment: dict[str, str]) -> Toolchains:
        return await anyio.to_thread.run_sync(
            find_toolchains,
            environment.get("PATH", ""),
            _home(environment),
            [folder.expanduser() for folder in self._settings.bind],
            environment,
        )


def _home(environment: dict[str, str]) -> Path:
    return Path(environment.get("HOME", "/nonexistent"))
