"""Everything that is served over HTTP besides MCP."""

from collections.abc import Callable, Sequence
from typing import Any

from starlette.routing import BaseRoute

from debug_mcp.auth.principal import Principal
from debug_mcp.interfaces.documentation import documentation_routes
from debug_mcp.interfaces.downloads import download_items, download_routes
from debug_mcp.interfaces.health import health_routes
from debug_mcp.interfaces.openapi import openapi
from debug_mcp.interfaces.rest import rest_routes
from debug_mcp.interfaces.websocket import stream_items, stream_routes
from debug_mcp.operations.registry import Operation
from debug_mcp.service.services import Services


def http_routes(
    operations: Sequence[Operation], services: Services, principal_of: Callable[[], Principal]
) -> list[BaseRoute]:
    """Return all routes.

    Args:
        operations: What is served.
        services: What there is to call.
        principal_of: Says who makes the present request.
    """
    return [
        *rest_routes(operations, services, principal_of),
        *download_routes(services, principal_of),
        *stream_routes(services, principal_of),
        *health_routes(services.readiness),
        *documentation_routes(lambda: document(operations)),
    ]


def document(operations: Sequence[Operation]) -> dict[str, Any]:
    """Return the OpenAPI document of all of it."""
    return openapi(operations, {**download_items(), **stream_items()})
