"""Idempotency keys: the same key means the same object, also after a restart.

Clients of the 2026 protocol send a call again when its stream broke, so every operation with an
effect takes a key.
"""

from dataclasses import dataclass
from typing import LiteralString

import aiosqlite

from debug_mcp.errors import Conflict
from debug_mcp.store.rows import insert

KNOWN: LiteralString = """
SELECT digest, object_id FROM idempotency_keys WHERE principal = ? AND operation = ? AND key = ?
"""


@dataclass(frozen=True, slots=True)
class Request:
    """A keyed request. ``digest`` stands for its arguments."""

    principal: str
    operation: str
    key: str
    digest: str

    @property
    def identity(self) -> tuple[str, str, str]:
        """Return the parameters of ``KNOWN``."""
        return self.principal, self.operation, self.key


async def recall(connection: aiosqlite.Connection, request: Request | None) -> str | None:
    """Return the id of the object that this request made before, or None when it is new.

    Raises:
        Conflict: The key was used with other arguments.
    """
    if request is None:
        return None
    rows = list(await connection.execute_fetchall(KNOWN, request.identity))
    if not rows:
        return None
    digest, object_id = rows[0]
    if digest != request.digest:
        raise Conflict(
            f"the idempotency key {request.key!r} was used for {object_id} with other arguments",
            field="idempotency_key",
        )
    return str(object_id)


async def remember(
    connection: aiosqlite.Connection, request: Request | None, object_id: str
) -> None:
    """Store what a key stands for, in the same transaction as the object."""
    if request is None:
        return
    await insert(
        connection,
        "idempotency_keys",
        {
            "principal": request.principal,
            "operation": request.operation,
            "key": request.key,
            "digest": request.digest,
            "object_id": object_id,
        },
    )


async def forget(connection: aiosqlite.Connection, object_id: str) -> None:
    """Free the key of an object that came to nothing, so that a corrected call can use it."""
    await connection.execute("DELETE FROM idempotency_keys WHERE object_id = ?", (object_id,))
