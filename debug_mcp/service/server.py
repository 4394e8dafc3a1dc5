"""What the server says of itself."""

import functools

from debug_mcp import __version__
from debug_mcp.auth.principal import Principal, Scope
from debug_mcp.config import Settings, user_environment
from debug_mcp.debuggers.adapters import ADAPTERS, installed
from debug_mcp.models.server import LimitsView, LoadView, ServerInfo, ServerView
from debug_mcp.service.confinement import Confinement
from debug_mcp.store.commands import Commands
from debug_mcp.store.sessions import Sessions


class ServerService:
    """Answers who this is, how commands are confined, and what is going on."""

    def __init__(
        self,
        commands: Commands,
        sessions: Sessions,
        confinement: Confinement,
        settings: Settings,
    ) -> None:
        self._commands = commands
        self._sessions = sessions
        self._confinement = confinement
        self._settings = settings

    async def info(self, principal: Principal, _args: ServerInfo) -> ServerView:
        """Return version, boundary, limits and load."""
        principal.require(Scope.SESSION_READ)
        boundary = await self._confinement.boundary()
        queued, running = await self._commands.count_unfinished()
        return ServerView(
            name="debug-mcp",
            version=__version__,
            isolation=boundary.isolation,
            isolation_why=boundary.why,
            network="off; network: true on a command shares the host's",
            debuggers=_debuggers(),
            limits=LimitsView(
                running_commands=self._settings.running_commands,
                queued_commands_per_session=self._settings.queued_commands,
                output_bytes=self._settings.output_bytes,
                artifact_bytes=self._settings.artifact_bytes,
            ),
            load=LoadView(
                sessions=await self._sessions.count_open(), queued=queued, running=running
            ),
        )


@functools.cache
def _debuggers() -> tuple[str, ...]:
    """Return the names of the debuggers that are installed."""
    path = user_environment().get("PATH", "")
    return tuple(adapter.name for adapter in ADAPTERS if installed(adapter, path))
