"""Built environments on disk: what one is made of, where it is built, and how sessions get it.

``environments/<id>/`` holds ``env`` (what commands see as ``/env``), ``outputs`` (what each tree
gets a copy of) and, while it is built, ``work``: a tree with the named files alone, a home and a
temporary folder. So everything that a build can depend on is in the digest, and no session can put
something else into what another one gets. Nothing that a build writes is there for the next build,
a package cache neither.
"""

import hashlib
import json
import platform
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import anyio

from debug_mcp.config import Layout
from debug_mcp.errors import ToolFailed
from debug_mcp.folders import delete_tree
from debug_mcp.models.commands import Command, CommandKind, Outcome
from debug_mcp.models.environments import Environment, EnvironmentState, Recipe
from debug_mcp.models.repositories import Repository
from debug_mcp.models.sessions import WorkSession
from debug_mcp.runner import built
from debug_mcp.runner.interpreter import fill
from debug_mcp.runner.sandbox import Folders
from debug_mcp.service.confinement import Confinement, Room
from debug_mcp.service.environment_keeping import EnvironmentKeeping
from debug_mcp.service.toolchains import Tools
from debug_mcp.store.commands import End
from debug_mcp.store.environments import Environments
from debug_mcp.store.sessions import Sessions
from debug_mcp.worktrees import named

_FORMAT = 1  # another one makes every environment anew
# Programs whose change makes another environment; a package manager or a compiler.
_PROGRAMS = (
    "python3", "uv", "poetry", "node", "npm", "pnpm", "yarn", "bun", "deno", "ruby", "bundle", "go",
    "cargo", "rustc", "java", "mvn", "gradle", "php", "composer", "dotnet", "gcc", "clang", "cmake",
    "make",
)  # fmt: skip


