"""Builds the parts and joins them: a server at work, or the ledger alone for its operator."""

from debug_mcp.app.ledger import open_audit, open_retention, open_tokens
from debug_mcp.app.services import open_services

__all__ = ["open_audit", "open_retention", "open_services", "open_tokens"]
