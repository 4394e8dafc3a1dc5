"""A server elsewhere, reached over HTTP as any client reaches it, with a token."""

import argparse
import contextlib
import json
import ssl
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp.types import Tool

from debug_mcp.cli.address import MCP_PATH, read_token, read_url
from debug_mcp.cli.answers import USAGE, print_facts, print_refusal
from debug_mcp.cli.arguments import read_arguments
from debug_mcp.cli.table import table
from debug_mcp.errors import (
    Busy,
    DebugMcpError,
    InvalidInput,
    NotFound,
    PermissionDenied,
    ToolFailed,
    Unauthenticated,
    Unavailable,
)

# A call waits up to 50 s, and a stream is pinged every 15.
_TIMEOUT = httpx2.Timeout(120, connect=10)
_SHOWN = 200
_KINDS: dict[int, type[DebugMcpError]] = {
    401: Unauthenticated,
    403: PermissionDenied,
    404: NotFound,
    405: NotFound,
    421: InvalidInput,
    429: Busy,
}


async def run_remote_call(options: argparse.Namespace) -> int:
    """Have the server at a URL run the operation; return what ``run_call`` would."""
    try:
        url, token = read_url(options.url), read_token(options.token_file)
        async with connected(url, token) as client:
            tools = (await client.list_tools()).tools
            if options.list:
                print(table(("NAME", "WHAT"), [(tool.name, _first_line(tool)) for tool in tools]))
                return 0
            schemas = {tool.name: tool.input_schema for tool in tools}
            members = schemas.get(options.tool, {}).get("properties", {})
            arguments = read_arguments(members, options.arguments)
            result = await client.call_tool(options.tool or "", arguments)
    except DebugMcpError as error:
        return print_refusal(error, as_json=options.json)
    facts: dict[str, Any] = result.structured_content or {}
    if not result.is_error:
        return print_facts(facts, as_json=options.json)
    if options.json:
        print(json.dumps(facts, indent=2))
    else:
        print(*(block.text for block in result.content if block.type == "text"), file=sys.stderr)
    wrong_usage = facts.get("error", {}).get("code") == InvalidInput.code
    return USAGE if wrong_usage else 1


@contextlib.asynccontextmanager
async def connected(url: str, token: str) -> AsyncIterator[Client]:
    """Connect to a server.

    Raises:
        DebugMcpError: It cannot be reached, refuses, or is no MCP server.
    """
    hooks = {"response": [_refusals]}
    with _explained(url):
        async with (
            httpx2.AsyncClient(
                headers={"Authorization": f"Bearer {token}"},
                timeout=_TIMEOUT,
                event_hooks=hooks,
                # The system's certificates, or those of SSL_CERT_FILE.
                verify=ssl.create_default_context(),
            ) as http,
            Client(streamable_http_client(url, http_client=http)) as client,
        ):
            yield client


async def _refusals(response: httpx2.Response) -> None:
    """Raise what a refusal means, where the SDK would say only that there was one."""
    status = response.status_code
    if status < 300 or status == 400:  # what is wrong with a message is said in JSON-RPC
        return
    url = response.request.url
    if response.is_redirect:
        raise Unavailable(
            f"{url} answers {status} and names {response.headers.get('location')}: if that is the "
            "server, give it as --url"
        )
    await response.aread()
    try:
        said = response.json()
        if "jsonrpc" in said:
            return
        message = str(said["error"]["message"])
    except (ValueError, KeyError, TypeError):
        message = ""
    kind = _KINDS.get(status, Unavailable)
    if kind is NotFound:
        message = f"no MCP server there; debug-mcp serves it at {MCP_PATH}"
    raise kind(f"{url} answers {status}: {message or response.reason_phrase or 'no reason given'}")


@contextlib.contextmanager
def _explained(url: str) -> Iterator[None]:
    """Turn what came out of the client's task groups into one error."""
    try:
        yield
    except DebugMcpError:
        raise
    except (MCPError, httpx2.HTTPError, ExceptionGroup) as raised:
        error = _innermost(raised)
        if isinstance(error, DebugMcpError):
            raise error from raised
        if isinstance(error, httpx2.TransportError):
            raise Unavailable(f"{url} cannot be reached: {_why(error)}") from raised
        if isinstance(error, MCPError | httpx2.HTTPError):
            said = str(error)[:_SHOWN]
            raise ToolFailed(f"{url} does not answer as an MCP server does: {said}") from raised
        raise


def _innermost(error: Exception) -> Exception:
    """Return the first error of a group; a refusal counts before what followed from it."""
    if not isinstance(error, ExceptionGroup):
        return error
    leaves = [_innermost(member) for member in error.exceptions]
    return next((leaf for leaf in leaves if isinstance(leaf, DebugMcpError)), leaves[0])


def _why(error: BaseException) -> str:
    """Return what the system said at the bottom of an error: the top says only that all failed."""
    bottom = error
    while cause := bottom.__cause__ or bottom.__context__:
        bottom = cause
    if isinstance(bottom, ExceptionGroup):
        bottom = _innermost(bottom)
    return str(bottom) or str(error) or type(error).__name__


def _first_line(tool: Tool) -> str:
    return (tool.description or "").partition("\n")[0]
