"""A program that asks: questions answered one by one, an interpreter that stays, an interrupt."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import anyio
from mcp import Client
from mcp.client.stdio import StdioServerParameters

BIN = Path(sys.executable).parent

WIZARD = """\
name = input("project name: ")
while not name.isidentifier():
    print(f"{name!r} is no identifier")
    name = input("project name: ")
if input(f"make {name}/? [y/N] ") == "y":
    import pathlib
    pathlib.Path(name).mkdir()
    print("made", name)
"""


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=example", "-c", "user.email=example@localhost")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True)


def make_repository(folder: Path) -> None:
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "new_project.py").write_text(WIZARD)
    git(folder, "add", "--all")
    git(folder, "commit", "-qm", "A wizard")


async def main(folder: Path) -> None:
    repository = folder / "wizard"
    make_repository(repository)
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "debug_mcp", "stdio", "--data-dir", str(folder / "data")],
        env={"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"},
    )
    async with Client(server) as client:

        async def call(tool: str, **arguments: Any) -> Any:
            result = await client.call_tool(tool, arguments)
            assert not result.is_error, result.structured_content
            return result.structured_content

        session = await call("session_create", repository=str(repository))
        run = {"session_id": session["session_id"], "wait_seconds": 20}

        # A pipe that stays open. Each answer of the server ends at the next question.
        asked = await call(
            "command_run", **run, command="python3 -u new_project.py", stdin="open", until="name: "
        )
        print(asked["output"]["text"].strip())
        typing = {"command_id": asked["command_id"], "wait_seconds": 20}
        again = await call("command_input", **typing, text="my project\n", until="name: ")
        print(again["output"]["text"].strip())
        sure = await call("command_input", **typing, text="my_project\n", until="[y/N] ")
        print(sure["output"]["text"].strip())
        await call("command_input", **typing, text="y\n", until="made")
        made = await call("command_wait", command_id=asked["command_id"])
        assert made["outcome"] == "succeeded", made

        # A terminal, for a program that looks whether it has one; beside the session's queue.
        shell = await call(
            "command_run", **run, command="python3 -q", tty=True, parallel=True, until=">>> "
        )
        typing = {"command_id": shell["command_id"], "wait_seconds": 20}
        # An endless loop: without ``until`` the answer comes after ``wait_seconds``, 1 by default.
        loop = await call(
            "command_input", command_id=shell["command_id"], text="while True: pass\n\n"
        )
        assert loop["state"] == "running", loop
        stopped = await call("command_input", **typing, key="ctrl-c", until="KeyboardInterrupt")
        assert stopped["until"]["by"] == "match", stopped
        answer = await call("command_input", **typing, text="6 * 7\n", until="42")
        print(f"after an interrupt it still counts: {answer['until']['text']}")
        await call("command_input", **typing, key="ctrl-d")
        ended = await call("command_wait", command_id=shell["command_id"])
        print(f"{ended['outcome']}, exit code {ended['exit_code']}")
        await call("session_close", session_id=session["session_id"])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        anyio.run(main, Path(scratch))
