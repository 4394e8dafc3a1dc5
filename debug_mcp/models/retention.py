"""Retention: how long what sessions left is kept after their end."""

from debug_mcp.models.base import View


class RetentionView(View):
    """What was removed, or would be: sizes in bytes, of outputs and artifacts.

    ``evidence`` counts comparisons, flaky runs and bisections, ``audit_entries`` those of the log.
    """

    commands: int
    artifacts: int
    evidence: int
    environments: int = 0
    environment_bytes: int = 0
    audit_entries: int
    removed_bytes: int
    kept_bytes: int
    dry_run: bool
    hint: str | None = None
