"""Serving over HTTP."""

import logging
import sys
from collections.abc import Callable

import anyio

from debug_mcp import __version__
from debug_mcp.app import open_services
from debug_mcp.auth.principal import LOCAL, Principal
from debug_mcp.cli.boundary import boundary_here
from debug_mcp.cli.logs import event, json_logs, log_calls_and_ends
from debug_mcp.cli.opening import opened
from debug_mcp.config import IsolationPolicy, LogFormat, Settings
from debug_mcp.errors import Unavailable
from debug_mcp.interfaces.http_routes import http_routes
from debug_mcp.interfaces.metrics import Metrics, metrics_routes
from debug_mcp.interfaces.server import build_server
from debug_mcp.models.server import ServerInfo
from debug_mcp.models.sessions import Isolation
from debug_mcp.operations.catalogue import REST
from debug_mcp.service.services import Services
from debug_mcp.transport.bearer import calling_principal
from debug_mcp.transport.hosts import is_loopback
from debug_mcp.transport.http import HttpServer, listen

_MAKE_ONE = "debug-mcp token create NAME"


async def run_http(settings: Settings) -> None:
    """Serve many clients over HTTP, each as its token's owner, until a signal says to end.

    Raises:
        Unavailable: The address cannot be had, there is no sandbox, or nobody could be let in
            from other machines.
    """
    # At INFO it writes each WebSocket with all of its URL, in which anything may stand.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    if settings.log_format is LogFormat.JSON:
        with json_logs(sys.stderr):
            await _serve(settings)
    else:
        await _serve(settings)


async def _serve(settings: Settings) -> None:
    # Whoever asks over HTTP is not the person at this machine: no silent step down.
    if settings.isolation is IsolationPolicy.AUTO:
        settings = settings.model_copy(update={"isolation": IsolationPolicy.REQUIRE_BWRAP})
    with listen(settings.http_host, settings.http_port) as listening:
        async with opened(open_services(settings)) as services:
            isolation = await _checked(services, settings)
            mcp = build_server(services, calling_principal)
            metrics = Metrics(services)
            if settings.log_format is LogFormat.JSON:
                log_calls_and_ends(services.observers)
            server = HttpServer(
                mcp,
                services.tokens,
                services.audit,
                settings,
                listening,
                routes=[
                    *http_routes(REST, services, calling_principal),
                    *metrics_routes(metrics, _reader(settings)),
                ],
                on_ending=mcp.subscriptions.close,
                answered=metrics.answered,
            )
            metrics.count_open(server.count_open)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_announce, server, services, settings, isolation)
                await server.serve_until_signalled()
                tasks.cancel_scope.cancel()
            if settings.log_format is LogFormat.JSON:
                event("ended", "asked to end; commands go on")


def _reader(settings: Settings) -> Callable[[], Principal | None]:
    """Return what says who reads ``/metrics``; None where everybody may."""
    return (lambda: None) if settings.http_metrics_open else calling_principal


async def _checked(services: Services, settings: Settings) -> Isolation:
    """See to it that the server can be used, and only by those who may; return the isolation.

    Raises:
        Unavailable: There is no sandbox, or nobody could be let in from other machines.
    """
    if settings.bootstrap_token is not None:
        secret = settings.bootstrap_token.get_secret_value()
        with services.audit.watching(LOCAL, "token_bootstrap", changes=False) as watched:
            watched.object_id = await services.tokens.bootstrap(secret)
            watched.changes = watched.object_id is not None
    isolation = (await services.server.info(LOCAL, ServerInfo())).isolation
    if not is_loopback(settings.http_host) and not await services.tokens.valid():
        raise Unavailable(
            f"nobody could use this server from other machines yet: make a token with "
            f"`{_MAKE_ONE}` first"
        )
    return isolation


async def _announce(
    server: HttpServer, services: Services, settings: Settings, isolation: Isolation
) -> None:
    """Say where the server is, once it is there."""
    await server.started.wait()
    said = (
        f"debug-mcp {__version__} serves {server.url} (isolation: {isolation}); "
        f"{boundary_here(isolation)}"
    )
    if not await services.tokens.valid():
        said += f"; there is no token yet: {_MAKE_ONE} makes one"
    else:
        said += f"; {_MAKE_ONE} makes a token"
    if not is_loopback(settings.http_host):
        said += (
            "; every machine that reaches this address can try tokens, and whoever holds one runs "
            "programs here. There is no TLS: put a proxy before it"
        )
    if settings.log_format is LogFormat.JSON:
        event("serving", said, url=server.url, isolation=isolation, version=__version__)
    else:
        sys.stderr.write(f"{said}\n")
        sys.stderr.flush()
