"""Serving the client that launched us. Apart from HTTP, whose imports would cost it time."""

from debug_mcp.app import open_services
from debug_mcp.auth.principal import LOCAL
from debug_mcp.config import Settings
from debug_mcp.interfaces.server import build_server
from debug_mcp.transport.stdio import serve_stdio


async def run_stdio(settings: Settings) -> None:
    """Serve one client over standard input and output, as the person who launched us."""
    async with open_services(settings) as services:
        await serve_stdio(build_server(services, lambda: LOCAL))
