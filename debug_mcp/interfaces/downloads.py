"""Whole files over HTTP: artifacts, and what commands wrote, by ranges and from where one left off.

Nothing of it is shown or run by a browser: it is a download (``attachment``), of a type that is not
guessed (``nosniff``), and the types that could run something are not named.
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, get_args
from urllib.parse import quote

import anyio
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from debug_mcp.auth.principal import Principal, Scope
from debug_mcp.errors import DebugMcpError, InvalidInput, NotFound
from debug_mcp.interfaces.openapi_parts import errors
from debug_mcp.interfaces.problems import problem
from debug_mcp.interfaces.ranges import Part, asked_part
from debug_mcp.interfaces.rest import PREFIX, names_tag
from debug_mcp.models.outputs import StreamName
from debug_mcp.service.services import Services

CONTENT = "/artifacts/{artifact_id}/content"
OUTPUT = "/commands/{command_id}/output"

_CHUNK_BYTES = 256 << 10
_BYTES = "application/octet-stream"
_PASSIVE = (
    "text/plain",
    "image/png",
    "image/jpeg",
    "image/gif",
    "application/zip",
    "application/gzip",
)
_STREAM = {
    "name": "stream",
    "in": "query",
    "description": "default stdout; stderr of a command that was run with streams: separate",
    "schema": {"enum": list(get_args(StreamName)), "default": "stdout"},
}
_HEADERS = {
    "Accept-Ranges": "bytes",
    "Cache-Control": "private, no-cache",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class Download:
    """A file to hand out. ``same`` says whether a tag is that of its beginning, or of all of it."""

    path: Path
    name: str
    media_type: str
    tag: Callable[[int], str]
    same: Callable[[str, int], bool]


def download_routes(services: Services, principal_of: Callable[[], Principal]) -> list[BaseRoute]:
    """Return the routes of both kinds of file."""

    async def artifact(request: Request) -> Download:
        who, artifact_id = principal_of(), request.path_params["artifact_id"]
        with services.audit.watching(who, "artifact_download", artifact_id, changes=False):
            kept, path = await services.artifacts.file(who, artifact_id)
        tag = f'"{kept.sha256}"'
        return Download(
            path,
            PurePosixPath(kept.name).name,
            kept.media_type,
            lambda _: tag,
            lambda other, _: other == tag,
        )

    async def output(request: Request) -> Download:
        who, command_id = principal_of(), request.path_params["command_id"]
        with services.audit.watching(who, "output_download", command_id, changes=False):
            command, path = await services.commands.file(who, command_id, _stream(request))
        name = command.id if path.name == "output" else f"{command.id}-{path.name}"
        return Download(
            # One that has not begun has written nothing.
            path if path.exists() else Path(os.devnull),
            f"{name}.txt",
            "text/plain",
            lambda size: f'"{name}-{size}"',
            lambda other, size: _is_beginning(other, name, size),
        )

    return [
        Route(PREFIX + CONTENT, _answering(artifact), methods=["GET"]),
        Route(PREFIX + OUTPUT, _answering(output, "stream"), methods=["GET"]),
    ]


def _stream(request: Request) -> StreamName:
    """Return which stream of an output is asked for.

    Raises:
        InvalidInput: It is none.
    """
    asked = request.query_params.get("stream", "stdout")
    for known in get_args(StreamName):
        if asked == known:
            return known  # type: ignore[no-any-return]
    raise InvalidInput(f"no stream {asked!r}", field="stream", candidates=get_args(StreamName))


def _is_beginning(tag: str, name: str, size: int) -> bool:
    """Return whether a tag is of this output when it was shorter, or as long.

    Output only grows: what somebody has of it stays right, so a download goes on while it does.
    """
    start, _, length = tag.strip('"').rpartition("-")
    return start == name and length.isdecimal() and int(length[:18]) <= size


def _answering(
    find: Callable[[Request], Awaitable[Download]], *takes: str
) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            for name in request.query_params:
                if name not in takes:
                    raise InvalidInput(
                        f"unknown key {name!r}: a download takes {' '.join(takes) or 'none'}",
                        field=name,
                        candidates=takes,
                    )
            download = await find(request)
            file = await anyio.open_file(download.path, "rb")
        except DebugMcpError as error:
            return problem(error)
        except FileNotFoundError:
            return problem(NotFound("its content is not there any more"))
        size = await file.seek(0, 2)
        response, part = _headed(request, download, size)
        if part is None or request.method == "HEAD":
            await file.aclose()
            return response
        return StreamingResponse(_read(file, part), response.status_code, response.headers)

    return answer


def _headed(request: Request, download: Download, size: int) -> tuple[Response, Part | None]:
    """Return the response without its bytes, and which are to follow."""
    headers = {**_HEADERS, "ETag": download.tag(size)}
    if names_tag(request.headers.get("if-none-match", ""), headers["ETag"]):
        return Response(status_code=304, headers=headers), None
    # A range is for GET alone: RFC 9110, section 14.2.
    asked = request.headers if request.method == "GET" else Headers()
    part = asked_part(asked, size, lambda tag: download.same(tag, size))
    if part is None:
        beyond = InvalidInput(f"there are {size} bytes; nothing of what was asked for is there")
        return problem(beyond, 416, {**headers, "Content-Range": f"bytes */{size}"}), None
    headers["Content-Length"] = str(part.end - part.start)
    headers["Content-Disposition"] = _disposition(download.name)
    headers["Content-Type"] = _shown_type(download.media_type)
    if part.whole:
        return Response(headers=headers), part
    return Response(status_code=206, headers={**headers, "Content-Range": part.content_range}), part


def _shown_type(media_type: str) -> str:
    if media_type not in _PASSIVE:
        return _BYTES
    return "text/plain; charset=utf-8" if media_type == "text/plain" else media_type


def _disposition(name: str) -> str:
    """Return the header that makes it a download (RFC 6266); a name can hold anything."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "-_. ") else "_" for c in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


