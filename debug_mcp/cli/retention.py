"""``debug-mcp gc``: for the operator, on the data directory itself."""

import argparse
import json

from debug_mcp.app import open_retention
from debug_mcp.auth.principal import LOCAL
from debug_mcp.cli.opening import opened
from debug_mcp.cli.sizes import size_text
from debug_mcp.config import Settings
from debug_mcp.models.retention import RetentionView


async def run_gc(settings: Settings, options: argparse.Namespace) -> int:
    """Remove what is over the limits, or say what would be."""
    async with opened(open_retention(settings)) as retention:
        view = await retention.collect(LOCAL, dry_run=options.dry_run)
    print(json.dumps(view.compact(), indent=2) if options.json else _text(view))
    return 0


def _text(view: RetentionView) -> str:
    done = "would be removed" if view.dry_run else "removed"
    said = (
        f"{view.commands} commands and {view.artifacts} artifacts of sessions that ended {done}: "
        f"{size_text(view.removed_bytes)}; {size_text(view.kept_bytes)} of outputs and artifacts "
        f"{'would stay' if view.dry_run else 'stay'}"
    )
    if view.evidence:
        said += f"; {view.evidence} comparisons, flaky runs and bisections {done}"
    if view.environments:
        said += f"; {view.environments} environments {done}: {size_text(view.environment_bytes)}"
    if view.audit_entries:
        said += f"; {view.audit_entries} entries of the audit log {done}"
    return f"{said}\n{view.hint}" if view.hint else said
