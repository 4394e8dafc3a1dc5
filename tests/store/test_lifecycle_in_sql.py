"""The schema repeats the lifecycle: it lists the same states, and refuses what cannot be."""

import contextlib
import re
import sqlite3
from collections.abc import Iterator
from enum import StrEnum

import pytest

from debug_mcp.models.artifacts import ArtifactKind
from debug_mcp.models.commands import CommandState, Outcome
from debug_mcp.models.environments import EnvironmentState
from debug_mcp.models.repositories import RepositoryState
from debug_mcp.models.sessions import Isolation, SessionState
from tests.store.schema import fresh

# Rows that are as they should be; each case changes some of their columns.
ROWS: dict[str, dict[str, object]] = {
    "repositories": {
        "id": "r_1", "name": "one", "url": "/one", "state": "ready", "created_at": 1,
    },
    "sessions": {
        "id": "s_1", "repository_id": "r_1", "principal": "local", "state": "ready",
        "ref": "main", "base": "1", "isolation": "none", "instance": "here", "created_at": 1,
    },
    "commands": {
        "id": "c_1", "session_id": "s_1", "principal": "local", "state": "queued",
        "request": "{}", "accepted_at": 1,
    },
    "artifacts": {
        "id": "a_1", "session_id": "s_1", "principal": "local", "name": "one", "kind": "other",
        "media_type": "text/plain", "size": 0, "sha256": "a" * 64, "created_at": 1,
    },
    "environments": {
        "id": "e_1", "repository_id": "r_1", "state": "waiting", "outputs": "[]",
        "created_at": 1, "used_at": 1,
    },
    "evidence": {
        "id": "x_1", "kind": "compare", "principal": "local", "repository_id": "r_1",
        "state": "running", "instance": "here", "asked": "{}", "created_at": 1,
    },
}  # fmt: skip

BEGUN = {"instance": "here", "started_at": 2}
ENDED = {"state": "finished", "outcome": "failed", "ended_at": 3}

POSSIBLE = [
    ("repositories", {"state": "failed", "error": "gone"}),
    ("repositories", {"state": "ready", "error": "the last fetch failed"}),
    ("sessions", {"state": "closed", "closed_why": "by caller"}),
    ("commands", {"state": "starting", "instance": "here"}),
    ("evidence", {"state": "finished", "result": "{}"}),
    ("environments", {"state": "building", "command_id": "c_1"}),
    ("environments", {"state": "ready", "size": 9}),
    ("commands", {"state": "running", **BEGUN}),
    ("commands", ENDED),
    ("commands", {**ENDED, **BEGUN, "outcome": "succeeded", "exit_code": 0}),
]

IMPOSSIBLE = [
    ("evidence", {"state": "failed"}),
    ("environments", {"state": "building"}),
    ("environments", {"state": "gone"}),
    ("environments", {"command_id": "c_9"}),
    ("environments", {"outputs": "node_modules"}),
    ("evidence", {"state": "finished"}),
    ("evidence", {"result": "{}"}),
    ("evidence", {"kind": "claim"}),
    ("repositories", {"state": "lost"}),
    ("repositories", {"state": "failed"}),
    ("repositories", {"depth": 0}),
    ("repositories", {"env": "{"}),
    ("sessions", {"state": "closed"}),
    ("sessions", {"closed_why": "not closed"}),
    ("sessions", {"isolation": "some"}),
    ("sessions", {"repository_id": "r_9"}),
    ("commands", {"state": "cancelled"}),
    ("commands", {"state": "starting"}),
    ("commands", {"state": "running", "started_at": 2}),
    ("commands", {"state": "running", "instance": "here"}),
    ("commands", {"outcome": "failed"}),
    ("commands", {"ended_at": 3}),
    ("commands", {**ENDED, "outcome": None}),
    ("commands", {**ENDED, "ended_at": None}),
    ("commands", {**ENDED, "outcome": "succeeded"}),
    ("commands", {**ENDED, "outcome": "succeeded", "exit_code": 1}),
    ("commands", {**ENDED, "outcome": "unknown"}),
    ("commands", {"request": "no JSON"}),
    ("commands", {"cancel_requested": 2}),
    ("commands", {"session_id": "s_9"}),
    ("commands", {"accepted_at": "noon"}),
    ("artifacts", {"kind": "picture"}),
    ("artifacts", {"size": -1}),
    ("artifacts", {"sha256": "a"}),
]


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    with contextlib.closing(fresh()) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        yield connection


def insert(database: sqlite3.Connection, wanted: str, changes: dict[str, object]) -> None:
    """Insert a row, and before it those that it refers to."""
    for table, row in ROWS.items():
        columns = row | changes if table == wanted else row
        marks = ", ".join("?" for _ in columns)
        statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"
        database.execute(statement, tuple(columns.values()))
        if table == wanted:
            return


@pytest.mark.parametrize(("table", "changes"), [*((name, {}) for name in ROWS), *POSSIBLE])
def test_a_possible_row_is_taken(
    database: sqlite3.Connection, table: str, changes: dict[str, object]
) -> None:
    insert(database, table, changes)
    assert database.execute(f"SELECT count(*) FROM {table}").fetchone() == (1,)


@pytest.mark.parametrize(("table", "changes"), IMPOSSIBLE)
def test_an_impossible_row_is_refused(
    database: sqlite3.Connection, table: str, changes: dict[str, object]
) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        insert(database, table, changes)


@pytest.mark.parametrize(
    ("table", "column", "names"),
    [
        ("repositories", "state", RepositoryState),
        ("sessions", "state", SessionState),
        ("sessions", "isolation", Isolation),
        ("environments", "state", EnvironmentState),
        ("commands", "state", CommandState),
        ("commands", "outcome", Outcome),
        ("artifacts", "kind", ArtifactKind),
    ],
)
def test_a_column_takes_exactly_the_names_of_its_enumeration(
    database: sqlite3.Connection, table: str, column: str, names: type[StrEnum]
) -> None:
    [sql] = database.execute("SELECT sql FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    found = re.search(rf"{column} TEXT\b[^(]*CHECK \({column} IN \(([^)]*)\)", sql)
    assert found
    assert re.findall(r"'(\w+)'", found[1]) == [str(name) for name in names]


def test_the_name_of_a_repository_is_free_again_when_that_is_removed(
    database: sqlite3.Connection,
) -> None:
    insert(database, "repositories", {})
    with pytest.raises(sqlite3.IntegrityError):
        insert(database, "repositories", {"id": "r_2"})
    database.execute("UPDATE repositories SET state = 'removed'")
    insert(database, "repositories", {"id": "r_2"})
