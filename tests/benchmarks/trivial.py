"""The SDK's smallest useful server: what no server on this SDK can be cheaper than.

Over stdio, or with a port over HTTP.
"""

import sys

from mcp.server import MCPServer

server = MCPServer("trivial", log_level="WARNING")


@server.tool()
async def add(a: int, b: int) -> int:
    """Return the sum."""
    return a + b


if __name__ == "__main__":
    if sys.argv[1:]:
        server.run("streamable-http", port=int(sys.argv[1]))
    else:
        server.run("stdio")
