"""A server that finds a thousand commands which ended, or were lost, while none was there."""

import contextlib
import shutil
import sqlite3
from collections.abc import Callable, Iterator

from debug_mcp.config import Layout
from debug_mcp.models.sessions import Isolation
from tests.benchmarks.bench import Bench, interleaved, timed
from tests.benchmarks.client import Client
from tests.benchmarks.launch import first_reply
from tests.benchmarks.table import Line, Measure

_COMMANDS = 1_000
# As a server leaves it that was killed: begun, and the end not seen.
_LEAVE = """
UPDATE commands SET state = 'running', instance = 'gone', ended_at = NULL, outcome = NULL,
    exit_code = NULL, elapsed_seconds = NULL, collected = NULL
"""
_COPY = """
INSERT INTO commands (id, session_id, principal, state, request, accepted_at, instance, started_at)
SELECT ?, session_id, principal, 'running', request, accepted_at, 'gone', started_at
FROM commands WHERE id = ?
"""
_UNFINISHED = "SELECT count(*) FROM commands WHERE state <> 'finished'"


def lines(bench: Bench) -> Iterator[Line]:
    repository = bench.upstream()
    left, empty = Layout(bench.folder / "left"), Layout(bench.folder / "empty")
    for layout in (empty, left):
        with bench.launch(layout.root, Isolation.NONE) as client:
            command = _run(client, bench.session(client, repository))
    _multiply(left, command)

    def launch() -> Client:
        with _ledger(left) as ledger:
            ledger.execute(_LEAVE)
        return bench.launch(left.root, Isolation.NONE)

    launches = interleaved(
        bench.samples(3),
        first_reply(launch),
        first_reply(lambda: bench.launch(empty.root, Isolation.NONE)),
    )
    reply, reference = (Measure(each, "ms") for each in launches)
    what = f"{_COMMANDS:,} unfinished commands in the ledger"
    yield Line(f"{what}: launch", reply, reference, "none there")
    [taken] = interleaved(bench.samples(3), _all_ended(launch, left))
    yield Line(f"{what}: launch until all have their end", Measure(taken, "ms"))


def _run(client: Client, session_id: str) -> str:
    view = client.call("command_run", session_id=session_id, command="echo done")
    assert view["outcome"] == "succeeded", view
    return str(view["command_id"])


def _multiply(layout: Layout, command: str) -> None:
    """Let a thousand commands have run as one did."""
    with _ledger(layout) as ledger:
        for number in range(_COMMANDS):
            ledger.execute(_COPY, (f"c_left{number}", command))
            shutil.copytree(layout.commands / command, layout.commands / f"c_left{number}")


def _all_ended(launch: Callable[[], Client], layout: Layout) -> Callable[[], float]:
    def wait(client: Client) -> None:
        client.discover()
        while client.call("server_info")["load"]["running"]:
            pass

    def work() -> float:
        with launch() as client:
            taken = timed(lambda: wait(client))
        with _ledger(layout) as ledger:
            assert ledger.execute(_UNFINISHED).fetchone() == (0,)
        return taken

    return work


@contextlib.contextmanager
def _ledger(layout: Layout) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(layout.database)) as connection, connection:
        yield connection
