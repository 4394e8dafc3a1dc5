"""Operations on repositories."""

from debug_mcp.auth.principal import Scope
from debug_mcp.models.repositories import RepositoryInit, RepositoryView
from debug_mcp.operations.registry import Call, operation


@operation(scope=Scope.REPOSITORY_WRITE, title="Register a repository")
async def repository_init(call: Call, args: RepositoryInit) -> RepositoryView:
    """Register a git repository under a name, or fetch it again when the name is known.

    Optional: session_create registers a path by itself. The server keeps a mirror of its own; the
    repository itself is never written to.
    """
    return await call.services.repositories.init(call.principal, args)
