"""What prepares a session: the set-up of its repository, as the first command of the session.

It waits in the queue, writes output and can be cancelled like any other, and every other command of
the session waits for it. A session whose set-up failed can still be worked in.
"""

from debug_mcp.auth.principal import Principal
from debug_mcp.config import Settings
from debug_mcp.errors import NextCall
from debug_mcp.models.base import now
from debug_mcp.models.commands import Command, CommandKind, CommandRun, CommandState, Outcome
from debug_mcp.models.repositories import Repository, setup_script
from debug_mcp.models.sessions import SessionState, SessionView, SetupView, WorkSession
from debug_mcp.service.network import NetworkRules
from debug_mcp.service.scheduler import Scheduler
from debug_mcp.service.variables import together
from debug_mcp.store.commands import Commands
from debug_mcp.store.idempotency import Request
from debug_mcp.store.repositories import Repositories

TIMEOUT_SECONDS = 3600  # building everything may take long; a caller can cancel it


class Setup:
    """Begins the set-up of sessions, and tells what became of it."""

    def __init__(
        self,
        commands: Commands,
        repositories: Repositories,
        scheduler: Scheduler,
        settings: Settings,
    ) -> None:
        self._commands = commands
        self._repositories = repositories
        self._scheduler = scheduler
        self._settings = settings

    async def begin(
        self, principal: Principal, session: WorkSession, repository: Repository
    ) -> None:
        """Put the set-up into the session's queue, unless it was there before."""
        if not repository.setup:
            return
        request = CommandRun(
            session_id=session.id,
            command=setup_script(repository.setup),
            env=together(repository.env, session.env),
            timeout_seconds=TIMEOUT_SECONDS,
            network=NetworkRules(self._settings.network).decide_for_setup(principal),
        )
        command = Command(
            id="",
            session_id=session.id,
            principal=principal.name,
            state=CommandState.QUEUED,
            request=request,
            accepted_at=now(),
            kind=CommandKind.SETUP,
        )
        once = Request(principal.name, "setup", session.id, digest="")
        await self._commands.accept(command, once, self._settings.queued_commands)
        self._scheduler.wake()

    async def make_up(self, principal: Principal, session: WorkSession) -> None:
        """Begin a set-up that a server did not live to begin; not where commands ran already."""
        known = await self._commands.has_any(session.id, session.principal)
        if session.state is SessionState.READY and not known:
            repository = await self._repositories.get(session.repository_id)
            await self.begin(principal, session, repository)

    async def told(self, view: SessionView, wait_seconds: float = 0) -> SessionView:
        """Return a session's view with what became of its set-up, after waiting for that."""
        command = await self._commands.setup_of(view.session_id)
        if command is None:
            return view
        command = await self._scheduler.wait(command, wait_seconds)
        setup = SetupView(outcome=command.outcome, command_id=command.id)
        hint, call = _advice(command)
        hints = "; ".join(said for said in (hint, view.hint) if said)
        return view.model_copy(
            update={"setup": setup, "hint": hints or None, "next": call or view.next}
        )


def _advice(command: Command) -> tuple[str | None, NextCall | None]:
    """Return a hint, and the call that shows more."""
    if command.state is not CommandState.FINISHED:
        waiting: NextCall = {"tool": "command_wait", "arguments": {"command_id": command.id}}
        return "set-up goes on; other commands of the session wait for it", waiting
    if command.outcome is Outcome.SUCCEEDED:
        return None, None
    reading: NextCall = {"tool": "command_output", "arguments": {"command_id": command.id}}
    return "set-up did not succeed; its output says why. The session can be used", reading
