"""Connecting as a real client does: in memory in both protocol eras, or to a true subprocess."""

import contextlib
import os
import sys
from collections.abc import AsyncIterator
from typing import Any

from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.types import CallToolResult, TextContent

from debug_mcp.app import open_services
from debug_mcp.auth.principal import LOCAL
from debug_mcp.config import Settings
from debug_mcp.interfaces.server import build_server

WAYS = ("memory-modern", "memory-legacy", "stdio-modern", "stdio-legacy")


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


async def run(agent: Agent, session: str, command: str) -> str:
    """Run a command that must succeed; return its output."""
    view = await agent.call("command_run", session_id=session, command=command)
    assert view["outcome"] == "succeeded", view
    text: str = view["output"]["text"]
    return text


def _text(result: CallToolResult) -> str:
    return "\n".join(block.text for block in result.content if isinstance(block, TextContent))


@contextlib.asynccontextmanager
async def connect(way: str, settings: Settings) -> AsyncIterator[Agent]:
    """Connect to a server on the settings' data directory."""
    kind, era = way.split("-")
    mode = "legacy" if era == "legacy" else "auto"
    if kind == "stdio":
        async with Client(stdio_parameters(settings), mode=mode) as client:
            yield Agent(client)
        return
    async with (
        open_services(settings) as services,
        Client(build_server(services, lambda: LOCAL), mode=mode, raise_exceptions=True) as client,
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
