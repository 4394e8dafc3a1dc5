"""Artifacts and outputs as MCP resources. Each has a tool twin: many clients reach these badly."""

import base64
from typing import Any

from mcp.types import (
    BlobResourceContents,
    ListResourcesResult,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    TextResourceContents,
)

from debug_mcp.auth.principal import Scope
from debug_mcp.errors import DebugMcpError, NotFound
from debug_mcp.interfaces.errors import protocol_error
from debug_mcp.interfaces.uris import ARTIFACT, DIFF, OUTPUT, STDERR, ResourceUri, parse_uri
from debug_mcp.models.artifacts import Artifact
from debug_mcp.models.outputs import PAGE_BYTES, CommandOutput, OutputView
from debug_mcp.operations.registry import Call
from debug_mcp.service.artifacts import artifact_uri

PAGE = 50
READ_LIMIT_BYTES = 256 * 1024

TEMPLATES = [
    ResourceTemplate(
        name="artifact",
        title="Artifact",
        uri_template=ARTIFACT,
        description="A file kept from a session; artifact_list gives the URIs.",
    ),
    ResourceTemplate(
        name="output",
        title="Command output",
        uri_template=OUTPUT,
        mime_type="text/plain",
        description="The end of what a command wrote; command_output reads the rest.",
    ),
    ResourceTemplate(
        name="stderr",
        title="Standard error of a command",
        uri_template=STDERR,
        mime_type="text/plain",
        description="The end of a stderr that is apart; command_output reads the rest.",
    ),
    ResourceTemplate(
        name="diff",
        title="Changes of a session",
        uri_template=DIFF,
        mime_type="text/x-diff",
        description="How a session's tree differs from its start; session_diff says it too.",
    ),
]

# What reading one needs, by its template; the service checks it.
SCOPES = {
    ARTIFACT: Scope.ARTIFACT_READ,
    OUTPUT: Scope.SESSION_READ,
    STDERR: Scope.SESSION_READ,
    DIFF: Scope.SESSION_READ,
}


async def list_resources(call: Call, cursor: str | None) -> ListResourcesResult:
    """Return a page of the caller's artifacts; the cursor is the last id of the page before.

    Raises:
        MCPError: The cursor is none of ours.
    """
    try:
        found = await call.services.artifacts.page(call.principal, cursor, PAGE + 1)
    except DebugMcpError as error:
        raise protocol_error(error) from error
    shown = found[:PAGE]
    return ListResourcesResult(
        resources=[_resource(artifact) for artifact in shown],
        next_cursor=shown[-1].id if len(found) > PAGE else None,
    )


async def read_resource(call: Call, uri: str) -> ReadResourceResult:
    """Return a resource's content, at most 256 KiB; ``_meta`` names the call for the rest.

    Raises:
        MCPError: There is no such resource of the caller's.
    """
    try:
        found = parse_uri(uri)
        audit = call.services.audit
        with audit.watching(call.principal, "resource_read", found.object_id, changes=False):
            if found.scheme == "artifact":
                return await _artifact(call, uri, found.object_id)
            if found.scheme == "session":
                return await _diff(call, uri, found.object_id)
            return await _output(call, found)
    except DebugMcpError as error:
        raise protocol_error(error, uri=uri) from error


async def _artifact(call: Call, uri: str, artifact_id: str) -> ReadResourceResult:
    part = await call.services.artifacts.part(call.principal, artifact_id, 0, READ_LIMIT_BYTES)
    artifact, meta = part.artifact, None
    if part.end < artifact.size:
        arguments = {"artifact_id": artifact.id, "offset": part.end}
        meta = _rest(artifact.size, "artifact_read", arguments)
    contents: TextResourceContents | BlobResourceContents
    if part.text is not None:
        contents = TextResourceContents(
            uri=uri, mime_type=artifact.media_type, text=part.text, _meta=meta
        )
    else:
        blob = base64.b64encode(part.data).decode("ascii")
        contents = BlobResourceContents(
            uri=uri, mime_type=artifact.media_type, blob=blob, _meta=meta
        )
    return ReadResourceResult(contents=[contents])


async def _output(call: Call, uri: ResourceUri) -> ReadResourceResult:
    asked: dict[str, Any] = {"command_id": uri.object_id}
    if uri.rest == "stderr":
        asked["stream"] = uri.rest
    elif uri.rest:
        raise NotFound(f"no resource {uri.text!r}", candidates=[OUTPUT, STDERR])
    args = CommandOutput(**asked, mode="tail", length=PAGE_BYTES)
    page = await call.services.commands.output(call.principal, args)
    output, meta = page.output or OutputView(text="", total_bytes=0), None
    if output.offset:
        meta = _rest(output.total_bytes, "command_output", {**asked, "mode": "range", "offset": 0})
    contents = TextResourceContents(
        uri=uri.text, mime_type="text/plain", text=output.text, _meta=meta
    )
    return ReadResourceResult(contents=[contents])


async def _diff(call: Call, uri: str, session_id: str) -> ReadResourceResult:
    patch = await call.services.differences.text(call.principal, session_id)
    text = patch[:READ_LIMIT_BYTES].decode("utf-8", "replace")
    cut = len(patch) > READ_LIMIT_BYTES
    meta = _rest(len(patch), "session_diff", {"session_id": session_id}) if cut else None
    contents = TextResourceContents(uri=uri, mime_type="text/x-diff", text=text, _meta=meta)
    return ReadResourceResult(contents=[contents])


def _rest(total: int, tool: str, arguments: dict[str, object]) -> dict[str, Any]:
    return {"total_bytes": total, "next": {"tool": tool, "arguments": arguments}}


def _resource(artifact: Artifact) -> Resource:
    return Resource(
        name=artifact.name,
        uri=artifact_uri(artifact),
        mime_type=artifact.media_type,
        size=artifact.size,
        description=f"{artifact.kind} from session {artifact.session_id}",
    )
