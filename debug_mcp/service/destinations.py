"""Where git goes on behalf of principals over HTTP: to public addresses, and what is allowed.

A name is resolved once. Git is handed the addresses that were looked at, so it cannot come out
elsewhere because the name has moved meanwhile.
"""

import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable

import anyio

from debug_mcp.config import Settings
from debug_mcp.errors import InvalidInput, ToolFailed
from debug_mcp.worktrees.addresses import Address, is_allowed, is_public, literal
from debug_mcp.worktrees.connections import SERVICE_SCHEMES
from debug_mcp.worktrees.git import GitCall, Run
from debug_mcp.worktrees.upstreams import Upstream

Addresses = tuple[Address, ...]

RESOLVE_SECONDS = 10
# The first that can be told which address a name has (http.curloptResolve).
_PINS = (2, 37)


class Destinations:
    """Decides where git may go for whom the server lends its network."""

    def __init__(
        self, settings: Settings, run: Run, resolve: Callable[[str], Awaitable[Addresses]]
    ) -> None:
        """Decide by the settings.

        Args:
            settings: Which hosts and networks are allowed.
            run: The host's git, which is asked for its version.
            resolve: Returns the addresses of a name, as ``resolved`` does.
        """
        self._allowed = settings.allowed_upstreams
        self._trusted = {name.lower() for name in self._allowed if isinstance(name, str)}
        self._trusted |= {host.lower() for host in settings.credentials}
        self._run = run
        self._resolve = resolve
        self._version: tuple[int, ...] | None = None

    async def addresses(self, upstream: Upstream) -> Addresses:
        """Return the addresses of a remote upstream that git may use; none for one that is written.

        Raises:
            InvalidInput: It may not go there; the message names what the operator can do.
            ToolFailed: The name has no address now, or this git cannot be held to one.
        """
        host = upstream.host or ""
        if upstream.scheme not in SERVICE_SCHEMES:
            raise InvalidInput(
                f"{upstream.scheme}:// tells nobody who answers, so anybody on the way could "
                "change the code; use https:// or ssh://",
                field="url",
            )
        try:
            written = literal(host)
        except ValueError as error:
            raise InvalidInput(f"{host!r} is not clear as a host: {error}", field="url") from error
        found = (written,) if written is not None else await self._resolve(host)
        if host not in self._trusted and not all(map(self._may_be_reached, found)):
            raise InvalidInput(
                f"{host} is an address of the server's own network, or one that is not public; the "
                f"operator allows it with allowed_upstreams in config.toml, which names hosts and "
                f'networks ("{host}", "10.0.0.0/8"), or with [credentials."{host}"]',
                field="url",
            )
        if written is not None:
            return ()
        if upstream.scheme == "https":
            await self._check_git(host)
        return found

    def _may_be_reached(self, address: Address) -> bool:
        return is_public(address) or is_allowed(address, self._allowed)

    async def _check_git(self, host: str) -> None:
        if self._version is None:
            said = (await self._run(GitCall(("version",)))).output.decode("utf-8", "replace")
            self._version = tuple(map(int, re.findall(r"\d+", said)[:2]))
        if self._version < _PINS and host not in self._trusted:
            raise ToolFailed(
                f"the server's git is older than {'.'.join(map(str, _PINS))} and could be led from "
                f"{host} to another address; the operator installs a newer one, or names {host} in "
                "allowed_upstreams in config.toml"
            )


async def resolved(host: str) -> Addresses:
    """Return the addresses that a name has now.

    Raises:
        ToolFailed: It has none, or nobody says so in time.
    """
    try:
        with anyio.fail_after(RESOLVE_SECONDS):
            found = await anyio.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except TimeoutError:
        raise ToolFailed(
            f"the host {host} cannot be found: no answer in {RESOLVE_SECONDS} s"
        ) from None
    except (OSError, UnicodeError) as error:
        raise ToolFailed(f"the host {host} cannot be found: {error}") from error
    names = dict.fromkeys(str(address[0]).partition("%")[0] for *_, address in found)
    return tuple(map(ipaddress.ip_address, names))
