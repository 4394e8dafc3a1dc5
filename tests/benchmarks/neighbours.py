"""A command in one session, while another session does its worst: its 95th percentile beside alone.

The neighbours are stopped by their limits or by us; the budget is 3 times the value alone.
"""

import statistics
from collections.abc import Iterator

from tests.benchmarks.bench import Bench, timed
from tests.benchmarks.client import Client
from tests.benchmarks.table import Budget, Line, Measure

_SAMPLES = 60
_GIB = 1 << 30

_NEIGHBOURS = {
    "forks without end": "f() { f | f & }; f; sleep 30",
    "fills its disk": "while :; do cat /dev/zero; done > zeros",
    "writes 10 GB of output": "head -c 10G /dev/zero",
    "opens every file it may": (
        'python3 -c "import os\nfor _ in range(8):\n    if os.fork() == 0: break\n'
        "files = []\n"
        "while True:\n    try: files.append(open('/dev/null'))\n    except OSError: pass\""
    ),
    "takes all memory it may": "python3 -c \"kept = []\nwhile 1: kept.append(b'x' * (1 << 24))\"",
}


def lines(bench: Bench) -> Iterator[Line]:
    repository = bench.upstream()
    client = bench.ready(
        bench.launch(
            bench.folder / "data",
            session_disk_bytes=2 * _GIB,
            command_memory_bytes=2 * _GIB,
            command_processes=500,
        )
    )
    session, other = bench.session(client, repository), bench.session(client, repository)
    client.call("command_run", session_id=session, command="true")  # looks for the tools once
    samples = bench.samples(_SAMPLES)
    for what, command in _NEIGHBOURS.items():
        alone = _p95(client, session, samples)
        asked = {"session_id": other, "command": command, "timeout_seconds": 30}
        neighbour = client.call("command_run", **asked, wait_seconds=0)["command_id"]
        beside = _p95(client, session, samples)
        client.call("command_cancel", command_id=neighbour)
        client.call("command_run", session_id=other, command="rm -f zeros")
        yield Line(
            f"true, p95, beside one that {what}",
            Measure([beside], "ms"),
            Measure([alone], "ms"),
            "alone",
            Budget("at most", 3.0, of="ratio"),
        )


def _p95(client: Client, session: str, samples: int) -> float:
    def work() -> None:
        view = client.call("command_run", session_id=session, command="true")
        assert view["outcome"] == "succeeded", view

    return statistics.quantiles([timed(work) for _ in range(samples)], n=20)[-1]
