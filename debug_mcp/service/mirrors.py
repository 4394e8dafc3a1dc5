"""Mirrors on disk: where they are, and who works on one at a time."""

import contextlib
from pathlib import Path

import anyio

from debug_mcp.config import Layout, Settings
from debug_mcp.models.repositories import Repository
from debug_mcp.service.confinement import Confinement
from debug_mcp.service.contents import Contents
from debug_mcp.service.limits import room_of
from debug_mcp.service.locks import locked
from debug_mcp.worktrees.mirrors import Mirror

LOCK_SECONDS = 50


class Mirrors:
    """The folders below ``repositories/``, and what is known of the commits in them."""

    def __init__(self, layout: Layout, confinement: Confinement, settings: Settings) -> None:
        self.contents = Contents(settings)
        self._settings = settings
        self._layout = layout
        self._confinement = confinement

    def mirror(self, repository: Repository) -> Mirror:
        """Return the mirror of a repository, which need not be there yet."""
        return Mirror(self._path(repository), self._confinement.host_git)

    def unfinished(self, repository: Repository) -> Mirror:
        """Return where a clone is made: a mirror is whole or not there."""
        return Mirror(self._path(repository, ".tmp"), self._confinement.host_git)

    def transfer_folder(self, repository: Repository, kind: str) -> Path:
        """Return where the shim of a clone or a fetch keeps its files."""
        return self._path(repository, f".{kind}")

    async def room(self, repository: Repository) -> int | None:
        """Return the bytes that a mirror may still grow by; None for any number."""
        path = self._path(repository)
        return await anyio.to_thread.run_sync(room_of, self._settings, path)

    def locked(
        self, repository: Repository, seconds: float = LOCK_SECONDS
    ) -> contextlib.AbstractAsyncContextManager[None]:
        """Hold the mirror alone, among all servers; the lock ends with the process that has it.

        Raises:
            Busy: It is taken for too long.
        """
        why = f"repository {repository.name} is being fetched by another call"
        return locked(self._path(repository, ".lock"), seconds, why)

    def _path(self, repository: Repository, suffix: str = "") -> Path:
        return self._layout.repositories / f"{repository.id}{suffix}"
