"""The call that a caller should have sent: the same, but for what was wrong."""

from debug_mcp.errors import NextCall
from debug_mcp.models.repositories import Repository
from debug_mcp.models.sessions import SessionCreate


def create_again(
    repository: Repository, args: SessionCreate, *, without: set[str], **changes: object
) -> NextCall:
    """Return a ``session_create`` again; an idempotency key stands for what was sent before."""
    given = args.model_dump(exclude_unset=True, exclude={*without, "idempotency_key"})
    arguments = {**given, "repository": repository.name, **changes}
    return {"tool": "session_create", "arguments": arguments}