class EnvironmentService:
    """Finds, fills, seals and removes the folders of environments."""

    def __init__(
        self,
        store: Environments,
        sessions: Sessions,
        confinement: Confinement,
        keeping: EnvironmentKeeping,
        layout: Layout,
    ) -> None:
        self._store = store
        self._sessions = sessions
        self._confinement = confinement
        self._keeping = keeping
        self._layout = layout

    def folder(self, environment_id: str) -> Path:
        """Return where an environment is on the host."""
        return self._layout.environments / environment_id

    def is_there(self, environment_id: str) -> bool:
        """Return whether an environment's files are there, whole or not."""
        return (self.folder(environment_id) / "env").is_dir()

    async def identify(self, session: WorkSession, repository: Repository, recipe: Recipe) -> str:
        """Return the id of the environment that a session's tree asks for, as it is now."""
        tree = self._confinement.folders(session).tree
        return await self._identify(session, repository, recipe, tree)

    async def stage(self, session: WorkSession, repository: Repository, recipe: Recipe) -> str:
        """Put aside what a build sees of a session's tree; return the environment's id by that."""
        tree, staged = self._confinement.folders(session).tree, self._staged(session)

        def copy() -> None:
            delete_tree(staged)
            named.copy_out(tree, recipe.locks, staged)

        await anyio.to_thread.run_sync(copy)
        return await self._identify(session, repository, recipe, staged)

    async def room(self, session: WorkSession, command: Command) -> Room | None:
        """Return what a command has of its session's environment, or where it builds that."""
        if session.environment is None:
            return None
        folder = self.folder(session.environment)
        if command.kind is CommandKind.SETUP:
            tools = await self._confinement.tools()
            await anyio.to_thread.run_sync(self._begin, session, folder, tools)
            work = folder / "work"
            objects = self._confinement.folders(session).objects
            return Room(
                folder / "env", Folders(work / "tree", work / "home", work / "tmp", objects)
            )
        environment = await self._store.get(session.environment)
        if environment is None or environment.state is not EnvironmentState.READY:
            return None
        await self.outfit(session, environment)
        return Room(folder / "env")

    async def outfit(self, session: WorkSession, environment: Environment) -> None:
        """Give a session's tree its copy of an environment's outputs, once."""
        noted = self._layout.sessions / session.id / "outfitted"
        if not environment.outputs or noted.exists():
            return
        tree = self._confinement.folders(session).tree
        source = self.folder(environment.id) / "outputs"

        def copy() -> None:
            named.put_in(source, environment.outputs, tree, noted.parent)
            noted.touch()

        await anyio.to_thread.run_sync(copy)

    async def built_by(self, command: Command) -> Environment | None:
        """Return the environment that a command builds, or None when it builds none."""
        return await self._store.built_by(command.id)

    async def at_end(self, environment: Environment, command: Command, end: End) -> End:
        """Make what a command built ready for others, or remove it; return the command's end."""
        folder = self.folder(environment.id)
        if end.outcome is Outcome.SUCCEEDED:
            session = await self._sessions.get(command.session_id)
            seen = (await self._confinement.sandbox(session)).seen(Room(folder / "env").bind)
            try:
                size = await anyio.to_thread.run_sync(_seal, folder, environment.outputs, seen)
            except ToolFailed as error:
                end = replace(end, outcome=Outcome.FAILED, message=error.message)
            else:
                await self._store.sealed(environment.id, size)
                await self._keeping.collect()
                return end
        await anyio.to_thread.run_sync(delete_tree, folder)
        return end

    async def _identify(
        self, session: WorkSession, repository: Repository, recipe: Recipe, tree: Path
    ) -> str:
        tools = await self._confinement.tools()

        def digest() -> str:
            inputs = {
                "format": _FORMAT,
                "repository": repository.id,
                "recipe": recipe.model_dump(),
                "files": named.contents(tree, recipe.locks),
                "variables": sorted(repository.env.items()),
                "isolation": session.isolation,
                "machine": [sys.platform, platform.machine(), *platform.libc_ver()],
                "tools": _tools(tools),
            }
            return hashlib.sha256(json.dumps(inputs).encode()).hexdigest()

        return f"e_{(await anyio.to_thread.run_sync(digest))[:32]}"

    def _staged(self, session: WorkSession) -> Path:
        return self._layout.sessions / session.id / "locks"

    def _begin(self, session: WorkSession, folder: Path, tools: Tools) -> None:
        """Lay out a build; what one before left is removed."""
        delete_tree(folder)
        for name in ("env/bin", "outputs", "work/home", "work/tmp"):
            (folder / name).mkdir(mode=0o700, parents=True)
        shutil.copytree(self._staged(session), folder / "work/tree")
        if tools.interpreter is not None:
            (folder / "env/bin").rmdir()
            fill(folder / "env", tools.interpreter)


def _seal(folder: Path, outputs: tuple[str, ...], seen: str) -> int:
    """Finish what was built; return its bytes on disk.

    Raises:
        ToolFailed: An output is missing.
    """
    missing = named.take_out(folder / "work/tree", outputs, folder / "outputs")
    if missing is not None:
        raise ToolFailed(f"it made no {missing}, which is among the outputs")
    built.free_scripts(folder / "env", seen)
    delete_tree(folder / "work")
    return built.seal(folder / "env") + built.seal(folder / "outputs")


def _tools(tools: Tools) -> list[object]:
    """Return what tells one set of tools from another, without starting any."""
    found: list[object] = [tools.toolchains.path]
    for name in _PROGRAMS:
        program = shutil.which(name, path=tools.toolchains.path)
        if program is not None:
            real = Path(program).resolve()
            said = real.stat()
            found.append((name, str(real), said.st_size, said.st_mtime_ns))
    if tools.interpreter is not None:
        found += [tools.interpreter.version, str(tools.interpreter.executable)]
        found += [_installed(site) for site in tools.interpreter.sites]
    return found


def _installed(site: Path) -> list[str]:
    """Return which packages are installed in a folder, with their versions."""
    if not site.is_dir():
        return []
    endings = (".dist-info", ".egg-info", ".egg-link")
    return sorted(entry.name for entry in site.iterdir() if entry.name.endswith(endings))
