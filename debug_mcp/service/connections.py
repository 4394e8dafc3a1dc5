"""As whom git goes to an upstream: the person, or the server on behalf of somebody else."""

import ipaddress

import anyio

from debug_mcp.auth.principal import LOCAL, Principal
from debug_mcp.config import Settings, config_file, user_environment
from debug_mcp.errors import InvalidInput
from debug_mcp.models.sessions import Isolation
from debug_mcp.runner.capture import Captured, capture
from debug_mcp.runner.sandbox import Confined
from debug_mcp.service.confinement import Confinement
from debug_mcp.worktrees.connections import Connection, as_service, as_user
from debug_mcp.worktrees.git import GitCall, Run
from debug_mcp.worktrees.upstreams import Upstream

# A fetch goes on behind the calls that wait for it.
FETCH_SECONDS = 1800


class Connections:
    """Chooses the profile by who asks."""

    def __init__(self, settings: Settings, confinement: Confinement) -> None:
        self._settings = settings
        self._confinement = confinement

    async def to(self, upstream: Upstream, principal: Principal) -> Connection:
        """Return how git goes to an upstream for a principal.

        Raises:
            InvalidInput: It may not: the address is one of this machine's own network.
        """
        inherited = user_environment()
        if principal.name == LOCAL.name:
            theirs = None if upstream.is_local else await self._ssh_command()
            return as_user(upstream, inherited, theirs)
        entry = self._settings.credentials.get(upstream.host or "")
        if entry is None and upstream.host is not None:
            await _check_public(upstream.host)
        return as_service(upstream, inherited.get("PATH", ""), config_file(), entry)

    def run(self, connection: Connection) -> Run:
        """Return git with a connection's environment."""

        async def run(call: GitCall) -> Captured:
            program = confined(connection, tuple(call.command))
            return await capture(program, call.stdin, timeout=FETCH_SECONDS)

        return run

    async def _ssh_command(self) -> str | None:
        found = await self._confinement.host_git(GitCall(("config", "--get", "core.sshCommand")))
        return found.output.decode("utf-8", "replace").strip() or None


def confined(connection: Connection, command: tuple[str, ...]) -> Confined:
    """Return git ready to start with a connection's environment, outside of any sandbox."""
    return Confined("git", command, dict(connection.environment), "/", Isolation.NONE)


async def _check_public(host: str) -> None:
    """Refuse an address that only this machine's network reaches.

    Raises:
        InvalidInput: It is one; the operator allows a host by naming it in ``[credentials]``.
    """
    try:
        found = await anyio.getaddrinfo(host, None)
    except OSError:
        return  # git says so better
    for *_, address in found:
        if not ipaddress.ip_address(str(address[0]).partition("%")[0]).is_global:
            raise InvalidInput(
                f"{host} is an address of the server's own network; the operator allows it with "
                f'[credentials."{host}"] in config.toml',
                field="url",
            )
