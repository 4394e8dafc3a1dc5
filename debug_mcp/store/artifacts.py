"""Rows of artifacts."""

from collections.abc import Sequence
from dataclasses import replace

import aiosqlite

from debug_mcp.models.artifacts import Artifact, ArtifactKind
from debug_mcp.models.base import Owner
from debug_mcp.store.database import Database, Row
from debug_mcp.store.rows import OWN, fresh_id, insert, moment, to_micros

_OWNED = f"SELECT * FROM artifacts WHERE id = :id AND {OWN}"  # noqa: S608
_PAGE = f"""
SELECT * FROM artifacts WHERE {OWN}
  AND (:after IS NULL OR (created_at, id) < (
    SELECT created_at, id FROM artifacts WHERE id = :after))
ORDER BY created_at DESC, id DESC LIMIT :limit
"""  # noqa: S608


class Artifacts:
    """The table of artifacts: the same name and content in one session is one artifact."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, found: Sequence[Artifact]) -> list[Artifact]:
        """Store what is new under fresh ids; return all, those known before under their ids."""

        async def unit(connection: aiosqlite.Connection) -> list[Artifact]:
            return [await keep(connection, artifact) for artifact in found]

        return await self._database.write(unit)

    async def of_session(self, session_id: str) -> list[Artifact]:
        """Return a session's artifacts, oldest first."""
        rows = await self._database.read(
            "SELECT * FROM artifacts WHERE session_id = ? ORDER BY created_at, id", (session_id,)
        )
        return [_artifact(row) for row in rows]

    async def of_command(self, command_id: str, limit: int) -> list[Artifact]:
        """Return the first of what a command's end collected, by name."""
        rows = await self._database.read(
            "SELECT artifacts.* FROM command_artifacts JOIN artifacts ON id = artifact_id "
            "WHERE command_id = ? ORDER BY name, id LIMIT ?",
            (command_id, limit),
        )
        return [_artifact(row) for row in rows]

    async def newest(self) -> int:
        """Return the number of the newest artifact of all; later ones have greater numbers."""
        row = await self._database.read_one("SELECT max(rowid) AS number FROM artifacts")
        return 0 if row is None or row["number"] is None else int(row["number"])

    async def owners_since(self, number: int) -> tuple[int, set[str]]:
        """Return the newest number, and whose artifacts are newer than the given one."""
        rows = await self._database.read(
            "SELECT max(rowid) AS number, principal FROM artifacts WHERE rowid > ? "
            "GROUP BY principal",
            (number,),
        )
        newest = max((row["number"] for row in rows), default=number)
        return newest, {row["principal"] for row in rows}

    async def owned(self, artifact_id: str, owner: Owner) -> Artifact | None:
        """Return the owner's artifact of this id, or None."""
        row = await self._database.read_one(_OWNED, {"id": artifact_id, **owner.parameters})
        return None if row is None else _artifact(row)

    async def page(self, owner: Owner, after: str | None, limit: int) -> list[Artifact]:
        """Return the owner's artifacts, newest first, from the one after an id on."""
        rows = await self._database.read(
            _PAGE, {**owner.parameters, "after": after, "limit": limit}
        )
        return [_artifact(row) for row in rows]


async def keep(connection: aiosqlite.Connection, artifact: Artifact) -> Artifact:
    """Store an artifact under a fresh id, or return it as it is known."""
    known = await connection.execute_fetchall(
        "SELECT * FROM artifacts WHERE session_id = ? AND name = ? AND sha256 = ?",
        (artifact.session_id, artifact.name, artifact.sha256),
    )
    for row in known:
        return _artifact(row)
    stored = replace(artifact, id=await fresh_id(connection, "artifacts", "a"))
    await insert(
        connection,
        "artifacts",
        {
            "id": stored.id,
            "session_id": stored.session_id,
            "principal": stored.principal,
            "name": stored.name,
            "kind": stored.kind,
            "media_type": stored.media_type,
            "size": stored.size,
            "sha256": stored.sha256,
            "created_at": to_micros(stored.created_at),
        },
    )
    return stored


async def link(
    connection: aiosqlite.Connection, command_id: str, found: Sequence[Artifact]
) -> None:
    """Store what the end of a command collected, in the same transaction as that end."""
    for artifact in found:
        stored = await keep(connection, artifact)
        await connection.execute(
            "INSERT OR IGNORE INTO command_artifacts (command_id, artifact_id) VALUES (?, ?)",
            (command_id, stored.id),
        )


def _artifact(row: Row) -> Artifact:
    return Artifact(
        id=row["id"],
        session_id=row["session_id"],
        principal=row["principal"],
        name=row["name"],
        kind=ArtifactKind(row["kind"]),
        media_type=row["media_type"],
        size=row["size"],
        sha256=row["sha256"],
        created_at=moment(row["created_at"]),
    )
