"""A session with a built environment against one of a repository without a set-up, in turns.

The budget is issue 8's: 100 ms more at most.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.bench import Bench, clocked
from tests.benchmarks.client import Client
from tests.benchmarks.table import Budget, Line, Measure

_ROUNDS = 12
_PACKAGES = 200
_RECIPE = {
    "run": "for n in $(seq 200); do mkdir -p node_modules/p$n; echo $n > node_modules/p$n/i; done;"
    " cp -r node_modules $DEBUG_MCP_ENV",
    "locks": ["more.py"],
}


def lines(bench: Bench) -> Iterator[Line]:
    client = bench.ready(bench.launch(bench.folder / "data", pool_trees=0))
    plain = bench.upstream()
    for what, outputs in (("/env", []), (f"{_PACKAGES} files copied", ["node_modules"])):
        other = str(bench.folder / f"with-{len(outputs)}")
        shutil.copytree(plain, other)
        client.call("repository_init", url=plain)
        client.call("repository_init", url=other, setup={**_RECIPE, "outputs": outputs})
        _open(client, other)  # builds it
        _open(client, plain)
        with_it, without = [], []
        for _ in range(bench.samples(_ROUNDS)):
            with_it.append(_open(client, other))
            without.append(_open(client, plain))
        more = [max(a - b, 0) for a, b in zip(with_it, without, strict=True)]
        yield Line(
            f"session_create, environment built before, {what}",
            Measure(with_it, "ms"),
            Measure(without, "ms"),
            "the same without a set-up",
        )
        yield Line(f"of that for the environment, {what}", Measure(more, "ms"), budget=_BUDGET)


_BUDGET = Budget("at most", 100)


def _open(client: Client, repository: str) -> float:
    """Open a session and close it; return how many milliseconds the opening took."""
    took, session = clocked(lambda: client.call("session_create", repository=Path(repository).name))
    assert session.get("setup", {}).get("outcome") in (None, "succeeded"), session
    client.call("session_close", session_id=session["session_id"])
    return took
