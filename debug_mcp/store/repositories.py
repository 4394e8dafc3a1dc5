"""Rows of registered repositories."""

import json
from dataclasses import replace
from datetime import datetime
from typing import Any, LiteralString

import aiosqlite

from debug_mcp.lifecycle import REPOSITORY, sources
from debug_mcp.models.environments import Recipe
from debug_mcp.models.repositories import Repository, RepositoryState
from debug_mcp.store.database import Database, Row
from debug_mcp.store.rows import advance, fresh_id, insert, moment, to_micros, to_moment


class Repositories:
    """The table of repositories. Names are unique among those that are not removed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def register(self, repository: Repository) -> Repository:
        """Store a new repository under a fresh id, or return the one that has its name."""

        async def unit(connection: aiosqlite.Connection) -> Repository:
            rows = await connection.execute_fetchall(
                "SELECT * FROM repositories WHERE name = ? AND state <> 'removed'",
                (repository.name,),
            )
            for row in rows:
                return _repository(row)
            stored = replace(repository, id=await fresh_id(connection, "repositories", "r"))
            await insert(
                connection,
                "repositories",
                {
                    "id": stored.id,
                    "name": stored.name,
                    "url": stored.url,
                    "state": stored.state,
                    "created_at": to_micros(stored.created_at),
                    **_settings(stored),
                },
            )
            return stored

        return await self._database.write(unit, durable=True)

    async def configure(self, repository: Repository) -> None:
        """Store the settings of a repository as they stand in the record; nothing else of it."""
        settings = _settings(repository)
        assignments = ", ".join(f"{column} = ?" for column in settings)

        async def unit(connection: aiosqlite.Connection) -> None:
            await connection.execute(
                f"UPDATE repositories SET {assignments} WHERE id = ?",  # noqa: S608
                (*settings.values(), repository.id),
            )

        await self._database.write(unit, durable=True)

    async def advance(
        self, repository_id: str, state: RepositoryState, *, error: str | None = None
    ) -> bool:
        """Move to a state that the lifecycle allows; return whether it was reached.

        ``error`` is why it failed; a clone that begins again has none.
        """
        changes: dict[LiteralString, Any] = {"state": state}
        if error is not None or state is RepositoryState.CLONING:
            changes["error"] = error
        origins = sources(REPOSITORY, state)
        return await self._database.write(
            lambda connection: advance(connection, "repositories", repository_id, origins, changes)
        )

    async def synced(
        self, repository_id: str, head: tuple[str, str] | None, moment: datetime
    ) -> None:
        """Store that the mirror is ready, and what it had from its upstream at that moment.

        Args:
            repository_id: One that is neither failed nor removed.
            head: The upstream's default branch and its commit; None when it has no commit.
            moment: When the upstream was asked.
        """
        ref, commit = head or (None, None)

        async def unit(connection: aiosqlite.Connection) -> None:
            await connection.execute(
                "UPDATE repositories SET state = 'ready', head_ref = ?, head_commit = ?, "
                "synced_at = ?, error = NULL WHERE id = ? AND state IN "
                "('cloning', 'ready', 'syncing')",
                (ref, commit, to_micros(moment), repository_id),
            )

        await self._database.write(unit)

    async def sync_failed(self, repository_id: str, error: str) -> None:
        """Store why a mirror that is there could not be brought up to date."""

        async def unit(connection: aiosqlite.Connection) -> None:
            await connection.execute(
                "UPDATE repositories SET state = 'ready', error = ? "
                "WHERE id = ? AND state IN ('ready', 'syncing')",
                (error, repository_id),
            )

        await self._database.write(unit)

    async def in_state(self, *states: RepositoryState) -> list[Repository]:
        """Return every repository in one of the states."""
        rows = await self._database.read(
            "SELECT * FROM repositories WHERE state IN (SELECT value FROM json_each(?))",
            (json.dumps(states),),
        )
        return [_repository(row) for row in rows]

    async def get(self, repository_id: str) -> Repository:
        """Return a repository that is known to exist."""
        rows = await self._database.read(
            "SELECT * FROM repositories WHERE id = ?", (repository_id,)
        )
        return _repository(rows[0])

    async def named(self, name: str) -> Repository | None:
        """Return the repository of this name, or None."""
        row = await self._database.read_one(
            "SELECT * FROM repositories WHERE name = ? AND state <> 'removed'", (name,)
        )
        return None if row is None else _repository(row)

    async def all(self) -> list[Repository]:
        """Return every repository that is not removed, by name."""
        rows = await self._database.read(
            "SELECT * FROM repositories WHERE state <> 'removed' ORDER BY name"
        )
        return [_repository(row) for row in rows]


def _settings(repository: Repository) -> dict[LiteralString, Any]:
    return {
        "default_ref": repository.default_ref,
        "depth": repository.depth,
        "setup": _setup_text(repository.setup),
        "artifacts": json.dumps(repository.artifacts),
        "env": json.dumps(dict(repository.env)),
    }


def _setup_text(setup: tuple[str, ...] | Recipe) -> str:
    return setup.model_dump_json() if isinstance(setup, Recipe) else json.dumps(setup)


def _setup(text: str) -> tuple[str, ...] | Recipe:
    stored = json.loads(text)
    return Recipe.model_validate(stored) if isinstance(stored, dict) else tuple(stored)


def _repository(row: Row) -> Repository:
    return Repository(
        id=row["id"],
        name=row["name"],
        url=row["url"],
        state=RepositoryState(row["state"]),
        created_at=moment(row["created_at"]),
        head_ref=row["head_ref"],
        head_commit=row["head_commit"],
        error=row["error"],
        synced_at=to_moment(row["synced_at"]),
        default_ref=row["default_ref"],
        depth=row["depth"],
        setup=_setup(row["setup"]),
        artifacts=tuple(json.loads(row["artifacts"])),
        env=json.loads(row["env"]),
    )
