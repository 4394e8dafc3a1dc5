"""Operations on repositories."""

from debug_mcp.auth.principal import Scope
from debug_mcp.models.repositories import (
    RemovedView,
    RepositoriesView,
    RepositoryInit,
    RepositoryList,
    RepositoryRemove,
    RepositoryView,
)
from debug_mcp.operations.registry import Call, Route, operation


@operation(
    scope=Scope.REPOSITORY_WRITE,
    routes=(Route("POST", "/repositories", creates="/repositories/{repository}"),),
    title="Register a repository",
    idempotent=True,
    open_world=True,
)
async def repository_init(call: Call, args: RepositoryInit) -> RepositoryView:
    """Register a git repository, or change the settings of a known one and fetch it again.

    Optional: session_create registers a URL or path by itself. The upstream is never written to. A
    clone that takes longer than wait_seconds goes on: send the same call to wait for it.
    """
    return await call.services.repositories.init(call.principal, args, call.report)


@operation(
    scope=Scope.REPOSITORY_READ,
    routes=(
        Route("GET", "/repositories", without=("name",)),
        Route("GET", "/repositories/{name}"),
    ),
    title="List repositories",
    read_only=True,
)
async def repository_list(call: Call, args: RepositoryList) -> RepositoriesView:
    """List registered repositories: state, head, settings, when they were fetched, what failed."""
    return await call.services.repositories.listing(call.principal, args)


@operation(
    scope=Scope.REPOSITORY_WRITE,
    also=(Scope.REPOSITORY_READ,),
    routes=(Route("DELETE", "/repositories/{name}"),),
    title="Remove a repository",
    idempotent=True,
    destructive=True,
)
async def repository_remove(call: Call, args: RepositoryRemove) -> RemovedView:
    """Remove a repository from the server; the upstream stays as it is.

    Refused while sessions are open in it, unless force. Exported branches stay fetchable.
    """
    return await call.services.removal.remove(call.principal, args)
