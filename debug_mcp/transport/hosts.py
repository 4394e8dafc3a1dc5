"""Which names the server answers to, and which pages of browsers may ask it.

A page of a stranger can have its own name point to 127.0.0.1, and then reach a server there from
the person's browser (DNS rebinding); the Host and Origin headers give it away.
"""

import ipaddress
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from debug_mcp.errors import DebugMcpError, InvalidInput, PermissionDenied
from debug_mcp.service.origins import coming_from, new_origin
from debug_mcp.transport.accounts import Refusals, address, named
from debug_mcp.transport.refusals import refusal

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_ANY = ("0.0.0.0", "::")  # noqa: S104  # compared with, not bound to


def is_loopback(host: str) -> bool:
    """Return whether a server on this address is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def own_names(host: str) -> frozenset[str]:
    """Return the names under which a server on this address is reached, without ports."""
    names = set(_LOOPBACK) if is_loopback(host) or host in _ANY else {host}
    if host in _ANY:
        names |= {socket.gethostname(), socket.getfqdn()}
    return frozenset(name.lower() for name in names)


class Hosts:
    """Refuses requests for other names (421) and from pages of other origins (403)."""

    def __init__(
        self, app: ASGIApp, names: Iterable[str], origins: Iterable[str], refusals: Refusals
    ) -> None:
        self._app = app
        self._refusals = refusals
        self._names = frozenset(name.lower() for name in names)
        self._origins = frozenset(origin.lower().rstrip("/") for origin in origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what may be asked from there."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if len(hosts) != 1 or not self._is_ours(f"//{hosts[0]}"):
            foreign = InvalidInput(
                f"this server does not answer to Host {', '.join(hosts)!r}; the operator can allow "
                "a name with --allowed-host",
                candidates=sorted(self._names),
            )
            await self._refuse(421, foreign, scope, receive, send)
        elif not all(self._may_ask(origin.lower()) for origin in origins):
            page = PermissionDenied(
                f"pages of {', '.join(origins)!r} may not ask this server; the operator can allow "
                "an origin with --allowed-origin"
            )
            await self._refuse(403, page, scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _refuse(
        self, status: int, error: DebugMcpError, scope: Scope, receive: Receive, send: Send
    ) -> None:
        source = new_origin(address(scope))
        with coming_from(source):
            self._refusals.note(None, error)
            await refusal(status, error)(scope, receive, named(send, source))

    def _may_ask(self, origin: str) -> bool:
        """Return whether an origin is allowed: a page of this server's own is."""
        return origin in self._origins or (
            origin.startswith(("http://", "https://")) and self._is_ours(origin)
        )

    def _is_ours(self, url: str) -> bool:
        try:
            parts = urlsplit(url)
            plain = not (parts.path or parts.query or parts.fragment or "@" in parts.netloc)
            # Reading the port tells whether it is one.
            return plain and parts.hostname in self._names and parts.port != 0
        except ValueError:
            return False
