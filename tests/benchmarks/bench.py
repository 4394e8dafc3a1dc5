"""What every benchmark works with: a folder, servers in it, and a clock."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from debug_mcp.config import IsolationPolicy
from debug_mcp.models.sessions import Isolation
from debug_mcp.runner.boundary import Boundary, choose_boundary
from tests.benchmarks.client import Client
from tests.upstream import CALCULATOR, Upstream

T = TypeVar("T")
_POLICIES = {
    Isolation.BWRAP: IsolationPolicy.REQUIRE_BWRAP,
    Isolation.NONE: IsolationPolicy.NONE,
}


class Bench:
    """The surroundings of one benchmark; what it started ends with the ``stack``.

    Args:
        folder: An empty folder of its own.
        stack: Closed after the benchmark.
        quick: Take a quarter of the samples.
    """

    def __init__(self, folder: Path, stack: contextlib.ExitStack, *, quick: bool) -> None:
        self.folder = folder
        self.stack = stack
        self.quick = quick
        self.boundary: Boundary = choose_boundary(IsolationPolicy.AUTO)

    @property
    def levels(self) -> list[Isolation]:
        """The levels of isolation that work on this machine."""
        return list(dict.fromkeys([self.boundary.isolation, Isolation.NONE]))

    def samples(self, number: int) -> int:
        """Return how many to take instead of ``number``."""
        return max(number // 4, 3) if self.quick else number

    def launch(self, data: Path, isolation: Isolation | None = None, **settings: object) -> Client:
        """Start our server on a data directory; it may not be listening yet."""
        policy = IsolationPolicy.AUTO if isolation is None else _POLICIES[isolation]
        variables = {f"DEBUG_MCP_{name.upper()}": str(value) for name, value in settings.items()}
        return Client(
            [
                sys.executable, "-m", "debug_mcp", "stdio",
                "--data-dir", str(data), "--isolation", str(policy),
            ],
            {**os.environ, **variables},
        )  # fmt: skip

    def launch_trivial(self) -> Client:
        """Start the SDK's trivial server; it may not be listening yet."""
        return Client([sys.executable, "-m", "tests.benchmarks.trivial"], os.environ)

    def ready(self, client: Client) -> Client:
        """Return a server when it answers; it ends with the benchmark."""
        self.stack.enter_context(client).discover()
        return client

    def upstream(self, files: int = 0) -> str:
        """Return the path of a new repository: a small one, or one of so many files."""
        upstream = Upstream(self.folder / f"upstream-{files}")
        generated = {
            f"package{number // 50}/module{number}.py": f"VALUE = {number}\n" * 40
            for number in range(files)
        }
        upstream.commit("Add everything", generated or CALCULATOR)
        upstream.git("tag", "before")
        upstream.commit("Change some", dict.fromkeys([*list(generated)[:50], "more.py"], ""))
        return str(upstream.path)

    def large_upstream(self, files: int) -> str:
        """Return the path of a new bare repository of so many files, which were never on a disk."""
        path = str(self.folder / f"upstream-{files}.git")
        subprocess.run(["git", "init", "--quiet", "--bare", "-b", "main", path], check=True)
        content = "VALUE = {}\n" * 40
        lines = ["commit refs/heads/main", "committer Ada Example <ada@example.org> 0 +0000"]
        lines += ["data 0", ""]
        for number in range(files):
            text = content.replace("{}", str(number))
            lines += [f"M 644 inline package{number // 50}/module{number}.py", f"data {len(text)}"]
            lines.append(text)
        subprocess.run(
            ["git", "-C", path, "fast-import", "--quiet"],
            input="\n".join([*lines, ""]).encode(),
            check=True,
        )
        return path

    def session(self, client: Client, repository: str) -> str:
        """Open a session and return its id."""
        session_id: str = client.call("session_create", repository=repository)["session_id"]
        return session_id


def clocked(work: Callable[[], T]) -> tuple[float, T]:
    """Return how many milliseconds a piece of work takes, and what it returns."""
    began = time.perf_counter()
    result = work()
    return (time.perf_counter() - began) * 1000, result


def timed(work: Callable[[], object]) -> float:
    """Return how many milliseconds a piece of work takes."""
    return clocked(work)[0]


def interleaved(rounds: int, *works: Callable[[], T]) -> list[list[T]]:
    """Run the works in turn, a round forward and a round backward; return each one's results.

    So all of them see the same machine, and none is always the first.
    """
    results: list[list[T]] = [[] for _ in works]
    order: Sequence[int] = range(len(works))
    for _ in range(rounds):
        for index in order:
            results[index].append(works[index]())
        order = order[::-1]
    return results
