"""Mirrors on disk: where they are, and who works on one at a time."""

import contextlib
import fcntl
import os
from collections.abc import AsyncIterator
from pathlib import Path

import anyio

from debug_mcp.config import Layout
from debug_mcp.errors import Busy
from debug_mcp.models.repositories import Repository
from debug_mcp.service.confinement import Confinement
from debug_mcp.worktrees.mirrors import Mirror

LOCK_SECONDS = 50
_LOCK_PAUSE_SECONDS = 0.05


class Mirrors:
    """The folders below ``repositories/``."""

    def __init__(self, layout: Layout, confinement: Confinement) -> None:
        self._layout = layout
        self._confinement = confinement

    def mirror(self, repository: Repository) -> Mirror:
        """Return the mirror of a repository, which need not be there yet."""
        return Mirror(self._path(repository), self._confinement.host_git)

    def unfinished(self, repository: Repository) -> Mirror:
        """Return where a clone is made: a mirror is whole or not there."""
        return Mirror(self._path(repository, ".tmp"), self._confinement.host_git)

    def clone_folder(self, repository: Repository) -> Path:
        """Return where the shim of a clone keeps its files."""
        return self._path(repository, ".clone")

    @contextlib.asynccontextmanager
    async def locked(
        self, repository: Repository, seconds: float = LOCK_SECONDS
    ) -> AsyncIterator[None]:
        """Hold the mirror alone, among all servers; the lock ends with the process that has it.

        Raises:
            Busy: It is taken for too long.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        fd = os.open(self._path(repository, ".lock"), flags, 0o600)
        try:
            with anyio.move_on_after(seconds) as waiting:
                # A file lock of another process rings no bell: look.
                while not _try_lock(fd):  # noqa: ASYNC110
                    await anyio.sleep(_LOCK_PAUSE_SECONDS)
            if waiting.cancelled_caught:
                raise Busy(
                    f"repository {repository.name} is being fetched by another call",
                    retry_after_seconds=5,
                )
            yield
        finally:
            os.close(fd)

    def _path(self, repository: Repository, suffix: str = "") -> Path:
        return self._layout.repositories / f"{repository.id}{suffix}"


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
