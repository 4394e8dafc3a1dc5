"""The server under test: our interfaces behind our HTTP transport, alone or with fixtures.

python -m tests.conformance.program FOLDER [--fixtures]

The suite cannot send a token. So this program sends one in its place; everything behind that, the
check of the token included, is what ``debug-mcp serve`` runs.
"""

import argparse
from pathlib import Path

import anyio
import uvicorn
from starlette import types

from debug_mcp.app import open_services
from debug_mcp.auth.principal import LOCAL, Scope
from debug_mcp.config import IsolationPolicy, Settings
from debug_mcp.interfaces.server import build_server
from debug_mcp.models.repositories import RepositoryInit
from debug_mcp.models.tokens import TokenCreate
from debug_mcp.transport.bearer import calling_principal
from debug_mcp.transport.http import MCP_PATH, build_app, listen
from debug_mcp.transport.requests import OpenRequests
from tests.conformance.fixtures import furnish
from tests.conformance.fixtures.tasks import REPOSITORY
from tests.upstream import CALCULATOR, Upstream


class WithToken:
    """Sends a token with every request."""

    def __init__(self, app: types.ASGIApp, secret: str) -> None:
        self._app = app
        self._header = (b"authorization", f"Bearer {secret}".encode())

    async def __call__(self, scope: types.Scope, receive: types.Receive, send: types.Send) -> None:
        if scope["type"] == "http":
            scope = {**scope, "headers": [*scope["headers"], self._header]}
        await self._app(scope, receive, send)


async def serve(folder: Path, *, fixtures: bool) -> None:
    """Serve until killed; print the URL when the server listens."""
    settings = Settings(
        data_dir=folder / "data",
        isolation=IsolationPolicy.NONE,
        http_requests_per_second=10_000,
        http_requests_burst=10_000,
    )
    async with open_services(settings) as services:
        made = await services.tokens.create(LOCAL, TokenCreate(name="suite", scopes=list(Scope)))
        server = build_server(services, calling_principal)
        if fixtures:
            furnish(server)
            upstream = Upstream(folder / "upstream")
            upstream.commit("Add a calculator", CALCULATOR)
            repository = RepositoryInit(url=str(upstream.path), name=REPOSITORY)
            await services.repositories.init(LOCAL, repository)
        app = build_app(
            server, services.tokens, services.audit, OpenRequests(services.tokens), settings
        )
        with listen("127.0.0.1", 0) as listening:
            host, port = listening.getsockname()
            print(f"http://{host}:{port}{MCP_PATH}", flush=True)
            config = uvicorn.Config(
                WithToken(app, made.secret),
                log_level="warning",
                ws="none",
                timeout_graceful_shutdown=2,  # a stream may be open
            )
            await uvicorn.Server(config).serve(sockets=[listening])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--fixtures", action="store_true")
    options = parser.parse_args()

    async def run() -> None:
        await serve(options.folder, fixtures=options.fixtures)

    anyio.run(run)


if __name__ == "__main__":
    main()
