"""``debug-mcp audit``: for the operator, on the data directory itself."""

import argparse
import json
from collections.abc import AsyncIterator
from datetime import timedelta

from debug_mcp.app import open_audit
from debug_mcp.auth.principal import LOCAL
from debug_mcp.cli.durations import seconds_of
from debug_mcp.cli.opening import opened
from debug_mcp.cli.table import table
from debug_mcp.config import Settings
from debug_mcp.models.audit import AuditList, EntryView
from debug_mcp.models.base import now
from debug_mcp.operations.arguments import parse
from debug_mcp.service.audit import AuditService

_SHOWN = 50
_PAGE = 1000
_HEADING = (
    "AT",
    "PRINCIPAL",
    "TOKEN",
    "OPERATION",
    "OBJECT",
    "OUTCOME",
    "SECONDS",
    "PEER",
    "REQUEST",
)
_FILTERS = ("principal", "token_id", "operation", "object_id", "outcome")


async def run_audit(settings: Settings, options: argparse.Namespace) -> int:
    """Print entries, newest first: as JSON lines all that were asked for, else the last fifty."""
    asked = {name: getattr(options, name) for name in _FILTERS}
    since = seconds_of(options.since, "since")
    if since is not None:
        asked["since"] = now() - timedelta(seconds=since)
    args = parse("audit_list", AuditList, {**asked, "limit": _PAGE})
    most = options.limit or (None if options.json else _SHOWN)
    rows: list[tuple[str, ...]] = []
    async with opened(open_audit(settings)) as audit:
        async for entry in _entries(audit, args, most):
            if options.json:
                print(json.dumps(entry.compact()))
            else:
                rows.append(_row(entry))
    if rows:
        print(table(_HEADING, rows))
    elif not options.json:
        print("The audit log has no such entry.")
    return 0


async def _entries(
    audit: AuditService, args: AuditList, most: int | None
) -> AsyncIterator[EntryView]:
    """Yield entries, page by page, at most so many."""
    left = most
    cursor: str | None = None
    while left is None or left > 0:
        limit = _PAGE if left is None else min(_PAGE, left)
        page = await audit.listing(
            LOCAL, args.model_copy(update={"cursor": cursor, "limit": limit})
        )
        for entry in page.entries:
            yield entry
        cursor = page.next_cursor
        left = None if left is None else left - len(page.entries)
        if cursor is None:
            return


def _row(entry: EntryView) -> tuple[str, ...]:
    facts = entry.compact()
    return (
        facts["at"],
        entry.principal or "-",
        entry.token_id or "-",
        entry.operation,
        entry.object_id or "-",
        entry.outcome,
        f"{entry.seconds:.3f}",
        entry.peer or "-",
        entry.request_id,
    )
