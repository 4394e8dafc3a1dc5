"""What stands around a session's programs: found out once, when the first session needs it."""

import dataclasses
from pathlib import Path

import anyio
from anyio.abc import TaskGroup

from debug_mcp.auth.principal import Principal
from debug_mcp.config import Layout, Settings, user_environment
from debug_mcp.errors import DebugMcpError, ToolFailed, Unavailable
from debug_mcp.models.commands import Command
from debug_mcp.models.environments import BUILT
from debug_mcp.models.network import NetworkPolicy
from debug_mcp.models.sessions import Isolation, WorkSession
from debug_mcp.runner.boundary import Boundary, choose_boundary
from debug_mcp.runner.capture import Captured, capture
from debug_mcp.runner.environment import TERMINAL, command_environment, network_environment
from debug_mcp.runner.interpreter import make_environment
from debug_mcp.runner.network import enter_network
from debug_mcp.runner.sandbox import Bind, Confined, Folders, Sandbox
from debug_mcp.runner.toolchains import Toolchains
from debug_mcp.service.launches import AdapterProgram
from debug_mcp.service.limits import memory_limit
from debug_mcp.service.network import NetworkRules
from debug_mcp.service.reports import make_folder, reporting
from debug_mcp.service.scripts import SCRIPT, write_script
from debug_mcp.service.surroundings import Surroundings
from debug_mcp.service.toolchains import Toolbox, Tools
from debug_mcp.worktrees import checkouts, git
from debug_mcp.worktrees.git import GitCall, Run

CLONE_SECONDS = 600
# Git on a session's own tree: large files take their time.
WORK_SECONDS = 300
# Looking at the person's tools takes a part of a second, once.
PYTHON_SECONDS = 2
_YIELDING = ("nice", "-n", "10")


@dataclasses.dataclass(frozen=True, slots=True)
class Room:
    """A built environment that a command sees; ``building``: the folders of what builds it."""

    environment: Path
    building: Folders | None = None

    @property
    def bind(self) -> Bind:
        """Where the command sees it; only what builds it may write to it."""
        return Bind(self.environment, BUILT, writable=self.building is not None)


