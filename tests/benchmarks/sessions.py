"""Opening a session: the first one of a repository, which also makes its mirror, and further ones.

The budget is 50 ms for trees prepared at the commit, and 200 ms for those that are switched.
"""

import itertools
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from debug_mcp.worktrees.pool import shelves
from tests.benchmarks.bench import Bench, timed
from tests.benchmarks.client import Client
from tests.benchmarks.table import Budget, Line, Measure

_FILES = 5000
_MANY_FILES = 78_000  # as the sources of Linux
_ROUNDS = 3
_POOL = 2  # trees, by default


def lines(bench: Bench) -> Iterator[Line]:
    yield from _lines(bench, bench.upstream(), "small repository")
    yield from _lines(bench, bench.upstream(_FILES), f"{_FILES:,} files")
    yield _large(bench, bench.large_upstream(_MANY_FILES), f"{_MANY_FILES:,} files")


def _large(bench: Bench, repository: str, what: str) -> Line:
    data = bench.folder / "data-large"
    client = bench.ready(bench.launch(data))
    bench.session(client, repository)
    prepared = [_prepared(bench, client, data, repository) for _ in range(_ROUNDS)]
    return Line(
        f"session_create, {what}, prepared", Measure(prepared, "ms"), budget=Budget("at most", 50)
    )


def _prepared(bench: Bench, client: Client, data: Path, repository: str, **ref: str) -> float:
    """Return how long a session takes when the pool is full."""
    while sum(len(shelf.ready()) for shelf in shelves(data / "pool")) < _POOL:
        time.sleep(0.05)
    return timed(lambda: client.call("session_create", repository=repository, **ref))


def _lines(bench: Bench, repository: str, what: str) -> Iterator[Line]:
    first, further, copied, shared = [], [], [], []
    prepared, switched = [], []
    for number in range(_ROUNDS):
        data = bench.folder / f"data-{number}-{what}"
        client = bench.ready(bench.launch(data))
        client.call("server_info")  # finds out once how commands can be isolated
        copied.append(timed(_cloning(bench, repository, "--no-local")))
        first.append(timed(lambda: bench.session(client, repository)))  # noqa: B023
        shared.append(timed(_cloning(bench, repository, "--shared")))
        further.append(timed(lambda: bench.session(client, repository)))  # noqa: B023
        prepared.append(_prepared(bench, client, data, repository))
        switched.append(_prepared(bench, client, data, repository, ref="before"))
    yield Line(
        f"session_create, {what}, first",
        Measure(first, "ms"),
        Measure(copied, "ms"),
        "git clone --no-local",
    )
    yield Line(
        f"session_create, {what}, further",
        Measure(further, "ms"),
        Measure(shared, "ms"),
        "git clone --shared",
    )

    yield Line(
        f"session_create, {what}, prepared", Measure(prepared, "ms"), budget=Budget("at most", 50)
    )
    yield Line(
        f"session_create, {what}, prepared at another commit",
        Measure(switched, "ms"),
        budget=Budget("at most", 200),
    )


_numbers = itertools.count()


def _cloning(bench: Bench, repository: str, option: str) -> Callable[[], object]:
    target = str(bench.folder / f"clone-{next(_numbers)}")
    arguments = ["git", "clone", "--quiet", option, repository, target]
    return lambda: subprocess.run(arguments, check=True)
