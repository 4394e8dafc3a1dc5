"""Opening a session: the first one of a repository, which also makes its mirror, and further ones.

The budget of 50 ms is for trees that were prepared before they are asked for; none are yet.
"""

import itertools
import subprocess
from collections.abc import Callable, Iterator

from tests.benchmarks.bench import Bench, timed
from tests.benchmarks.table import Line, Measure

_FILES = 5000
_ROUNDS = 3


def lines(bench: Bench) -> Iterator[Line]:
    yield from _lines(bench, bench.upstream(), "small repository")
    yield from _lines(bench, bench.upstream(_FILES), f"{_FILES:,} files")


def _lines(bench: Bench, repository: str, what: str) -> Iterator[Line]:
    first, further, copied, shared = [], [], [], []
    for number in range(_ROUNDS):
        data = bench.folder / f"data-{number}-{what}"
        client = bench.ready(bench.launch(data))
        client.call("server_info")  # finds out once how commands can be isolated
        copied.append(timed(_cloning(bench, repository, "--no-local")))
        first.append(timed(lambda: bench.session(client, repository)))  # noqa: B023
        shared.append(timed(_cloning(bench, repository, "--shared")))
        further.append(timed(lambda: bench.session(client, repository)))  # noqa: B023
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


_numbers = itertools.count()


def _cloning(bench: Bench, repository: str, option: str) -> Callable[[], object]:
    target = str(bench.folder / f"clone-{next(_numbers)}")
    arguments = ["git", "clone", "--quiet", option, repository, target]
    return lambda: subprocess.run(arguments, check=True)