class Confinement:
    """Chooses the sandbox of each session, and runs git inside and outside of it."""

    def __init__(self, settings: Settings, layout: Layout, tasks: TaskGroup) -> None:
        self._settings = settings
        self._layout = layout
        self._tasks = tasks
        self._toolbox = Toolbox(settings, layout)
        # A few bytes that a session made can be an object of gigabytes.
        self._memory = memory_limit(settings)
        self._lock = anyio.Lock()  # protects the boundary from being found out twice
        self._boundary: Boundary | None = None
        self._furnished: set[str] = set()  # sessions; only to save a look at the disk

    async def boundary(self) -> Boundary:
        """Return the best level that works on this machine.

        Raises:
            Unavailable: The settings require a level that does not work.
        """
        async with self._lock:
            if self._boundary is None:
                self._tasks.start_soon(self._toolbox.prefetch)  # the first command is not far
                self._boundary = await anyio.to_thread.run_sync(
                    choose_boundary, self._settings.isolation
                )
            return self._boundary

    async def sandbox(self, session: WorkSession, toolchains: Toolchains | None = None) -> Sandbox:
        """Return the sandbox at the level with which the session was opened.

        Without ``toolchains`` it has those on the server's own PATH.

        Raises:
            Unavailable: That level does not work any more; there is no silent step down.
        """
        boundary = await self.boundary()
        if session.isolation is Isolation.NONE:
            boundary = Boundary(Isolation.NONE)
        elif session.isolation is Isolation.LANDLOCK and boundary.bwrap is not None:
            boundary = Boundary(Isolation.LANDLOCK)  # its programs know the real paths
        elif boundary.isolation is not session.isolation:
            raise Unavailable(
                f"session {session.id} was opened in a {session.isolation} sandbox, which does not "
                f"work now: {boundary.why}"
            )
        return Sandbox(boundary, toolchains or await self._toolbox.near(), self._layout.root)

    def shares_network(self, principal: Principal, session: WorkSession) -> bool:
        """Return whether all of a principal's commands there have the host's network, unasked."""
        policy = NetworkRules(self._settings.network).policy(principal)
        return session.isolation is Isolation.NONE or policy is NetworkPolicy.ON

    async def python(self) -> str | None:
        """Return the version of Python that commands get; None when it is not soon known."""
        try:
            with anyio.move_on_after(PYTHON_SECONDS):
                return await self._toolbox.python()
        except (OSError, DebugMcpError):
            pass  # said where a command needs it
        return None

    async def tools(self) -> Tools:
        """Return everything that commands can use."""
        return await self._toolbox.all()

    def folders(self, session: WorkSession) -> Folders:
        """Return where a session's folders are on the host."""
        root = self._layout.sessions / session.id
        mirror = self._layout.repositories / session.repository_id
        return Folders(root / "tree", root / "home", root / "tmp", mirror / "objects")

    async def surroundings(self, session_id: str) -> Surroundings:
        """Return what stands around the commands of a session."""
        tools = await self._toolbox.all()
        root = self._layout.sessions / session_id
        scripts = [] if tools.scripts is None else [tools.scripts]
        path = [Path(folder) for folder in tools.toolchains.path.split(":") if folder]
        return Surroundings(root / "tree", root / "home", (*scripts, *path), scripts=tools.scripts)

    async def program(
        self,
        session: WorkSession,
        command: Command,
        directory: Path,
        adapter: AdapterProgram | None = None,
        room: Room | None = None,
    ) -> Confined:
        """Return what to start so that a command runs in its session.

        Args:
            session: The session.
            command: The command.
            directory: Where the command's files are kept; its test results too.
            adapter: The debugger that is started in the program's place, and starts it.
            room: The built environment that it sees, or builds.

        Raises:
            ToolFailed: The session's network cannot be made.
            Unavailable: The session's sandbox does not work any more.
        """
        tools = await self._toolbox.all()
        sandbox = await self.sandbox(session, tools.toolchains)
        building = None if room is None else room.building
        folders = building or self.folders(session)
        if building is None:
            await self._furnish(session, tools, sandbox)
        request = command.request
        environment, certificates = self._environment(folders, command, sandbox, tools, room)
        binds: tuple[Bind, ...] = () if room is None else (room.bind,)
        if request.report:
            reports, plugin = make_folder(directory)
            seen = sandbox.seen(reports), sandbox.seen(plugin), sandbox.workspace(folders)
            environment = reporting(*seen, environment)
            binds = (*binds, reports, plugin)
        asked = request.command
        if adapter is not None:
            asked, binds = list(adapter.arguments), (*binds, *adapter.binds)
        if isinstance(asked, str):
            script = write_script(directory, asked)
            binds = binds if script is None else (*binds, script)
            text = ["-c", asked] if script is None else [f"{sandbox.seen(script)}/{SCRIPT}"]
            asked = [tools.toolchains.shell, *text]
        apart = request.network or building is not None
        entering = () if apart else await self._entering(session, sandbox.boundary)
        return sandbox.confine(
            folders,
            asked,
            environment=environment,
            cwd=request.cwd,
            network=request.network,
            entering=entering,
            readable=certificates,
            scripts=tools.scripts,
            binds=binds,
            terminal=request.tty,
        )

    def _environment(
        self,
        folders: Folders,
        command: Command,
        sandbox: Sandbox,
        tools: Tools,
        room: Room | None,
    ) -> tuple[dict[str, str], tuple[Path, ...]]:
        """Return the variables of a command, and what it must be able to read for them."""
        request = command.request
        inherited = user_environment() if request.network else {}
        passed, certificates = network_environment(inherited, self._settings.pass_variables)
        environment = command_environment(
            home=sandbox.home(folders),
            temporary=sandbox.temporary(folders),
            path=tools.toolchains.path,
            scripts=sandbox.scripts(tools.scripts),
            session_id=command.session_id,
            command_id=command.id,
            shared=None if room is None else sandbox.seen(room.bind),
            building=room is not None and room.building is not None,
            extra={
                **tools.toolchains.variables,
                **passed,
                **(TERMINAL if request.tty else {}),
                **request.env,
            },
        )
        return environment, certificates

    async def _furnish(self, session: WorkSession, tools: Tools, sandbox: Sandbox) -> None:
        """Give a session's home what it has from its first command on.

        Its Python looks for the session's built environment also where that is not there yet.
        """
        if tools.interpreter is None:
            return
        home, shared = self.folders(session).home, None
        if session.environment is not None:
            place = self._layout.environments / session.environment / "env"
            shared = sandbox.seen(Bind(place, BUILT))
        await anyio.to_thread.run_sync(
            make_environment, tools.interpreter, home.parent, home, shared
        )

    async def _entering(self, session: WorkSession, boundary: Boundary) -> tuple[str, ...]:
        """Return what enters the network that all commands of a session share.

        Nothing where each command has its own (see ``Boundary``), or where there is no sandbox.
        """
        if boundary.bwrap is None or boundary.nsenter is None:
            return ()
        folder = self._layout.sessions / session.id / "network"
        return await enter_network(folder, boundary.bwrap, boundary.nsenter)

    def git_in(self, session: WorkSession, tree: Path | None = None) -> Run:
        """Return git at the root of a session's tree, inside its sandbox.

        ``tree``: another one to stand in its place, such as one that is being prepared. Each call
        raises ``ToolFailed`` where git would wait for ever.
        """

        async def run(call: GitCall) -> Captured:
            folders = self.folders(session)
            if tree is not None:
                folders = dataclasses.replace(folders, tree=tree)
            odd = checkouts.oddity(folders.tree)
            if odd is not None:
                raise ToolFailed(f"the session's git directory is damaged: {odd} is no file")
            program = _git_in(await self.sandbox(session), folders, call)
            return await capture(
                program, call.stdin, into=call.into, timeout=WORK_SECONDS, memory=self._memory
            )

        return run

    def git_beside(self, folders: Folders) -> Run:
        """Return git for a tree of no session, sandboxed as one; it yields to other programs."""

        async def run(call: GitCall) -> Captured:
            sandbox = Sandbox(await self.boundary(), await self._toolbox.near(), self._layout.root)
            program = _git_in(sandbox, folders, call)
            arguments = (*_YIELDING, *program.arguments)
            program = dataclasses.replace(program, arguments=arguments)
            return await capture(program, call.stdin, memory=self._memory)

        return run

    async def host_git(self, call: GitCall) -> Captured:
        """Run git for a mirror: outside any sandbox, with the person's own configuration."""
        environment = git.user_environment(user_environment())
        command = call.command
        program = Confined("git", tuple(command), environment, "/", Isolation.NONE)
        return await capture(program, call.stdin, timeout=CLONE_SECONDS, memory=self._memory)

    async def nobodys_git(self, call: GitCall) -> Captured:
        """Run git outside of any sandbox, with nobody's configuration."""
        environment = git.service_environment(user_environment().get("PATH", ""))
        program = Confined("git", tuple(call.command), environment, "/", Isolation.NONE)
        return await capture(program, call.stdin, timeout=CLONE_SECONDS, memory=self._memory)


def _git_in(sandbox: Sandbox, folders: Folders, call: GitCall) -> Confined:
    """Return git at the root of a tree, inside a sandbox."""
    root = sandbox.workspace(folders)
    located = (f"--git-dir={root}/.git", f"--work-tree={root}", *call.arguments)
    return sandbox.confine(
        folders,
        dataclasses.replace(call, arguments=located).command,
        environment={
            **git.sandbox_environment(sandbox.toolchains.path),
            "TMPDIR": sandbox.temporary(folders),
        },
        supervised=False,
    )
