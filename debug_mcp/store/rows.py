"""Between rows and records: times, ids, and compare-and-set."""

import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, LiteralString

import aiosqlite

# Without the look-alikes 0 and o, 1, i and l.
ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
ID_CHARACTERS = 4
TRIES_PER_LENGTH = 8

SECOND = 1_000_000


def to_micros(moment: datetime) -> int:
    """Return microseconds since 1970."""
    return round(moment.timestamp() * SECOND)


def to_moment(micros: int | None) -> datetime | None:
    """Return the time of a column that may be null."""
    return None if micros is None else datetime.fromtimestamp(micros / SECOND, UTC)


def moment(micros: int) -> datetime:
    """Return the time of a column that is never null."""
    return datetime.fromtimestamp(micros / SECOND, UTC)


# What an owner may see, of sessions and of what belongs to one. A token for some repositories does
# not see its owner's sessions in others.
OWN_SESSIONS = """principal = :owner AND (:repositories IS NULL OR repository_id IN (
  SELECT id FROM repositories WHERE name IN (SELECT value FROM json_each(:repositories))))"""
OWN = f"""principal = :owner AND (:repositories IS NULL OR session_id IN (
  SELECT id FROM sessions WHERE {OWN_SESSIONS}))"""  # noqa: S608


async def fresh_id(connection: aiosqlite.Connection, table: LiteralString, prefix: str) -> str:
    """Return a short id that no row of the table has; longer ones when the short are used up.

    Ownership protects objects, not the length of their ids.
    """
    length = ID_CHARACTERS
    while True:
        for _ in range(TRIES_PER_LENGTH):
            candidate = f"{prefix}_{''.join(secrets.choice(ALPHABET) for _ in range(length))}"
            taken = await connection.execute_fetchall(
                f"SELECT 1 FROM {table} WHERE id = ?",  # noqa: S608
                (candidate,),
            )
            if not list(taken):
                return candidate
        length += 1


async def insert(
    connection: aiosqlite.Connection, table: LiteralString, row: Mapping[LiteralString, Any]
) -> None:
    """Insert one row."""
    columns = ", ".join(row)
    marks = ", ".join("?" for _ in row)
    await connection.execute(
        f"INSERT INTO {table} ({columns}) VALUES ({marks})",  # noqa: S608
        tuple(row.values()),
    )


async def advance(
    connection: aiosqlite.Connection,
    table: LiteralString,
    object_id: str,
    sources: Sequence[str],
    changes: Mapping[LiteralString, Any],
) -> bool:
    """Change a row if its state is one of ``sources``; return whether it was.

    This is how two servers, or a cancel and an end, settle who was first.
    """
    return await _change(connection, table, object_id, sources, changes, "")


async def adopt(
    connection: aiosqlite.Connection,
    table: LiteralString,
    object_id: str,
    states: Sequence[str],
    from_instance: str,
    instance: str,
) -> bool:
    """Take over a row of a server that is gone; return whether nobody else did."""
    mine = {"instance": instance}
    where = " AND instance = ?"
    return await _change(connection, table, object_id, states, mine, where, from_instance)


async def _change(
    connection: aiosqlite.Connection,
    table: LiteralString,
    object_id: str,
    states: Sequence[str],
    changes: Mapping[LiteralString, Any],
    condition: LiteralString,
    *parameters: str,
) -> bool:
    assignments = ", ".join(f"{column} = ?" for column in changes)
    marks = ", ".join("?" for _ in states)
    cursor = await connection.execute(
        f"UPDATE {table} SET {assignments} "  # noqa: S608
        f"WHERE id = ? AND state IN ({marks}){condition}",
        (*changes.values(), object_id, *states, *parameters),
    )
    changed = cursor.rowcount == 1
    await cursor.close()
    return changed
