"""What sessions left is kept for a time and up to a size, then the oldest goes first.

Rows go before files: a server that is killed in between leaves files that nobody names, and the
next collection removes those. Work is not touched: exported branches stay in the mirror.
"""

import logging
import os
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import anyio

from debug_mcp.artifacts.collect import Files
from debug_mcp.auth.principal import Principal
from debug_mcp.config import Layout, Settings
from debug_mcp.errors import Busy, DebugMcpError
from debug_mcp.folders import delete_tree
from debug_mcp.models.base import now
from debug_mcp.models.retention import RetentionView
from debug_mcp.runner.supervisor import is_held
from debug_mcp.service.audit import AuditService
from debug_mcp.service.environment_keeping import EnvironmentKeeping
from debug_mcp.service.locks import lock_at_once
from debug_mcp.store.audit import Audit
from debug_mcp.store.retention import Left, Retention

# A command's folder, or a content, that is younger may be on its way into the ledger.
UNKNOWN_FOR_SECONDS = 600
BETWEEN_SECONDS = 6 * 3600
_AT_ONCE = 200
_log = logging.getLogger(__name__)


class RetentionService:
    """Removes what is too old or too much."""

    def __init__(
        self,
        store: Retention,
        environments: EnvironmentKeeping,
        entries: Audit,
        audit: AuditService,
        files: Files,
        settings: Settings,
        layout: Layout,
    ) -> None:
        self._store = store
        self._environments = environments
        self._entries = entries
        self._audit = audit
        self._files = files
        self._settings = settings
        self._layout = layout
        self._lock = layout.root / "retention.lock"

    async def serve(self) -> None:
        """Collect every six hours, counted over all servers, until cancelled."""
        while True:
            await anyio.sleep(max(0, self._last() + BETWEEN_SECONDS - time.time()))
            try:
                await self.collect()
            except (DebugMcpError, OSError):
                _log.warning("what is too old cannot be removed", exc_info=True)
                self._lock.touch(mode=0o600)  # not again at once

    async def collect(
        self, principal: Principal | None = None, *, dry_run: bool = False
    ) -> RetentionView:
        """Remove what is over the limits, and files that nobody names.

        Args:
            principal: Who asks; None where a server does it by itself.
            dry_run: Only say what would be removed.

        Raises:
            Busy: Another server is at it.
        """
        with self._audit.watching(principal, "gc", changes=not dry_run):
            return await self._collect(dry_run=dry_run)

    async def _collect(self, *, dry_run: bool) -> RetentionView:
        with lock_at_once(self._lock) as ours:
            if not ours:
                raise Busy("another server is removing what is too old", retry_after_seconds=5)
            size = await self._store.size()
            chosen = too_much(
                await self._store.left(),
                size,
                oldest=now() - timedelta(days=self._settings.retention_days),
                most=self._settings.retention_bytes,
            )
            kept = size - _size(chosen)
            before = now() - timedelta(days=self._settings.audit_days)
            entries = await self._entries.count_before(before)
            if not dry_run:
                await self._remove(chosen)
                await self._entries.forget_before(before)
                kept = await self._store.size()
                self._lock.touch()
            environments = await self._environments.collect(dry_run=dry_run)
            return RetentionView(
                commands=sum(left.kind == "command" for left in chosen),
                artifacts=sum(left.kind == "artifact" for left in chosen),
                evidence=sum(left.kind == "evidence" for left in chosen),
                environments=environments.number,
                environment_bytes=environments.size,
                audit_entries=entries,
                removed_bytes=size - kept,
                kept_bytes=kept,
                dry_run=dry_run,
                hint=self._hint(kept),
            )

    def _last(self) -> float:
        """Return when the last collection was; a new data directory has nothing to collect."""
        if not self._lock.exists():
            self._lock.touch(mode=0o600)
        return self._lock.stat().st_mtime

    def _hint(self, kept: int) -> str | None:
        if kept <= self._settings.retention_bytes:
            return None
        return "what is left over the limit is of open sessions: session_close ends them"

    async def _remove(self, chosen: Sequence[Left]) -> None:
        for first in range(0, len(chosen), _AT_ONCE):
            some = chosen[first : first + _AT_ONCE]
            await self._store.forget(some)
            folders = [self._layout.commands / left.id for left in some if left.kind == "command"]
            await anyio.to_thread.run_sync(_remove_folders, folders)
        await self._sweep({left.sha256 for left in chosen if left.sha256})

    async def _sweep(self, freed: set[str]) -> None:
        """Remove contents and folders that the ledger does not name any more."""
        before = time.time() - UNKNOWN_FOR_SECONDS
        contents = await anyio.to_thread.run_sync(lambda: set(self._files.contents(before)))
        for sha256 in await self._store.unknown_contents(contents | freed):
            await anyio.to_thread.run_sync(self._files.discard, sha256, before)
        found = await anyio.to_thread.run_sync(lambda: set(_older(self._layout.commands, before)))
        unknown = [
            self._layout.commands / name for name in await self._store.unknown_commands(found)
        ]
        await anyio.to_thread.run_sync(_remove_folders, unknown)


def too_much(left: Sequence[Left], size: int, *, oldest: datetime, most: int) -> list[Left]:
    """Return what is too old, and the oldest of the rest until what stays is at most ``most``.

    Args:
        left: What may go, oldest first.
        size: Bytes of all that is there.
        oldest: What is older goes.
        most: Bytes that may stay.
    """
    contents: dict[str, int] = {}
    for each in left:
        contents[each.sha256] = contents.get(each.sha256, 0) + 1
    chosen = []
    for each in left:
        if each.since >= oldest and size <= most:
            break
        chosen.append(each)
        contents[each.sha256] -= 1
        # A content goes with the last artifact that has it.
        if each.kind != "artifact" or not contents[each.sha256]:
            size -= each.size
    return chosen


def _size(chosen: Sequence[Left]) -> int:
    outputs = sum(left.size for left in chosen if left.kind == "command")
    return outputs + sum({left.sha256: left.size for left in chosen if left.sha256}.values())


def _older(folder: Path, before: float) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False) and entry.stat().st_mtime < before:
                yield entry.name


def _remove_folders(folders: Sequence[Path]) -> None:
    for folder in folders:
        if not is_held(folder):
            delete_tree(folder)
