"""A server for machines where nothing can be run: it answers every call with what to do instead.

A client shows the answer of a tool, and hides what a server that does not start prints. Nothing
here may import what a platform other than Linux lacks.
"""

from mcp.server import Server, ServerRequestContext
from mcp.server.stdio import stdio_server
from mcp.types import (
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
)

from debug_mcp import __version__

Context = ServerRequestContext[object]


def build_sentence_server(sentence: str) -> Server[object]:
    """Return a server whose every tool says the sentence, whatever its name."""
    error = {"error": {"code": "unavailable", "message": sentence}}

    async def list_tools(_: Context, __: PaginatedRequestParams | None) -> ListToolsResult:
        tools = [
            Tool(name=name, description=sentence, input_schema={"type": "object", "properties": {}})
            for name in ("session_create", "server_info")
        ]
        return ListToolsResult(tools=tools)

    async def call_tool(_: Context, __: CallToolRequestParams) -> CallToolResult:
        return CallToolResult(
            content=[TextContent(type="text", text=f"unavailable: {sentence}")],
            structured_content=error,
            is_error=True,
        )

    return Server(
        "debug-mcp",
        version=__version__,
        title="debug-mcp",
        instructions=sentence,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


async def serve_sentence(sentence: str) -> None:
    """Serve one client over standard input and output until the input ends."""
    server = build_sentence_server(sentence)
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())
