"""The snapshot of the schema. ``python -m tests.store.schema`` writes it anew."""

import contextlib
import sqlite3
from pathlib import Path

from debug_mcp.store.migrate import migrations

SNAPSHOT = Path(__file__).with_name("schema.sql")
RENEW = "python -m tests.store.schema"


def schema(connection: sqlite3.Connection) -> str:
    """Return every statement that makes the schema, in the order of the names."""
    rows = connection.execute(
        "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type DESC, name"
    )
    return "".join(f"{sql};\n" for (sql,) in rows)


def fresh() -> sqlite3.Connection:
    """Return a database in memory at the newest schema."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    for _, sql in migrations():
        connection.executescript(sql)
    return connection


if __name__ == "__main__":
    with contextlib.closing(fresh()) as connection:
        SNAPSHOT.write_text(schema(connection))
