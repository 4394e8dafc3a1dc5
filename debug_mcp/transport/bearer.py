"""Who makes a request: the bearer token in its header, found out before anything else is read.

Every way in stands behind this one check, on loopback too. It is put together here and not by the
SDK's ``AuthSettings``, which would announce an authorization server that does not exist.
"""

import contextlib
from collections.abc import Collection
from contextvars import ContextVar

import anyio
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from debug_mcp.auth.principal import Principal
from debug_mcp.errors import Busy, Unauthenticated, Unavailable
from debug_mcp.interfaces.documentation import DOCS_PATH, OPENAPI_PATH
from debug_mcp.interfaces.health import READY_PATH
from debug_mcp.interfaces.websocket import SUBPROTOCOL
from debug_mcp.service.origins import coming_from, new_origin
from debug_mcp.service.tokens import Held, TokenService
from debug_mcp.transport.accounts import Refusals, address, named
from debug_mcp.transport.limits import AtOnce, Buckets, rate_of, too_fast
from debug_mcp.transport.refusals import challenge, refusal
from debug_mcp.transport.requests import OpenRequest, OpenRequests

# Why a WebSocket was closed (RFC 6455, section 7.4.1, and its registry at IANA).
POLICY_VIOLATION = 1008
SERVICE_RESTART = 1012

_FAULT = "the token is unknown, expired or revoked"
_PUBLIC = ("/healthz", READY_PATH, OPENAPI_PATH, DOCS_PATH)
_HOW = "send it as the header Authorization: Bearer dmcp_…; make one with debug-mcp token create"

# Set for the task that serves a request, and so for all that it calls; there is no default.
_principal: ContextVar[Principal] = ContextVar("principal")
_one_too_many: ContextVar[Busy | None] = ContextVar("one_too_many")


def calling_principal() -> Principal:
    """Return who makes the request that is being served.

    A message of a legacy session is handled in the context of the request that brought it.

    Raises:
        Busy: The request is beyond a limit, and is answered only to say so.
    """
    busy = _one_too_many.get()
    if busy is not None:
        raise busy
    return _principal.get()


def asking_principal() -> Principal | None:
    """Return who makes the request that is being served; None where that needs no token."""
    return _principal.get(None)