async def _read(file: "anyio.AsyncFile[bytes]", part: Part) -> AsyncIterator[bytes]:
    """Yield the bytes; fewer than promised only if somebody cut the file, which ends it hard."""
    left = part.end - part.start
    async with file:
        await file.seek(part.start)
        while left and (data := await file.read(min(left, _CHUNK_BYTES))):
            left -= len(data)
            yield data


def download_items() -> dict[str, dict[str, Any]]:
    """Return what OpenAPI says of them."""
    return {
        CONTENT: _described("artifact_content", "artifact_id", Scope.ARTIFACT_READ,
                            "Download an artifact", "All bytes of an artifact."),
        OUTPUT: _described("command_bytes", "command_id", Scope.SESSION_READ,
                           "Download a command's output",
                           "All bytes that a command has written up to now. While it goes on, ask "
                           "again from where you are with Range; the ETag of before may stand in "
                           "If-Range.", query=[_STREAM]),
    }  # fmt: skip


def _described(
    name: str,
    argument: str,
    scope: Scope,
    summary: str,
    description: str,
    query: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    told = {"required": True, "schema": {"type": "string"}}
    named = ("ETag", "Accept-Ranges", "Content-Disposition", "X-Content-Type-Options")
    headers = dict.fromkeys(named, told)
    parts = {**headers, "Content-Range": told}
    content: dict[str, Any] = {kind: {} for kind in (*_PASSIVE, _BYTES)}
    item = {
        "operationId": name,
        "tags": [name.partition("_")[0]],
        "summary": summary,
        "description": f"{description}\n\nScope: `{scope}`.",
        "security": [{"bearer": [str(scope)]}],
        "parameters": [
            {"name": argument, "in": "path", "required": True, "schema": {"type": "string"}},
            *(
                {"name": header, "in": "header", "schema": {"type": "string"}}
                for header in ("Range", "If-Range", "If-None-Match")
            ),
            *query,
        ],
        "responses": {
            "200": {"description": "All of it.", "headers": headers, "content": content},
            "206": {"description": "One range of it.", "headers": parts, "content": content},
            "304": {"description": "As before."},
            "416": {"$ref": "#/components/responses/NotThere"},
            **errors(),
        },
    }
    return {"get": item}
