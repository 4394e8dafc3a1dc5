"""Machines on which nothing can be run: a client is told so where it looks."""

import os
import socket
import subprocess
import sys

import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.types import TextContent

from debug_mcp.cli.platforms import elsewhere, without_person

pytestmark = pytest.mark.anyio

# As on Windows: the name of the platform, and modules that only POSIX has.
WINDOWS = """
import sys, asyncio, anyio._backends._asyncio, mcp.server.stdio, platformdirs, pydantic_settings

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name in {"fcntl", "pwd", "grp", "resource", "termios", "pty", "_posixsubprocess"}:
            raise ModuleNotFoundError(name)

for name in ("fcntl", "pwd", "grp", "resource", "termios", "pty"):
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Missing())
sys.platform = "win32"
from debug_mcp.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_on_windows_every_tool_answers_with_the_way_through_wsl(mode: str) -> None:
    parameters = StdioServerParameters(command=sys.executable, args=["-c", WINDOWS, "stdio"])
    async with Client(parameters, mode=mode) as client:
        listed = (await client.list_tools()).tools
        assert listed
        for name in (*(tool.name for tool in listed), "command_run"):
            result = await client.call_tool(name, {"anything": 1})
            assert result.is_error
            [block] = result.content
            assert isinstance(block, TextContent)
            assert (
                'use WSL 2: install debug-mcp there and configure the client with "command": "wsl"'
                in block.text
            )
            assert result.structured_content["error"]["code"] == "unavailable"


@pytest.mark.parametrize("command", [["serve"], ["call", "--list"], ["token", "list"], ["doctor"]])
def test_on_windows_every_other_command_says_so_too(command: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WINDOWS, *command], capture_output=True, text=True, timeout=20
    )
    assert done.returncode == 1
    assert done.stderr.startswith("debug-mcp: debug-mcp runs on Linux; on Windows use WSL 2")


# The same without the name, since the standard library would go by it.
WITHOUT_POSIX = WINDOWS.replace('sys.platform = "win32"', "")


def test_on_windows_a_server_elsewhere_can_be_asked() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_POSIX, "call", "server_info", "--url", url],
        capture_output=True,
        text=True,
        timeout=20,
        env={**os.environ, "DEBUG_MCP_TOKEN": "dmcp_some"},
    )
    # It came as far as to connect.
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"unavailable: {url}/mcp cannot be reached: ")


def test_only_linux_can_run_things() -> None:
    assert elsewhere("linux") is None
    assert "WSL 2" in (elsewhere("win32") or "")
    assert without_person("linux") is without_person("darwin") is None
    assert "debug-mcp call --url" in (without_person("win32") or "")
    assert "ssh" in (elsewhere("darwin") or "")
