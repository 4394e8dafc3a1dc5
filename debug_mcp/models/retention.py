"""Retention: how long what sessions left is kept after their end."""

from debug_mcp.models.base import View


class RetentionView(View):
    """What was removed, or would be: sizes in bytes, of outputs and artifacts.

    ``audit_entries`` are those of the audit log.
    """

    commands: int
    artifacts: int
    audit_entries: int
    removed_bytes: int
    kept_bytes: int
    dry_run: bool
    hint: str | None = None
