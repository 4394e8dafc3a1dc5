"""MCP over streamable HTTP, and REST: one Starlette application, served by uvicorn.

What a request passes, outermost first: the limits of a connection, the Host and Origin check, the
bearer token and its limits, the limits of a body, and then the routes. The SDK's part comes last.
"""

import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

import anyio
import uvicorn
from mcp.server import Server
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from debug_mcp.config import Settings
from debug_mcp.errors import Unavailable
from debug_mcp.interfaces.metrics import METRICS_PATH
from debug_mcp.interfaces.rest import http_problem
from debug_mcp.service.audit import AuditService
from debug_mcp.service.tokens import TokenService
from debug_mcp.transport.accounts import Refusals
from debug_mcp.transport.answered import Answered
from debug_mcp.transport.bearer import Bearer, asking_principal
from debug_mcp.transport.connections import PromptWebSocket, limited
from debug_mcp.transport.hosts import Hosts, own_names
from debug_mcp.transport.limits import AtOnce, BodyLimit, Buckets
from debug_mcp.transport.requests import OpenRequests

MCP_PATH = "/mcp"
# Calls that wait get this long to end by themselves when the server is asked to; streams do not.
GRACE_SECONDS = 2
_HARD_SECONDS = 5
# Of one message to a WebSocket: as much as can be typed at once.
MESSAGE_BYTES = 1 << 20
PING_SECONDS, PONG_SECONDS = 20, 60
_KEEP_ALIVE_SECONDS = 75
_MINUTE = 60


def build_app(
    server: Server[object],
    tokens: TokenService,
    audit: AuditService,
    requests: OpenRequests,
    settings: Settings,
    routes: Sequence[BaseRoute] = (),
    answered: Callable[[int], None] = lambda status: None,
) -> Starlette:
    """Return the application.

    Args:
        server: What answers at ``/mcp``; it asks ``bearer.calling_principal`` who calls.
        tokens: Says who holds a token.
        audit: Learns of what is refused here.
        requests: Learns of every request under way.
        settings: The limits, and the names that the server answers to.
        routes: Further routes, behind the same checks.
        answered: Told of the status of each response.
    """
    # Host, Origin and size are checked by the middleware below, for every route alike.
    manager = StreamableHTTPSessionManager(
        server, security_settings=None, max_request_body_size=settings.http_body_bytes
    )

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with manager.run():
            yield

    mcp = StreamableHTTPASGIApp(manager)
    app = Starlette(
        routes=[
            Route("/healthz", _health),
            *routes,
            Route(MCP_PATH, mcp),
            Route(f"{MCP_PATH}/", mcp),
        ],
        middleware=[
            Middleware(Answered, answered=answered),
            *_middleware(tokens, Refusals(audit), requests, settings),
        ],
        exception_handlers={HTTPException: http_problem, Exception: http_problem},
        lifespan=lifespan,
    )
    # A redirect to the same path with a slash would name the host as a proxy sees it.
    app.router.redirect_slashes = False
    return app


def _middleware(
    tokens: TokenService, refusals: Refusals, requests: OpenRequests, settings: Settings
) -> list[Middleware]:
    """Return what a request passes, outermost first."""
    return [
        Middleware(
            Hosts,
            names=own_names(settings.http_host) | set(settings.http_allowed_hosts),
            origins=settings.http_allowed_origins,
            refusals=refusals,
        ),
        Middleware(
            Bearer,
            tokens=tokens,
            refusals=refusals,
            requests=requests,
            failures=Buckets(settings.http_failures / _MINUTE, settings.http_failures),
            rates=Buckets(settings.http_requests_per_second, settings.http_requests_burst),
            told=Buckets(settings.http_requests_per_second, settings.http_requests_burst),
            at_once=AtOnce(settings.http_requests_at_once),
            mcp_path=MCP_PATH,
            open_paths=[METRICS_PATH] if settings.http_metrics_open else [],
        ),
        Middleware(
            BodyLimit,
            max_bytes=settings.http_body_bytes,
            seconds=settings.http_request_seconds,
            refused=lambda error: refusals.note(asking_principal(), error),
        ),
    ]


async def _health(_: Request) -> JSONResponse:
    return JSONResponse({"status": "ok"})


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; port 0 takes a free one.

    Raises:
        Unavailable: The address is in use or is none of this machine.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.create_server((host, port), family=family, backlog=512)
    except OSError as error:
        # A socket's text repeats the address; a resolver's error has no number of the system's.
        number = error.errno or 0
        why = os.strerror(number) if number > 0 else error.strerror
        raise Unavailable(
            f"cannot listen on {host} port {port}: {why}; give another with --host or --port"
        ) from error
    # Connections inherit it. asyncio sets it only where a socket names its protocol, which this
    # one does not; without it each answer waits 40 ms for an acknowledgement of its head.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


class HttpServer:
    """Serves an application on a socket until it is told to end."""

    def __init__(
        self,
        server: Server[Any],
        tokens: TokenService,
        audit: AuditService,
        settings: Settings,
        listening: socket.socket,
        *,
        routes: Sequence[BaseRoute] = (),
        on_ending: Callable[[], None] = lambda: None,
        answered: Callable[[int], None] = lambda status: None,
    ) -> None:
        self._requests = OpenRequests(tokens)
        self._listening = listening
        self._on_ending = on_ending
        self.started = anyio.Event()
        self._uvicorn = _Uvicorn(
            uvicorn.Config(
                build_app(server, tokens, audit, self._requests, settings, routes, answered),
                http=limited(settings.http_connections, settings.http_request_seconds),
                ws=PromptWebSocket,
                ws_max_size=MESSAGE_BYTES,
                # A ping stands behind all that the client has not read yet.
                ws_ping_interval=PING_SECONDS,
                ws_ping_timeout=PONG_SECONDS,
                # Output is sent as it is: 50 compressors would be 50 times their memory.
                ws_per_message_deflate=False,
                lifespan="on",
                log_config=None,
                access_log=False,  # it would hold whatever somebody put into a URL
                server_header=False,
                # Whoever is not a known proxy could name any address.
                proxy_headers=bool(settings.http_proxies),
                forwarded_allow_ips=[str(proxy) for proxy in settings.http_proxies],
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=GRACE_SECONDS + _HARD_SECONDS,
            ),
            self.started.set,
        )

    @property
    def url(self) -> str:
        """Where MCP is served."""
        host, port = self._listening.getsockname()[:2]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}{MCP_PATH}"

    def count_open(self) -> dict[str, int]:
        """Return how many requests are under way, by their kind."""
        return self._requests.count()

    async def serve(self) -> None:
        """Serve until ``end`` was called and everything under way has ended."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._requests.end_with_their_tokens)
            await self._uvicorn.serve(sockets=[self._listening])
            tasks.cancel_scope.cancel()

    async def serve_until_signalled(self) -> None:
        """Serve until SIGTERM or SIGINT; a second one ends the process at once."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._end_on_signal)
            await self.serve()
            tasks.cancel_scope.cancel()

    async def end(self) -> None:
        """Accept nothing more, end the streams, and then the calls that still wait."""
        self._uvicorn.should_exit = True
        self._on_ending()
        self._requests.end(standing_only=True)
        with anyio.move_on_after(GRACE_SECONDS):
            await self._requests.none_left()
        self._requests.end()

    async def _end_on_signal(self) -> None:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async for _ in signals:
                break
        # Nothing of ours stands between a second signal and the end; whatever is under way is as
        # safe as it is from SIGKILL.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        await self.end()


class _Uvicorn(uvicorn.Server):
    """uvicorn that leaves the signals to its caller, and says when it has started."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_started()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
