"""What prepares a session: the set-up of its repository.

Plain commands run as the first command of each session. An environment is built by the first
session that needs it, in a place apart, and shared by all that need the same. Either way it is a
command that waits in the queue, writes output and can be cancelled like any other, and the commands
of a session wait for it. A session whose set-up failed can still be worked in.
"""

import logging
from collections.abc import Mapping

import anyio

from debug_mcp.auth.principal import LOCAL, Principal
from debug_mcp.config import Settings
from debug_mcp.errors import DebugMcpError, NextCall
from debug_mcp.models.base import now
from debug_mcp.models.commands import Command, CommandKind, CommandRun, CommandState, Outcome
from debug_mcp.models.environments import Environment, EnvironmentState, Recipe, setup_script
from debug_mcp.models.repositories import Repository
from debug_mcp.models.sessions import SessionState, SessionView, SetupView, WorkSession
from debug_mcp.service.environments import EnvironmentService
from debug_mcp.service.network import NetworkRules
from debug_mcp.service.scheduler import Scheduler
from debug_mcp.service.variables import together
from debug_mcp.store.commands import Commands
from debug_mcp.store.environments import Asked, Environments, waiting
from debug_mcp.store.idempotency import Request
from debug_mcp.store.repositories import Repositories
from debug_mcp.store.sessions import Sessions

TIMEOUT_SECONDS = 3600  # building everything may take long; a caller can cancel it
# Between one build that was given up and the next, nothing rings.
_LOOK_SECONDS = 0.1
_UNFINISHED = (EnvironmentState.WAITING, EnvironmentState.BUILDING)
_log = logging.getLogger(__name__)


