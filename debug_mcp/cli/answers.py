"""What ``debug-mcp call`` prints, and its exit code."""

import json
import sys
from typing import Any

from debug_mcp.errors import DebugMcpError, InvalidInput
from debug_mcp.interfaces.errors import error_facts, error_text
from debug_mcp.interfaces.render import render

USAGE = 2


def print_facts(facts: dict[str, Any], *, as_json: bool) -> int:
    """Print an answer as a model would read it, or its structure; return 0."""
    print(json.dumps(facts, indent=2, ensure_ascii=False) if as_json else render(facts))
    return 0


def print_refusal(error: DebugMcpError, *, as_json: bool) -> int:
    """Print what was wrong; return 2 for wrong usage, else 1."""
    text = json.dumps(error_facts(error), indent=2) if as_json else error_text(error)
    print(text, file=sys.stdout if as_json else sys.stderr)
    return USAGE if isinstance(error, InvalidInput) else 1
