"""Work leaves a session in every way there is: patch, branch, upstream, and what closing saves."""

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


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=example", "-c", "user.email=example@localhost")
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def make_repository(folder: Path) -> None:
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "notes.txt").write_text("one\n")
    git(folder, "add", "--all")
    git(folder, "commit", "-qm", "Begin")


def by_hand(folder: Path, line: str) -> None:
    """Do what the person does with a line that an answer names."""
    subprocess.run(shlex.split(line), cwd=folder, check=True, capture_output=True)


async def main(folder: Path) -> None:
    repository = folder / "notes"
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

        session = (await call("session_create", repository=str(repository)))["session_id"]
        await call("command_run", session_id=session, command="echo two >> notes.txt; echo x > new")

        status = await call("session_get", session_id=session)
        print("not committed:", ", ".join(status["changes"]["files"]))
        diff = await call("session_diff", session_id=session)
        print("lines:", diff["lines"])

        patch = await call("session_export", session_id=session, **{"as": "patch"})
        by_hand(repository, patch["apply"])
        print("as a patch:", git(repository, "status", "--short").replace("\n", ", "))
        git(repository, "reset", "-q", "--hard")
        git(repository, "clean", "-qf")

        branch = await call("session_export", session_id=session, branch="add-two")
        by_hand(repository, branch["fetch"])
        print("as a branch:", git(repository, "log", "-1", "--format=%s", "add-two"))

        pushed = await call("session_export", session_id=session, branch="for-review", push=True)
        assert git(repository, "rev-parse", "for-review") == pushed["commit"]
        print("pushed: for-review")

        aside = "git switch -qc aside && echo a > a && git add a && git commit -qm Aside"
        await call("command_run", session_id=session, command=aside)
        await call("command_run", session_id=session, command="git switch -q - && echo end > last")
        closed = await call("session_close", session_id=session)
        by_hand(repository, closed["exported"]["fetch"])
        by_hand(repository, closed["exported"]["fetch_others"])
        print("saved at the end:", closed["exported"]["branch"], *closed["exported"]["others"])
        assert git(repository, "show", f"{closed['exported']['branch']}:last") == "end"
        assert git(repository, "show", f"{session}/aside:a") == "a"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        anyio.run(main, Path(temporary))
