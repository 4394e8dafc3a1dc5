"""What an idempotency key stands for: the caller, the operation and its arguments."""

import hashlib

from debug_mcp.auth.principal import Principal
from debug_mcp.models.base import Arguments
from debug_mcp.store.idempotency import Request

# How long a caller waits is no part of what it asks for.
_APART = {"idempotency_key", "wait_seconds"}


def keyed(principal: Principal, operation: str, args: Arguments, key: str | None) -> Request | None:
    """Return the keyed request, or None when the caller gave no key."""
    if key is None:
        return None
    asked = args.model_dump_json(exclude=_APART)
    digest = hashlib.sha256(asked.encode("utf-8", "surrogateescape")).hexdigest()
    return Request(principal.name, operation, key, digest)
