"""As whom git goes to an upstream: the person, or the server on behalf of somebody else."""

from dataclasses import replace

from debug_mcp.auth.principal import LOCAL, Principal
from debug_mcp.config import Settings, config_file, user_environment
from debug_mcp.errors import InvalidInput, ToolFailed
from debug_mcp.models.sessions import Isolation
from debug_mcp.runner.capture import Captured, capture
from debug_mcp.runner.sandbox import Confined
from debug_mcp.service.confinement import Confinement
from debug_mcp.service.destinations import Destinations, resolved
from debug_mcp.service.limits import memory_limit
from debug_mcp.worktrees.connections import Connection, as_service, as_user
from debug_mcp.worktrees.git import GitCall, Run
from debug_mcp.worktrees.upstreams import Upstream

# As git's own exit code when it cannot go where it was sent.
_NOT_RUN = 128


class Connections:
    """Chooses the profile by who asks."""

    def __init__(self, settings: Settings, confinement: Confinement) -> None:
        self._settings = settings
        self._confinement = confinement
        self._destinations = Destinations(settings, confinement.host_git, resolved)

    async def to(self, upstream: Upstream, principal: Principal) -> Connection:
        """Return how git goes to an upstream for a principal, or with its ``fault`` why it may not.

        A mirror that is there can be used all the same.
        """
        inherited = user_environment()
        if principal.name == LOCAL.name:
            theirs = None if upstream.is_local else await self._ssh_command()
            return as_user(upstream, inherited, theirs)
        entry = self._settings.credentials.get(upstream.host or "")
        path, config = inherited.get("PATH", ""), config_file()
        try:
            known = () if upstream.is_local else await self._destinations.addresses(upstream)
        except (InvalidInput, ToolFailed) as error:
            return replace(as_service(upstream, path, config, entry), fault=error)
        return as_service(upstream, path, config, entry, known)

    def run(self, connection: Connection, file_bytes: int | None = None) -> Run:
        """Return git with a connection's environment; it writes files of so many bytes at most."""

        async def run(call: GitCall) -> Captured:
            try:
                program = confined(connection, tuple(call.command))
            except (InvalidInput, ToolFailed) as error:
                return Captured(_NOT_RUN, b"", error.message.encode())
            return await capture(
                program,
                call.stdin,
                timeout=self._settings.fetch_seconds,
                memory=memory_limit(self._settings),
                file_bytes=file_bytes,
            )

        return run

    async def _ssh_command(self) -> str | None:
        found = await self._confinement.host_git(GitCall(("config", "--get", "core.sshCommand")))
        return found.output.decode("utf-8", "replace").strip() or None


def confined(connection: Connection, command: tuple[str, ...]) -> Confined:
    """Return git ready to start with a connection's environment, outside of any sandbox.

    Raises:
        InvalidInput, ToolFailed: It may not go there.
    """
    if connection.fault is not None:
        raise connection.fault
    return Confined("git", command, dict(connection.environment), "/", Isolation.NONE)
