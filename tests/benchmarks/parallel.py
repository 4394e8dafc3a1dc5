"""Many commands at once: long ones, each in a session of its own, and short ones in a few."""

import subprocess
from collections.abc import Iterator

from tests.benchmarks.bench import Bench, interleaved, timed
from tests.benchmarks.table import Budget, Line, Measure

_COMMANDS = 32
_PROGRAM = ["sleep", "1"]
_SHORT, _FEW = 160, 8  # a session queues 20


def lines(bench: Bench) -> Iterator[Line]:
    repository = bench.upstream()
    client = bench.ready(bench.launch(bench.folder / "data", running_commands=_COMMANDS))
    sessions = [bench.session(client, repository) for _ in range(_COMMANDS)]
    calls = [{"session_id": session_id, "command": _PROGRAM} for session_id in sessions]

    def ours() -> None:
        views = client.calls("command_run", calls)
        assert all(view["outcome"] == "succeeded" for view in views), views

    taken, bare = interleaved(bench.samples(3), lambda: timed(ours), lambda: timed(_bare))
    yield Line(
        f"{_COMMANDS} times sleep 1 in {_COMMANDS} sessions",
        Measure([sample / 1000 for sample in taken], "s"),
        Measure([sample / 1000 for sample in bare], "s"),
        "bare processes at once",
        Budget("at most", 1.3),
    )
    short = [
        {"session_id": sessions[number % _FEW], "command": ["true"], "wait_seconds": 50}
        for number in range(_SHORT)
    ]
    taken, bare = interleaved(
        bench.samples(3),
        lambda: timed(lambda: client.calls("command_run", short)),
        lambda: timed(lambda: [subprocess.run(["true"], check=True) for _ in short]),
    )
    yield Line(
        f"{_SHORT} times true, sent at once to {_FEW} sessions",
        Measure([_SHORT / (sample / 1000) for sample in taken], "commands/s"),
        Measure([_SHORT / (sample / 1000) for sample in bare], "commands/s"),
        "bare processes one by one",
    )


def _bare() -> None:
    processes = [subprocess.Popen(_PROGRAM) for _ in range(_COMMANDS)]
    for process in processes:
        process.wait()
