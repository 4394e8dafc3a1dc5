"""Operations on artifacts."""

from debug_mcp.auth.principal import Scope
from debug_mcp.models.artifacts import ArtifactList, ArtifactPage, ArtifactRead, ArtifactsView
from debug_mcp.operations.registry import Call, Route, operation


@operation(
    scope=Scope.ARTIFACT_READ,
    routes=(
        Route("GET", "/sessions/{session_id}/artifacts", without=("collect",)),
        Route("POST", "/sessions/{session_id}/artifacts"),
    ),
    title="Collect and list artifacts",
)
async def artifact_list(call: Call, args: ArtifactList) -> ArtifactsView:
    """List a session's artifacts; with collect, first keep the files of its tree that match.

    An artifact is a copy that outlives the session: test reports, coverage, logs, builds. Each is
    also an MCP resource under its uri.
    """
    return await call.services.artifacts.listing(call.principal, args)


@operation(
    scope=Scope.ARTIFACT_READ,
    routes=(Route("GET", "/artifacts/{artifact_id}"),),
    title="Read an artifact",
    read_only=True,
)
async def artifact_read(call: Call, args: ArtifactRead) -> ArtifactPage:
    """Read a part of an artifact, as text or, when it is not UTF-8, as base64."""
    return await call.services.artifacts.read(call.principal, args)
