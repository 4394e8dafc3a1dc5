"""Two agents on one server, over HTTP: a lost connection, and what neither sees of the other."""

import contextlib
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client


class Operator:
    """Who runs the server: makes tokens, and registers what agents work on."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"

    def does(self, *arguments: str) -> Any:
        command = [sys.executable, "-m", "debug_mcp", *arguments, "--data-dir", str(self.data)]
        done = subprocess.run([*command, "--json"], check=True, capture_output=True, text=True)
        return json.loads(done.stdout)

    @contextlib.contextmanager
    def serving(self) -> Iterator[str]:
        """Run `debug-mcp serve` on a free port; yield its URL. It ends on SIGTERM."""
        command = [sys.executable, "-m", "debug_mcp", "serve", "--port", "0"]
        with subprocess.Popen(
            [*command, "--data-dir", str(self.data)], stderr=subprocess.PIPE, text=True
        ) as server:
            assert server.stderr is not None
            said = server.stderr.readline()
            found = re.search(r"http://\S+", said)
            assert found, said
            try:
                yield found[0]
            finally:
                server.terminate()


class Agent:
    """A client that shows what it asks."""

    def __init__(self, name: str, client: Client) -> None:
        self.name = name
        self.client = client

    async def call(self, tool: str, *, refused: bool = False, **arguments: Any) -> Any:
        result = await self.client.call_tool(tool, arguments)
        assert result.is_error == refused, result.structured_content
        print(f"{self.name}: {tool} {json.dumps(arguments)}")
        return result.structured_content


@contextlib.asynccontextmanager
async def connected(name: str, url: str, token: str) -> AsyncIterator[Agent]:
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        # A call may wait up to 50 seconds.
        httpx2.AsyncClient(headers=headers, timeout=httpx2.Timeout(60)) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        yield Agent(name, client)


def make_repository(folder: Path) -> None:
    folder.mkdir()
    (folder / "slow.sh").write_text("for part in 1 2 3; do echo part $part; sleep 1; done\n")
    for arguments in (
        ["init", "-q", "-b", "main"],
        ["add", "--all"],
        ["-c", "user.name=example", "-c", "user.email=example@localhost", "commit", "-qm", "Slow"],
    ):
        subprocess.run(["git", *arguments], cwd=folder, check=True)


async def main(folder: Path) -> None:
    make_repository(folder / "slow")
    operator = Operator(folder)
    # Paths of the server's machine are the operator's to name, never an agent's.
    operator.does("call", "repository_init", f"url={folder / 'slow'}", "name=slow")
    ada = operator.does("token", "create", "ada")["secret"]
    bob = operator.does("token", "create", "bob")["secret"]

    with operator.serving() as url:
        async with connected("ada", url, ada) as agent:
            session = await agent.call("session_create", repository="slow")
            run = {"session_id": session["session_id"]}
            view = await agent.call("command_run", **run, command="sh slow.sh", wait_seconds=0)
            assert view["state"] != "finished", view
        print("ada's connection is gone; her command goes on")

        async with connected("bob", url, bob) as agent:
            error = await agent.call("command_wait", refused=True, command_id=view["command_id"])
            print(f"  {error['error']['code']}: {error['error']['message']}")

        async with connected("ada", url, ada) as agent:
            view = await agent.call("command_wait", command_id=view["command_id"])
            assert view["outcome"] == "succeeded", view
            print("  " + view["output"]["text"].replace("\n", "\n  ").rstrip())
            await agent.call("session_close", **run)

        operator.does("token", "revoke", "bob")
        async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {bob}"}) as http:
            answer = await http.post(url, json={})
        assert answer.status_code == 401
        print(f"bob's token is revoked: {answer.status_code} {answer.json()['error']['message']}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        anyio.run(main, Path(scratch))
