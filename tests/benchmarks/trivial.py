"""The SDK's smallest useful server: what no server on this SDK can be cheaper than."""

from mcp.server import MCPServer

server = MCPServer("trivial")


@server.tool()
async def add(a: int, b: int) -> int:
    """Return the sum."""
    return a + b


if __name__ == "__main__":
    server.run("stdio")
