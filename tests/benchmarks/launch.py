"""From the launch of the server to its first reply."""

from collections.abc import Callable, Iterator

from tests.benchmarks.bench import Bench, clocked, interleaved, timed
from tests.benchmarks.client import Client
from tests.benchmarks.table import Budget, Line, Measure


def lines(bench: Bench) -> Iterator[Line]:
    data = bench.folder / "data"
    works = [first_reply(lambda: bench.launch(data)), first_reply(bench.launch_trivial)]
    for work in works:
        work()  # compiles what was not compiled, and makes the data directory
    ours, trivial = interleaved(bench.samples(7), *works)
    yield Line(
        "launch to first reply",
        Measure(ours, "ms"),
        Measure(trivial, "ms"),
        "the SDK's trivial server",
        Budget("at most", 1.15, "ratio"),
    )


def first_reply(launch: Callable[[], Client]) -> Callable[[], float]:
    """Return what launches a server, times that, and ends it again."""

    def work() -> float:
        launched, client = clocked(launch)
        with client:
            return launched + timed(client.discover)

    return work
