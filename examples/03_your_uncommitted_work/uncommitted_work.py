"""An agent goes on from what you have not committed yet, and your checkout stays as it is."""

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

COMMITTED = {
    "slug.py": "def slug(title):\n    return title.lower()\n",
    "pytest.ini": "[pytest]\n",
    ".gitignore": "__pycache__/\n",
}
# What the person was in the middle of: a new test, and a first try that is not right yet.
HALF_DONE = {
    "slug.py": 'def slug(title):\n    return title.lower().replace(" ", "-")\n',
    "test_slug.py": (
        "from slug import slug\n\n\n"
        "def test_words_are_joined():\n"
        '    assert slug("  Half  done ") == "half-done"\n'
    ),
}


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=example", "-c", "user.email=example@localhost")
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.rstrip()


def write(folder: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (folder / name).write_text(content)


async def main(folder: Path) -> None:
    checkout = folder / "slugs"
    checkout.mkdir()
    git(checkout, "init", "-q", "-b", "main")
    write(checkout, COMMITTED)
    git(checkout, "add", "--all")
    git(checkout, "commit", "-qm", "Slugs")
    write(checkout, HALF_DONE)
    before = git(checkout, "status", "--short")
    print(f"the person's checkout:\n{before}")

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

        # A session begins at a commit. That there is more is a hint, with the call that takes it.
        clean = await call("session_create", repository=str(checkout))
        print(f"hint: {clean['hint']}")
        await call("session_close", session_id=clean["session_id"])

        session = await call(clean["next"]["tool"], **clean["next"]["arguments"])
        print(f"uncommitted: {', '.join(session['uncommitted']['files'])}")
        run = {"session_id": session["session_id"]}
        failed = await call("command_run", **run, command="pytest -q")
        assert failed["outcome"] == "failed", failed
        print(failed["tests"]["failures"][0]["error"].splitlines()[0])

        edit = {
            "path": "slug.py",
            "old": 'title.lower().replace(" ", "-")',
            "new": '"-".join(title.lower().split())',
        }
        await call("file_edit", **run, edits=[edit])
        passed = await call("command_run", **run, command="pytest -q")
        assert passed["outcome"] == "succeeded", passed
        print(passed["output"]["text"].rstrip().splitlines()[-1])

        exported = await call("session_export", **run, branch="slugs-done", message="Join words")
        await call("session_close", **run)

    assert git(checkout, "status", "--short") == before
    print("the person's checkout is as it was; the branch comes with git fetch:")
    git(checkout, *shlex.split(exported["fetch"])[1:])
    print(git(checkout, "diff", "-R", "slugs-done", "--", "slug.py"))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        anyio.run(main, Path(scratch))
