"""The dependencies of a project are installed once, and every session has them at once."""

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import anyio
from mcp import Client
from mcp.client.stdio import StdioServerParameters

BIN = Path(sys.executable).parent
TEST = "import greeting\n\n\ndef test_greets():\n    assert greeting.WORD == 'hello'\n"


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=example", "-c", "user.email=example@localhost")
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.rstrip()


def commit_dependency(checkout: Path, version: str) -> None:
    """Commit a project that needs one small package, which lies beside it as a wheel."""
    name = f"greeting-{version}-py3-none-any.whl"
    info = f"greeting-{version}.dist-info"
    (checkout / "wheels").mkdir(exist_ok=True)
    with zipfile.ZipFile(checkout / "wheels" / name, "w") as wheel:
        wheel.writestr("greeting.py", "WORD = 'hello'\n")
        wheel.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: greeting\nVersion: {version}\n"
        )
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    (checkout / "requirements.txt").write_text(f"./wheels/{name}\n")
    (checkout / "test_greeting.py").write_text(TEST)
    git(checkout, "add", "--all")
    git(checkout, "commit", "--quiet", f"--message=Depend on greeting {version}")


async def main(scratch: Path) -> None:
    checkout = scratch / "project"
    checkout.mkdir()
    git(checkout, "init", "--quiet", "--initial-branch=main")
    commit_dependency(checkout, "1.0")

    server = StdioServerParameters(
        command=str(BIN / "debug-mcp"),
        args=["stdio", "--data-dir", str(scratch / "data")],
        env={"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"},
    )
    async with Client(server) as client:

        async def call(tool: str, **arguments: Any) -> Any:
            result = await client.call_tool(tool, arguments)
            assert not result.is_error, result.structured_content
            return result.structured_content

        setup = {
            "run": "pip install --no-index -q -r requirements.txt",
            "locks": ["requirements.txt", "wheels"],
        }
        await call("repository_init", url=str(checkout), setup=setup)

        first = await call("session_create", wait_seconds=50)
        assert first["setup"]["outcome"] == "succeeded", first
        print("the first session builds the environment")

        second = await call("session_create")
        assert second["setup"] == first["setup"]
        tested = await call("command_run", session_id=second["session_id"], command="pytest -q")
        assert tested["outcome"] == "succeeded", tested
        print(f"the second has it: {tested['output']['text'].rstrip().splitlines()[-1]}")

        commit_dependency(checkout, "1.1")
        third = await call("session_create", wait_seconds=50)
        assert third["setup"]["outcome"] == "succeeded", third
        assert third["setup"]["environment"] != first["setup"]["environment"]
        shown = "python -c 'import importlib.metadata as m; print(m.version(\"greeting\"))'"
        for view in (first, third):
            said = await call("command_run", session_id=view["session_id"], command=shown)
            print(f"greeting {said['output']['text'].rstrip()}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        anyio.run(main, Path(scratch))
