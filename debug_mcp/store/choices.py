"""What a principal may mean who has typed the beginning of an id or a name."""

from debug_mcp.models.base import Owner
from debug_mcp.store.database import Database
from debug_mcp.store.rows import OWN, OWN_SESSIONS

# Not LIKE: an underscore, which every id has, would stand for any character.
_ARTIFACTS = f"""
SELECT id AS choice FROM artifacts WHERE {OWN} AND substr(id, 1, length(:prefix)) = :prefix
ORDER BY created_at DESC, id LIMIT :limit
"""  # noqa: S608
_COMMANDS = f"""
SELECT id AS choice FROM commands WHERE {OWN} AND substr(id, 1, length(:prefix)) = :prefix
ORDER BY accepted_at DESC, id LIMIT :limit
"""  # noqa: S608
_SESSIONS = f"""
SELECT id AS choice FROM sessions
WHERE {OWN_SESSIONS} AND state = 'ready' AND substr(id, 1, length(:prefix)) = :prefix
ORDER BY created_at DESC, id LIMIT :limit
"""  # noqa: S608
_NAMES = f"""
SELECT DISTINCT name AS choice FROM artifacts
WHERE {OWN} AND substr(name, 1, length(:prefix)) = :prefix AND (:id IS NULL OR id = :id)
ORDER BY name LIMIT :limit
"""  # noqa: S608


class Choices:
    """Ids and names by their beginnings: the newest ids first, names in their order."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def artifacts(self, owner: Owner, prefix: str, limit: int) -> list[str]:
        """Return ids of the owner's artifacts."""
        return await self._choices(_ARTIFACTS, owner, prefix, limit)

    async def commands(self, owner: Owner, prefix: str, limit: int) -> list[str]:
        """Return ids of the owner's commands."""
        return await self._choices(_COMMANDS, owner, prefix, limit)

    async def sessions(self, owner: Owner, prefix: str, limit: int) -> list[str]:
        """Return ids of the owner's open sessions."""
        return await self._choices(_SESSIONS, owner, prefix, limit)

    async def names(
        self, owner: Owner, prefix: str, limit: int, artifact_id: str | None
    ) -> list[str]:
        """Return names of the owner's artifacts, or of one of them."""
        return await self._choices(_NAMES, owner, prefix, limit, artifact_id)

    async def _choices(
        self, sql: str, owner: Owner, prefix: str, limit: int, object_id: str | None = None
    ) -> list[str]:
        asked = {**owner.parameters, "prefix": prefix, "limit": limit, "id": object_id}
        return [row["choice"] for row in await self._database.read(sql, asked)]
