"""What goes on in the data directory, as numbers for whoever watches over it."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass

import anyio

from debug_mcp.config import Layout
from debug_mcp.store.load import Load
from debug_mcp.worktrees.pool import shelves


@dataclass(frozen=True, slots=True)
class LoadSeen:
    """Numbers of one moment, over all servers on the data directory; sizes in bytes."""

    commands: Mapping[str, int]
    sessions: Mapping[str, int]
    repositories: Mapping[str, int]
    prepared_trees: int
    prepared_bytes: int
    ledger_bytes: int
    free_bytes: int


class LoadService:
    """Counts when it is asked, and not before."""

    def __init__(self, store: Load, layout: Layout) -> None:
        self._store = store
        self._layout = layout

    async def look(self) -> LoadSeen:
        """Return the numbers as they are now."""
        commands = await self._store.commands()
        sessions = await self._store.sessions()
        repositories = await self._store.repositories()

        def disk() -> LoadSeen:
            trees = [tree for shelf in shelves(self._layout.pool) for tree in shelf.ready()]
            return LoadSeen(
                commands,
                sessions,
                repositories,
                len(trees),
                sum(tree.size for tree in trees),
                _ledger_bytes(self._layout),
                shutil.disk_usage(self._layout.root).free,
            )

        return await anyio.to_thread.run_sync(disk)


def _ledger_bytes(layout: Layout) -> int:
    """Return the size of the ledger with what is not merged into it yet."""
    beside = layout.database.with_name(f"{layout.database.name}-wal")
    return sum(path.stat().st_size for path in (layout.database, beside) if path.exists())
