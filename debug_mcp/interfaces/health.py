"""``/readyz``: whether requests should come here. For what decides that, so without a token."""

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from debug_mcp.service.readiness import Readiness

READY_PATH = "/readyz"
_NOT_READY = 503


def health_routes(readiness: Readiness) -> list[BaseRoute]:
    """Return the route."""

    async def ready(_: Request) -> JSONResponse:
        view = await readiness.look()
        headers = {"Cache-Control": "no-store"}
        return JSONResponse(view.compact(), 200 if view.ready else _NOT_READY, headers)

    return [Route(READY_PATH, ready)]