class Bearer:
    """Lets requests with a valid token through, as its principal and within its limits.

    Clients of MCP show nothing of a 429 (the SDK's says "Server returned an error response"). So a
    message of MCP that is beyond a limit passes as one that does nothing: what it calls is told of
    the limit, and answers with an error that the client's model can read. As many are told so as
    the rate allows; beyond twice the rate, there is 429 for all.
    """

    def __init__(
        self,
        app: ASGIApp,
        tokens: TokenService,
        refusals: Refusals,
        requests: OpenRequests,
        failures: Buckets,
        rates: Buckets,
        told: Buckets,
        at_once: AtOnce,
        mcp_path: str,
        open_paths: Collection[str] = (),
    ) -> None:
        self._app = app
        self._tokens = tokens
        self._refusals = refusals
        self._requests = requests
        self._failures = failures
        self._rates = rates
        self._told = told
        self._at_once = at_once
        self._mcp_path = mcp_path
        self._open_paths = open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or say why not: 401 without a valid token, 429 beyond a limit.

        The opening of a WebSocket is refused like a request, with a response instead of the switch.
        """
        if (
            scope["type"] == "lifespan"
            or is_public(scope["path"])
            or scope["path"] in self._open_paths
        ):
            await self._app(scope, receive, send)
            return
        source = new_origin(address(scope))
        with coming_from(source):
            send = named(send, source)
            held = await self._authenticated(scope, receive, send)
            if held is None:
                return
            with contextlib.ExitStack() as counted:
                busy = self._beyond_limits(held.principal, counted)
                if busy is not None:
                    self._refusals.note(held.principal, busy)
                    if not self._can_be_told(held.principal, scope):
                        await refusal(429, busy)(scope, receive, send)
                        return
                await self._serve(held, busy, scope, receive, send)

    def _beyond_limits(self, principal: Principal, counted: contextlib.ExitStack) -> Busy | None:
        """Count a request for its principal, and for its token where that has limits of its own.

        Returns:
            What says that it is one too many; None when it is not, and counts until ``counted``
            is closed.
        """
        token, own = f"token {principal.token_id}", principal.limits
        wait = self._rates.take(principal.name)
        if own.requests_per_second is not None and not wait:
            wait = self._rates.take(token, rate_of(own.requests_per_second))
        if wait:
            return too_fast(wait)
        try:
            counted.enter_context(self._at_once.one(principal.name))
            if own.requests_at_once is not None:
                counted.enter_context(self._at_once.one(token, own.requests_at_once))
        except Busy as busy:
            return busy
        return None

    def _can_be_told(self, principal: Principal, scope: Scope) -> bool:
        """Return whether a request that is beyond a limit may be answered in words of MCP."""
        message = scope["type"] == "http" and scope["method"] == "POST"
        return (
            message
            and scope["path"].removesuffix("/") == self._mcp_path
            and not self._told.take(principal.name)
        )

    async def _authenticated(self, scope: Scope, receive: Receive, send: Send) -> Held | None:
        """Return who asks, or None when that was refused."""
        secret = _secret(scope)
        if secret is None:
            missing = Unauthenticated(f"a token is needed; {_HOW}")
            self._refusals.note(None, missing)
            await refusal(401, missing, headers=challenge())(scope, receive, send)
            return None
        held = await self._tokens.verify(secret)
        if held is not None:
            return held
        # Only the wrong ones are counted: whoever shares an address with a guesser gets in.
        wait = self._failures.take(address(scope))
        self._refusals.note(None, too_fast(wait) if wait else _unknown())
        if wait:
            await refusal(429, too_fast(wait))(scope, receive, send)
        else:
            await _unauthorized(scope, receive, send)
        return None

    async def _serve(
        self, held: Held, busy: Busy | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        # By this the SDK binds a legacy session to the token that opened it.
        scope["user"] = AuthenticatedUser(
            AccessToken(
                token="",
                client_id=held.token_id,
                subject=held.principal.name,
                scopes=sorted(held.principal.scopes),
            )
        )
        accepted = Headers(scope=scope).get("accept", "")
        standing = scope["type"] == "websocket" or (
            scope["method"] == "GET" and "text/event-stream" in accepted
        )
        request = OpenRequest(held.token_id, held.digest, standing)

        async def watched_send(message: Message) -> None:
            request.sending(message)
            await send(message)

        reset, again = _principal.set(held.principal), _one_too_many.set(busy)
        try:
            with self._requests.under_way(request), request.scope:
                await self._app(scope, receive, watched_send)
        finally:
            _principal.reset(reset)
            _one_too_many.reset(again)
        if request.scope.cancelled_caught:
            await _cut_short(request, scope, receive, send)


def _secret(scope: Scope) -> str | None:
    """Return the token that came with a request; None when there is none, or more than one."""
    sent = Headers(scope=scope).getlist("authorization")
    offered = scope.get("subprotocols", [])
    if offered[:1] == [SUBPROTOCOL]:
        # Nobody behind this needs it.
        scope["subprotocols"] = [SUBPROTOCOL]
        return offered[1] if len(offered) == 2 and not sent else None
    scheme, _, secret = sent[0].partition(" ") if len(sent) == 1 else ("", "", "")
    return secret.strip() if scheme.lower() == "bearer" else None


def is_public(path: str) -> bool:
    """Return whether a path needs no token: nothing behind it tells what anybody does here.

    Below ``/.well-known`` is where clients look for an authorization server; 404 says that there is
    none, where 401 would have them ask on.
    """
    return path in _PUBLIC or path.startswith("/.well-known/")


async def _cut_short(request: OpenRequest, scope: Scope, receive: Receive, send: Send) -> None:
    """End a response that the server gave up; what it was about goes on or stays as it is."""
    if request.finished or request.sized:
        return  # of a part that was promised whole, the connection's end is the only right end
    if scope["type"] == "websocket" and request.started:
        code, reason = (
            (POLICY_VIOLATION, "the token is expired or revoked")
            if request.refused
            else (SERVICE_RESTART, "the server is ending; commands go on")
        )
        with anyio.move_on_after(1):  # the client may have stopped to read
            await send({"type": "websocket.close", "code": code, "reason": reason})
    elif request.started:
        with anyio.move_on_after(1):  # the client may have stopped to read
            await send({"type": "http.response.body", "body": b"", "more_body": False})
    elif request.refused:
        await _unauthorized(scope, receive, send)
    else:
        ending = Unavailable(
            "the server is ending; commands go on: ask again with command_wait, or repeat the call "
            "with its idempotency_key",
            retry_after_seconds=5,
        )
        await refusal(503, ending, close=True)(scope, receive, send)


async def _unauthorized(scope: Scope, receive: Receive, send: Send) -> None:
    await refusal(401, _unknown(), headers=challenge(_FAULT))(scope, receive, send)


def _unknown() -> Unauthenticated:
    return Unauthenticated(f"{_FAULT}; {_HOW}")
