"""Operations on the server itself."""

from debug_mcp.auth.principal import Scope
from debug_mcp.models.server import ServerInfo, ServerView
from debug_mcp.operations.registry import Call, Route, operation


@operation(
    scope=Scope.SESSION_READ,
    routes=(Route("GET", "/server"),),
    title="About this server",
    read_only=True,
)
async def server_info(call: Call, args: ServerInfo) -> ServerView:
    """Say how commands are isolated here, which limits hold, and what is going on."""
    return await call.services.server.info(call.principal, args)
