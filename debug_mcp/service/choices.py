"""Completing what a caller began to type, from their own objects alone."""

from debug_mcp.auth.principal import Principal, Scope
from debug_mcp.store.choices import Choices

CHOICES = 100  # as many as the protocol lets one answer have


class ChoiceService:
    """Ids and names by their beginnings. Each list has one more than ``CHOICES`` when it is cut."""

    def __init__(self, store: Choices) -> None:
        self._store = store

    async def artifacts(self, principal: Principal, prefix: str) -> list[str]:
        """Return ids of artifacts, newest first."""
        principal.require(Scope.ARTIFACT_READ)
        return await self._store.artifacts(principal.owner, prefix, CHOICES + 1)

    async def names(
        self, principal: Principal, prefix: str, artifact_id: str | None = None
    ) -> list[str]:
        """Return names of artifacts, or that of one."""
        principal.require(Scope.ARTIFACT_READ)
        return await self._store.names(principal.owner, prefix, CHOICES + 1, artifact_id)

    async def commands(self, principal: Principal, prefix: str) -> list[str]:
        """Return ids of commands, newest first."""
        principal.require(Scope.SESSION_READ)
        return await self._store.commands(principal.owner, prefix, CHOICES + 1)

    async def sessions(self, principal: Principal, prefix: str) -> list[str]:
        """Return ids of open sessions, newest first."""
        principal.require(Scope.SESSION_READ)
        return await self._store.sessions(principal.owner, prefix, CHOICES + 1)
