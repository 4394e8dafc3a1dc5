"""How long built environments are kept: the longest unused go first, one that is in use never.

A row goes before its folder, which is moved out of the way in the same transaction: whoever builds
the same anew finds an empty place. A server that is killed in between leaves a folder that nobody
names, and the next collection removes that.
"""

import contextlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import anyio

from debug_mcp.config import Layout, Settings
from debug_mcp.folders import delete_tree
from debug_mcp.models.base import now
from debug_mcp.models.environments import Environment, EnvironmentState
from debug_mcp.store.environments import Environments

_GONE = ".gone"


@dataclass(frozen=True, slots=True)
class Removed:
    """How many environments were removed, or would be, and their bytes."""

    number: int
    size: int


class EnvironmentKeeping:
    """Removes environments that no open session has, when they are old or too much."""

    def __init__(self, store: Environments, settings: Settings, layout: Layout) -> None:
        self._store = store
        self._settings = settings
        self._folder = layout.environments

    async def collect(self, *, dry_run: bool = False) -> Removed:
        """Remove what is over the limits, what was never finished, and what nobody names."""
        chosen = too_much(
            await self._store.unused(),
            await self._store.size(),
            oldest=now() - timedelta(days=self._settings.retention_days),
            most=self._settings.environment_bytes,
        )
        if not dry_run:
            chosen = [each for each in chosen if await self._store.drop(each.id, self._move_away)]
            await self._sweep()
        return Removed(len(chosen), sum(each.size for each in chosen))

    def _move_away(self, environment_id: str) -> None:
        folder = self._folder / environment_id
        with contextlib.suppress(FileNotFoundError):
            folder.rename(folder.with_suffix(f".{secrets.token_hex(4)}{_GONE}"))

    async def _sweep(self) -> None:
        # Listed first: the row of a build is there before its folder.
        names = await anyio.to_thread.run_sync(_names, self._folder)
        moved = {name for name in names if name.endswith(_GONE)}
        for name in moved | await self._store.unknown(names - moved):
            await anyio.to_thread.run_sync(delete_tree, self._folder / name)


def too_much(
    unused: list[Environment], size: int, *, oldest: datetime, most: int
) -> list[Environment]:
    """Return what was not finished or is too old, and of the rest enough that ``most`` bytes stay.

    Args:
        unused: What may go, the longest unused first.
        size: Bytes of all that is there.
        oldest: What was not used since goes.
        most: Bytes that may stay.
    """
    chosen = []
    for each in unused:
        finished = each.state is EnvironmentState.READY
        if finished and each.used_at >= oldest and size <= most:
            continue
        chosen.append(each)
        size -= each.size
    return chosen


def _names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}
