"""A cheap tool call, and what the server weighs before and after many of them."""

from collections.abc import Iterator

from tests.benchmarks.bench import Bench, interleaved, timed
from tests.benchmarks.client import Client
from tests.benchmarks.process import memory
from tests.benchmarks.table import Budget, Line, Measure

_BLOCK = 30
_BLOCKS = 10
_TRIVIAL = "the SDK's trivial server"


def lines(bench: Bench) -> Iterator[Line]:
    ours = bench.ready(bench.launch(bench.folder / "data"))
    trivial = bench.ready(bench.launch_trivial())
    yield _weights(ours, trivial, "idle memory after start")
    ours.call("server_info")  # finds out once how commands can be isolated
    trivial.call("add", a=1, b=2)
    blocks = interleaved(
        bench.samples(_BLOCKS),
        lambda: [timed(lambda: ours.call("server_info")) for _ in range(_BLOCK)],
        lambda: [timed(lambda: trivial.call("add", a=1, b=2)) for _ in range(_BLOCK)],
    )
    mine, theirs = ([sample for block in each for sample in block] for each in blocks)
    yield Line(
        "cheap call: server_info",
        Measure(mine, "ms"),
        Measure(theirs, "ms"),
        "its add",
        Budget("at most", 1.3, "ratio"),
    )
    yield _weights(ours, trivial, f"idle memory after {len(mine)} calls")


def _weights(ours: Client, trivial: Client, what: str) -> Line:
    return Line(
        what,
        Measure([memory(ours.pid)], "MiB"),
        Measure([memory(trivial.pid)], "MiB"),
        _TRIVIAL,
        Budget("at most", 1.25, "ratio"),
    )
