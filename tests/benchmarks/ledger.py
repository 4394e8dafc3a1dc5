"""A server with ten thousand finished commands behind it, beside one with none."""

import contextlib
import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from debug_mcp.config import Layout
from debug_mcp.models.base import now
from debug_mcp.models.commands import CommandRun
from debug_mcp.models.sessions import Isolation
from debug_mcp.store.rows import to_micros
from tests.benchmarks.bench import Bench, interleaved, timed
from tests.benchmarks.client import Client
from tests.benchmarks.commands import run_true
from tests.benchmarks.launch import first_reply
from tests.benchmarks.table import Budget, Line, Measure

_COMMANDS = 10_000
_INSERT = """
INSERT INTO commands (
    id, session_id, principal, state, request, accepted_at, instance, started_at, ended_at,
    outcome, exit_code, elapsed_seconds
) VALUES (?, ?, 'local', 'finished', ?, ?, 'gone', ?, ?, 'succeeded', 0, 1)
"""
# Flat, with room for the noise of the machine.
_FLAT = Budget("at most", 1.15, "ratio")


def lines(bench: Bench) -> Iterator[Line]:
    repository = bench.upstream()
    full, empty = bench.folder / "full", bench.folder / "empty"
    sessions = {}
    for data in (full, empty):
        with bench.launch(data, Isolation.NONE) as client:
            sessions[data] = bench.session(client, repository)
    _fill(Layout(full).database, sessions[full])
    yield _line(
        "launch",
        interleaved(
            bench.samples(5),
            first_reply(lambda: bench.launch(full, Isolation.NONE)),
            first_reply(lambda: bench.launch(empty, Isolation.NONE)),
        ),
    )
    clients = {data: bench.ready(bench.launch(data, Isolation.NONE)) for data in sessions}
    runs = [run_true(clients[data], sessions[data]) for data in sessions]
    yield _line("command_run true", interleaved(bench.samples(40), *runs))
    infos = [partial(_info, clients[data]) for data in sessions]
    yield _line("server_info", interleaved(bench.samples(100), *infos))


def _line(what: str, samples: list[list[float]]) -> Line:
    full, empty = (Measure(each, "ms") for each in samples)
    return Line(f"{_COMMANDS:,} commands in the ledger: {what}", full, empty, "none there", _FLAT)


def _info(client: Client) -> float:
    return timed(lambda: client.call("server_info"))


def _fill(database: Path, session_id: str) -> None:
    """Insert finished commands as the store would have left them, all in one session."""
    moment = to_micros(now()) - _COMMANDS * 1_000_000
    request = CommandRun(session_id=session_id, command=["true"]).model_dump_json()
    rows = [
        (f"c_past{number}", session_id, request, began, began, began + 1_000_000)
        for number in range(_COMMANDS)
        for began in [moment + number * 1_000_000]
    ]
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.executemany(_INSERT, rows)
