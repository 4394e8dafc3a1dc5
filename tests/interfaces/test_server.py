"""What the MCP server is put together from."""

import pytest
from mcp.server._otel import OpenTelemetryMiddleware

from debug_mcp.auth.principal import LOCAL
from debug_mcp.interfaces.server import build_server
from debug_mcp.service.services import Services

pytestmark = pytest.mark.anyio


async def test_every_message_passes_the_tracing_of_the_sdk_first(services: Services) -> None:
    server = build_server(services, lambda: LOCAL)
    assert isinstance(server.middleware[0], OpenTelemetryMiddleware)