class Setup:
    """Begins the set-up of sessions, and tells what became of it."""

    def __init__(
        self,
        commands: Commands,
        sessions: Sessions,
        repositories: Repositories,
        environments: Environments,
        places: EnvironmentService,
        scheduler: Scheduler,
        settings: Settings,
    ) -> None:
        self._commands = commands
        self._sessions = sessions
        self._repositories = repositories
        self._environments = environments
        self._places = places
        self._scheduler = scheduler
        self._settings = settings

    async def begin(
        self, principal: Principal, session: WorkSession, repository: Repository
    ) -> None:
        """Give a session its environment, or put its set-up into its queue, unless it was there."""
        if isinstance(repository.setup, Recipe):
            await self._join(principal, session, repository, repository.setup)
        elif repository.setup:
            variables = together(repository.env, session.env)
            command = self._command(principal, session, repository.setup, variables)
            once = Request(principal.name, "setup", session.id, digest="")
            await self._commands.accept(command, once, self._settings.queued_commands)
            self._scheduler.wake()

    async def make_up(self, principal: Principal, session: WorkSession) -> None:
        """Begin a set-up that a server did not live to begin; not where commands ran already."""
        known = session.environment or await self._commands.has_any(session.id, session.principal)
        if session.state is SessionState.READY and not known:
            repository = await self._repositories.get(session.repository_id)
            await self.begin(principal, session, repository)

    async def hand_on(self) -> None:
        """Have other sessions build what those that were to build it did not."""
        for session_id in await self._environments.left():
            session = await self._sessions.get(session_id)
            repository = await self._repositories.get(session.repository_id)
            # What the token of another allows is not known here: no network then.
            mine = session.principal == LOCAL.name
            principal = LOCAL if mine else Principal(session.principal, frozenset())
            try:
                if not isinstance(repository.setup, Recipe):  # any more
                    await self._environments.leave(session.id)
                await self.begin(principal, session, repository)
            except (DebugMcpError, OSError):
                _log.warning("%s cannot build its environment", session_id, exc_info=True)

    async def _join(
        self, principal: Principal, session: WorkSession, repository: Repository, recipe: Recipe
    ) -> None:
        """Give a session the environment that its tree asks for; build it if nobody else does."""
        wanted = await self._places.identify(session, repository, recipe)
        environment = waiting(wanted, repository.id, tuple(recipe.outputs))
        there = self._places.is_there(wanted)
        joined = await self._environments.join(session.id, environment, there=there)
        if joined is None:
            # By what is put aside: a file of the tree may have changed in between.
            wanted = await self._places.stage(session, repository, recipe)
            environment = waiting(wanted, repository.id, tuple(recipe.outputs))
            command = self._command(principal, session, tuple(recipe.run), repository.env)
            joined = await self._environments.join(
                session.id,
                environment,
                command,
                # However many commands wait in the session: they wait for this one.
                self._settings.queued_commands + 1,
                there=self._places.is_there(wanted),
            )
        if joined is not None and joined.state is EnvironmentState.READY:
            await self._outfit(session, joined)
        self._scheduler.wake()

    async def _outfit(self, session: WorkSession, environment: Environment) -> None:
        """Give a tree its outputs; where that fails, its next command tries again and says why."""
        try:
            await self._places.outfit(session, environment)
        except OSError:
            _log.warning("%s has not got its outputs", session.id, exc_info=True)

    def _command(
        self,
        principal: Principal,
        session: WorkSession,
        steps: tuple[str, ...],
        variables: Mapping[str, str],
    ) -> Command:
        request = CommandRun(
            session_id=session.id,
            command=setup_script(steps),
            env=dict(variables),
            timeout_seconds=TIMEOUT_SECONDS,
            network=NetworkRules(self._settings.network).decide_for_setup(principal),
        )
        return Command(
            id="",
            session_id=session.id,
            principal=principal.name,
            state=CommandState.QUEUED,
            request=request,
            accepted_at=now(),
            kind=CommandKind.SETUP,
        )

    async def told(self, view: SessionView, wait_seconds: float = 0) -> SessionView:
        """Return a session's view with what became of its set-up, after waiting for that."""
        asked = await self._environments.of_session(view.session_id)
        if asked is not None:
            asked = await self._awaited(asked, view.session_id, wait_seconds)
            if asked.environment.state is EnvironmentState.READY:
                session = await self._sessions.get(view.session_id)
                await self._outfit(session, asked.environment)
        command = await self._commands.setup_of(view.session_id)
        if asked is None and command is None:
            return view
        if asked is None and command is not None:
            command = await self._scheduler.wait(command, wait_seconds)
        setup, hint, call = await self._said(view.session_id, asked, command)
        hints = "; ".join(said for said in (hint, view.hint) if said)
        return view.model_copy(
            update={"setup": setup, "hint": hints or None, "next": call or view.next}
        )

    async def of(self, session: WorkSession) -> SetupView | None:
        """Return what became of a session's set-up until now; None when it has none."""
        asked = await self._environments.of_session(session.id)
        command = await self._commands.setup_of(session.id)
        if asked is None and command is None:
            return None
        setup, _, _ = await self._said(session.id, asked, command)
        return setup

    async def _awaited(self, asked: Asked, session_id: str, seconds: float) -> Asked:
        """Return a session's environment once it is built or failed, or as it is after a time."""
        with anyio.move_on_after(seconds):
            while asked.environment.state in _UNFINISHED:
                command_id = asked.environment.command_id
                if asked.environment.state is EnvironmentState.BUILDING and command_id:
                    await self._scheduler.wait(await self._commands.get(command_id), seconds)
                asked = await self._environments.of_session(session_id) or asked
                if asked.environment.state in _UNFINISHED:
                    # Another builds it now, or the end cannot be stored yet.
                    await anyio.sleep(_LOOK_SECONDS)
        return await self._environments.of_session(session_id) or asked

    async def _said(
        self, session_id: str, asked: Asked | None, command: Command | None
    ) -> tuple[SetupView, str | None, NextCall | None]:
        """Return what is told of a set-up: the facts, a hint, and the call that shows more."""
        environment = None if asked is None else asked.environment
        outcome = None if command is None else command.outcome
        if environment is not None and environment.state is EnvironmentState.READY:
            outcome = Outcome.SUCCEEDED  # also when the ledger has forgotten its command
        elif environment is not None and environment.state in _UNFINISHED:
            outcome = None
        elif environment is not None and outcome is None:
            outcome = Outcome.FAILED
        mine = command
        if command is not None and asked is not None:
            session = await self._sessions.get(session_id)
            mine = command if asked.builder == session.principal else None
        setup = SetupView(
            outcome=outcome,
            command_id=None if mine is None else mine.id,
            environment=None if environment is None else environment.id,
        )
        if outcome is Outcome.SUCCEEDED:
            return setup, None, None
        if outcome is None:
            hint = "set-up goes on; other commands of the session wait for it"
            return setup, hint, _call("command_wait", mine) or {
                "tool": "session_get", "arguments": {"session_id": session_id},
            }  # fmt: skip
        why = None if mine is None else mine.message
        hint = f"set-up did not succeed; {why or 'its output says why'}. The session can be used"
        return setup, hint, _call("command_output", mine)


def _call(tool: str, command: Command | None) -> NextCall | None:
    return None if command is None else {"tool": tool, "arguments": {"command_id": command.id}}
