"""A command that does nothing, end to end, beside the processes that it cannot do without."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence

from debug_mcp.models.sessions import Isolation
from tests.benchmarks.bench import Bench, interleaved, timed
from tests.benchmarks.client import Client
from tests.benchmarks.table import Budget, Line, Measure

_INTERPRETER = [sys.executable, "-I", "-S", "-c", "pass"]
_SANDBOX = [
    "--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-net",
    "--die-with-parent", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--", "true",
]  # fmt: skip


def lines(bench: Bench) -> Iterator[Line]:
    repository = bench.upstream()
    works = {"true": starting(["true"]), "interpreter": starting(_INTERPRETER)}
    if bench.boundary.bwrap is not None:
        works["bwrap"] = starting([bench.boundary.bwrap, *_SANDBOX])
    for level in bench.levels:
        client = bench.ready(bench.launch(bench.folder / f"data-{level}", level))
        works[f"command_run {level}"] = run_true(client, bench.session(client, repository))
    for work in works.values():
        work()
    taken = dict(zip(works, interleaved(bench.samples(30), *works.values()), strict=True))
    for level, limit in ((Isolation.BWRAP, 20), (Isolation.NONE, 12)):
        if level in bench.levels:
            yield _line(level, limit, taken)
    yield Line("floor: subprocess.run true", Measure(taken["true"], "ms"))
    yield Line("floor: python -I -S -c pass", Measure(taken["interpreter"], "ms"))
    if "bwrap" in taken:
        yield Line("floor: bwrap true", Measure(taken["bwrap"], "ms"))


def _line(level: Isolation, limit: float, taken: dict[str, list[float]]) -> Line:
    parts = ["interpreter", "bwrap" if level is Isolation.BWRAP else "true"]
    floor = [sum(pair) for pair in zip(*(taken[part] for part in parts), strict=True)]
    return Line(
        f"command_run true, {level}",
        Measure(taken[f"command_run {level}"], "ms"),
        Measure(floor, "ms"),
        f"python -I -S and {parts[1]}",
        Budget("at most", limit),
    )


def starting(arguments: Sequence[str]) -> Callable[[], float]:
    """Return what times a bare process."""
    return lambda: timed(lambda: subprocess.run(arguments, check=True))


def run_true(client: Client, session_id: str) -> Callable[[], float]:
    """Return what times a ``command_run`` of ``true`` that must succeed."""

    def work() -> None:
        view = client.call("command_run", session_id=session_id, command=["true"])
        assert view["outcome"] == "succeeded", view

    return lambda: timed(work)
