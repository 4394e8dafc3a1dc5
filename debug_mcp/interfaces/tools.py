"""Operations as MCP tools."""

from typing import Any

from mcp.types import CallToolResult, TextContent, Tool, ToolAnnotations

from debug_mcp.errors import DebugMcpError
from debug_mcp.interfaces.errors import error_facts, error_text
from debug_mcp.interfaces.render import render
from debug_mcp.interfaces.schema import slim_schema
from debug_mcp.operations.registry import Call, Operation, named


class Tools:
    """The tools of one server, in a fixed order."""

    def __init__(self, operations: tuple[Operation, ...]) -> None:
        self._operations = operations
        self.listing = [_tool(operation) for operation in operations]
        self._schemas = {tool.name: tool.input_schema for tool in self.listing}

    def schema(self, name: str) -> dict[str, Any] | None:
        """Return a tool's input schema, or None when there is no such tool."""
        return self._schemas.get(name)

    async def call(self, call: Call, name: str, arguments: dict[str, Any]) -> CallToolResult:
        """Run a tool. What went wrong is a result too, so that the model can put it right."""
        try:
            view = await named(self._operations, name).invoke(call, arguments)
        except DebugMcpError as error:
            return refused(error)
        facts = view.compact()
        return _result(facts, render(facts))


def refused(error: DebugMcpError) -> CallToolResult:
    """Return the result of a call that was not made, or could not be."""
    return _result(error_facts(error), error_text(error), is_error=True)


def _tool(operation: Operation) -> Tool:
    return Tool(
        name=operation.name,
        title=operation.title,
        description=operation.description,
        input_schema=slim_schema(operation.arguments),
        annotations=ToolAnnotations(
            read_only_hint=operation.read_only,
            destructive_hint=operation.destructive,
            idempotent_hint=operation.idempotent,
            open_world_hint=operation.open_world,
        ),
    )


def _result(facts: dict[str, Any], text: str, *, is_error: bool = False) -> CallToolResult:
    return CallToolResult(
        content=[TextContent(type="text", text=text)],
        structured_content=facts,
        is_error=is_error,
    )
