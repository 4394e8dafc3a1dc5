"""What a principal may mean who has typed the beginning of an id or a name."""

from typing import LiteralString

from debug_mcp.store.database import Database

# Not LIKE: an underscore, which every id has, would stand for any character.
_ARTIFACTS = """
SELECT id AS choice FROM artifacts
WHERE principal = :principal AND substr(id, 1, length(:prefix)) = :prefix
ORDER BY created_at DESC, id LIMIT :limit
"""
_COMMANDS = """
SELECT id AS choice FROM commands
WHERE principal = :principal AND substr(id, 1, length(:prefix)) = :prefix
ORDER BY accepted_at DESC, id LIMIT :limit
"""
_SESSIONS = """
SELECT id AS choice FROM sessions
WHERE principal = :principal AND state = 'ready' AND substr(id, 1, length(:prefix)) = :prefix
ORDER BY created_at DESC, id LIMIT :limit
"""
_NAMES = """
SELECT DISTINCT name AS choice FROM artifacts
WHERE principal = :principal AND substr(name, 1, length(:prefix)) = :prefix
  AND (:artifact_id IS NULL OR id = :artifact_id)
ORDER BY name LIMIT :limit
"""


class Choices:
    """Ids and names by their beginnings: the newest ids first, names in their order."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def artifacts(self, principal: str, prefix: str, limit: int) -> list[str]:
        """Return ids of the principal's artifacts."""
        return await self._choices(_ARTIFACTS, principal=principal, prefix=prefix, limit=limit)

    async def commands(self, principal: str, prefix: str, limit: int) -> list[str]:
        """Return ids of the principal's commands."""
        return await self._choices(_COMMANDS, principal=principal, prefix=prefix, limit=limit)

    async def sessions(self, principal: str, prefix: str, limit: int) -> list[str]:
        """Return ids of the principal's open sessions."""
        return await self._choices(_SESSIONS, principal=principal, prefix=prefix, limit=limit)

    async def names(
        self, principal: str, prefix: str, limit: int, artifact_id: str | None
    ) -> list[str]:
        """Return names of the principal's artifacts, or of one of them."""
        return await self._choices(
            _NAMES, principal=principal, prefix=prefix, limit=limit, artifact_id=artifact_id
        )

    async def _choices(self, sql: LiteralString, **parameters: str | int | None) -> list[str]:
        return [row["choice"] for row in await self._database.read(sql, parameters)]
