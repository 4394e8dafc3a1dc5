"""The hot queries find their rows by an index, however many finished commands there are."""

import contextlib
import sqlite3
from collections.abc import Iterator

import pytest

from debug_mcp.store import accepting, commands
from tests.store.schema import fresh

UNFINISHED = "USING INDEX commands_unfinished"


@pytest.fixture(params=["no statistics", "statistics of a full ledger"])
def database(request: pytest.FixtureRequest) -> Iterator[sqlite3.Connection]:
    """A ledger with a thousand finished commands in one session, known to the planner or not."""
    with contextlib.closing(fresh()) as connection:
        connection.execute(
            "INSERT INTO repositories (id, name, url, state, created_at) "
            "VALUES ('r_1', 'one', '/one', 'ready', 1)"
        )
        connection.execute(
            "INSERT INTO sessions (id, repository_id, principal, state, ref, base, isolation, "
            "instance, created_at) VALUES ('s_1', 'r_1', 'me', 'ready', 'm', '1', 'none', 'i', 1)"
        )
        connection.executemany(
            "INSERT INTO commands (id, session_id, principal, state, request, accepted_at, "
            "outcome, ended_at) VALUES (?, 's_1', 'me', 'finished', '{}', ?, 'failed', 1)",
            [(f"c_{number}", number) for number in range(1000)],
        )
        if request.param != "no statistics":
            connection.execute("ANALYZE")
        yield connection


def plan(database: sqlite3.Connection, query: str) -> list[str]:
    named = {"instance": "ours", "dead": "theirs"}
    values = named if ":dead" in query else [1] * query.count("?")
    rows = database.execute(f"EXPLAIN QUERY PLAN {query}", values)
    return [row[3] for row in rows if row[3].startswith(("SCAN", "SEARCH"))]


def outer_plan(database: sqlite3.Connection, query: str) -> list[str]:
    """Return the steps of a query of an owner, without the list of sessions in its repositories.

    That is made for tokens alone that name repositories.
    """
    values = {"owner": "me", "repositories": None, "session_id": "s_1", "state": None,
              "outcome": None, "accepted_at": 9, "id": "", "limit": 3}  # fmt: skip
    rows = list(database.execute(f"EXPLAIN QUERY PLAN {query}", values))
    inner: set[int] = set()
    for number, parent, _, step in rows:
        if parent in inner or "LIST SUBQUERY" in step:
            inner.add(number)
    return [step for number, _, _, step in rows if number not in inner]


@pytest.mark.parametrize(
    ("query", "steps"),
    [
        (accepting._QUEUE, 1),
        (commands._UNFINISHED, 1),
        (commands._OWNERS, 1),
        (commands._ADOPT, 1),
        (accepting.COUNTS, 1),
        (commands._AHEAD, 1),
    ],
    ids=["queue of a session", "unfinished of a session", "owners", "adoption", "counts", "ahead"],
)
def test_what_is_going_on_is_found_without_a_look_at_what_has_ended(
    database: sqlite3.Connection, query: str, steps: int
) -> None:
    found = plan(database, query)
    assert len(found) == steps
    assert [step for step in found if UNFINISHED not in step] == []


def test_the_next_to_run_is_found_without_a_look_at_what_has_ended(
    database: sqlite3.Connection,
) -> None:
    found = plan(database, commands._NEXT)
    # Who was served longest ago is the last entry of an index, not a walk through it.
    last = [step for step in found if "COVERING INDEX commands_by_" in step]
    assert [step.split("COVERING INDEX ")[1] for step in last] == [
        "commands_by_start (principal=?)",
        "commands_by_session_start (principal=? AND session_id=?)",
    ]
    # Whether its session waits for an environment is told by three rows, each found by a key.
    by_key = [step for step in found if step.startswith("SEARCH") and step.endswith("id=?)")]
    waits = [step for step in by_key if UNFINISHED not in step and step not in last]
    assert len(waits) == 3
    assert len(found) == 9
    known = {*last, *waits}
    assert [step for step in found if UNFINISHED not in step and step not in known] == []


def test_a_page_of_a_list_is_read_in_its_order(database: sqlite3.Connection) -> None:
    for query, index in (
        (commands._LIST, "commands_by_principal (principal=? AND accepted_at<?)"),
        (
            commands._LIST_IN_SESSION,
            "commands_by_session (principal=? AND session_id=? AND accepted_at<?)",
        ),
    ):
        steps = outer_plan(database, query)
        assert steps[0] == f"SEARCH commands USING INDEX {index}"
        # Only commands that were accepted in one and the same microsecond are sorted.
        assert [step for step in steps[1:] if "RIGHT PART" not in step] == []


def test_a_command_is_found_by_its_id(database: sqlite3.Connection) -> None:
    [step] = outer_plan(database, commands._OWNED)
    assert step.startswith("SEARCH commands USING INDEX sqlite_autoindex_commands_1 (id=?)")


def test_the_newest_commands_are_found_in_their_order(database: sqlite3.Connection) -> None:
    steps = outer_plan(database, commands._RECENT)
    # No sorting: only as many rows as are shown are read.
    assert steps == ["SEARCH commands USING INDEX commands_by_principal (principal=?)"]
