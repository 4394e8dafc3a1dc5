"""From a failing test to a branch in the person's checkout."""

import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import anyio
from mcp import Client
from mcp.client.stdio import StdioServerParameters

BIN = Path(sys.executable).parent

FILES = {
    "greeter.py": 'def greet(name):\n    return "Hello " + nam\n',
    "test_greeter.py": (
        'from greeter import greet\n\n\ndef test_greet():\n    assert greet("Ada") == "Hello Ada"\n'
    ),
    "pytest.ini": "[pytest]\n",
}


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=example", "-c", "user.email=example@localhost")
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def make_repository(folder: Path) -> None:
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    for name, content in FILES.items():
        (folder / name).write_text(content)
    git(folder, "add", "--all")
    git(folder, "commit", "-qm", "Greet")


async def main(folder: Path) -> None:
    repository = folder / "greeter"
    make_repository(repository)
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "debug_mcp", "stdio", "--data-dir", str(folder / "data")],
        # Commands find their programs on the server's PATH: here the pytest beside this Python.
        env={"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"},
    )
    async with Client(server) as client:

        async def call(tool: str, **arguments: Any) -> Any:
            result = await client.call_tool(tool, arguments)
            assert not result.is_error, result.structured_content
            return result.structured_content

        session = await call("session_create", repository=str(repository))
        tests = session["project"]["tests"]
        run = {"session_id": session["session_id"]}

        failed = await call("command_run", **run, command=tests)
        assert failed["outcome"] == "failed", failed
        print(failed["output"]["text"])

        await call("command_run", **run, command="sed -i 's/nam$/name/' greeter.py")
        passed = await call("command_run", **run, command=tests)
        assert passed["outcome"] == "succeeded", passed
        print(passed["output"]["text"])

        exported = await call("session_export", **run, message="Greet by name")
        git(repository, *shlex.split(exported["fetch"])[1:])
        assert git(repository, "rev-parse", exported["branch"]) == exported["commit"]
        print(f"{exported['branch']} is in the checkout: {exported['lines']}")
        await call("session_close", **run)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        anyio.run(main, Path(scratch))
