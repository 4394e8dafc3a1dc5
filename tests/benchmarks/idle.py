"""What two servers on one data directory do when nobody asks anything of them."""

import time
from collections.abc import Iterator, Sequence

from tests.benchmarks.bench import Bench
from tests.benchmarks.client import Client
from tests.benchmarks.process import cpu_time
from tests.benchmarks.table import Budget, Line, Measure

_SECONDS = 20
_SETTLE_SECONDS = 2


def lines(bench: Bench) -> Iterator[Line]:
    seconds = _SECONDS // 2 if bench.quick else _SECONDS
    data = bench.folder / "data"
    ours = [bench.ready(bench.launch(data)) for _ in range(2)]
    trivial = [bench.ready(bench.launch_trivial()) for _ in range(2)]
    time.sleep(_SETTLE_SECONDS)
    before = _spent(ours), _spent(trivial)
    time.sleep(seconds)
    after = _spent(ours), _spent(trivial)
    mine, theirs = ((end - start) * 60 / seconds for start, end in zip(before, after, strict=True))
    yield Line(
        "idle processor time in 60 s, two servers",
        Measure([mine], "ms"),
        Measure([theirs], "ms"),
        "two of the SDK's trivial servers",
        Budget("at most", 20),
    )


def _spent(clients: Sequence[Client]) -> float:
    return sum(cpu_time(client.pid) for client in clients)
