"""Connecting as a real client does: in memory, over HTTP, or to a true subprocess; in both eras."""

import contextlib
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio
import httpx2
from mcp import Client
from mcp.client.session import MessageHandlerFnT
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, TextContent

from debug_mcp.app import open_services
from debug_mcp.auth.principal import LOCAL, Principal, Scope
from debug_mcp.config import Settings
from debug_mcp.interfaces.http_routes import http_routes
from debug_mcp.interfaces.server import build_server
from debug_mcp.models.tokens import TokenCreate
from debug_mcp.operations.catalogue import REST
from debug_mcp.service.services import Services
from debug_mcp.transport.bearer import calling_principal
from debug_mcp.transport.http import HttpServer, listen
from tests.upstream import Upstream

WAYS = (
    "memory-modern",
    "memory-legacy",
    "stdio-modern",
    "stdio-legacy",
    "http-modern",
    "http-legacy",
)


class Agent:
    """A client that expects tools to succeed, and keeps what it was shown."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool that must succeed; return its structured content."""
        result = await self.client.call_tool(tool, arguments)
        assert not result.is_error, _text(result)
        content: dict[str, Any] = result.structured_content
        return content

    async def refused(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool that must refuse; return the error, with the text beside it as ``text``."""
        result = await self.client.call_tool(tool, arguments)
        assert result.is_error, _text(result)
        return {**result.structured_content, "text": _text(result)}

    async def follow(self, view: dict[str, Any]) -> dict[str, Any]:
        """Send the call that an answer names as the next."""
        return await self.call(view["next"]["tool"], **view["next"]["arguments"])


async def opened(agent: Agent, upstream: Upstream, **arguments: Any) -> str:
    """Open a session on a repository of this machine; return its id."""
    view = await agent.call("session_create", repository=str(upstream.path), **arguments)
    session: str = view["session_id"]
    return session


async def run(agent: Agent, session: str, command: str) -> str:
    """Run a command that must succeed; return its output."""
    view = await agent.call("command_run", session_id=session, command=command)
    assert view["outcome"] == "succeeded", view
    text: str = view["output"]["text"]
    return text


def _text(result: CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if isinstance(block, TextContent))


@contextlib.asynccontextmanager
async def connect(
    way: str, settings: Settings, on_message: MessageHandlerFnT | None = None
) -> AsyncIterator[Agent]:
    """Connect to a server on the settings' data directory; hear its notifications if wanted."""
    kind, era = way.split("-")
    mode = "legacy" if era == "legacy" else "auto"
    if kind == "stdio":
        async with Client(
            stdio_parameters(settings), mode=mode, message_handler=on_message
        ) as client:
            yield Agent(client)
        return
    if kind == "http":
        async with (
            open_services(settings) as services,
            serving(services, settings, the_person) as url,
            http_client(url, await secret(services, "agent"), mode, on_message) as client,
        ):
            yield Agent(client)
        return
    async with (
        open_services(settings) as services,
        Client(
            build_server(services, lambda: LOCAL),
            mode=mode,
            message_handler=on_message,
            raise_exceptions=True,
        ) as client,
    ):
        yield Agent(client)


def stdio_parameters(settings: Settings) -> StdioServerParameters:
    """Return how a client launches the server."""
    return StdioServerParameters(
        command=sys.executable,
        args=[
            "-m", "debug_mcp", "stdio",
            "--data-dir", str(settings.data_dir), "--isolation", str(settings.isolation),
        ],
        env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"]},
    )  # fmt: skip


def launched_server() -> int:
    """Return the process id of the server that this test has launched over stdio."""
    for child in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
        if b"debug_mcp\0stdio" in Path(f"/proc/{child}/cmdline").read_bytes():
            return int(child)
    raise AssertionError("there is no server")


def the_person() -> Principal:
    """Return who asks in stories: they use paths of this machine, which nobody else may.

    A token is needed all the same.
    """
    assert calling_principal().name == "agent"
    return LOCAL


async def secret(services: Services, name: str, **arguments: Any) -> str:
    """Make a token with every scope, or those that are given; return its secret."""
    args = TokenCreate(**{"name": name, "scopes": list(Scope), **arguments})
    return (await services.tokens.create(LOCAL, args)).secret


@contextlib.asynccontextmanager
async def serving(
    services: Services,
    settings: Settings,
    principal_of: Callable[[], Principal] = calling_principal,
) -> AsyncIterator[str]:
    """Serve HTTP on a free port of this machine; yield the URL of MCP."""
    with listen("127.0.0.1", 0) as listening:
        mcp = build_server(services, principal_of)
        server = HttpServer(
            mcp,
            services.tokens,
            services.audit,
            settings,
            listening,
            routes=http_routes(REST, services, calling_principal),
            on_ending=mcp.subscriptions.close,
        )
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve)
            await server.started.wait()
            try:
                yield server.url
            finally:
                with anyio.CancelScope(shield=True):
                    await server.end()


def script(root: str, token: str) -> httpx2.AsyncClient:
    """Return a client of REST, which its caller closes."""
    headers = {"Authorization": f"Bearer {token}"}
    return httpx2.AsyncClient(base_url=f"{root}/v1", headers=headers, timeout=60)


@contextlib.asynccontextmanager
async def http_client(
    url: str, token: str, mode: str = "auto", on_message: MessageHandlerFnT | None = None
) -> AsyncIterator[Client]:
    """Connect over HTTP with a token."""
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=httpx2.Timeout(60)) as http,
        Client(
            streamable_http_client(url, http_client=http), mode=mode, message_handler=on_message
        ) as client,
    ):
        yield client
