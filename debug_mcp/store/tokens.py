"""Rows of tokens. Of a secret only its SHA-256 is here, and by that it is found."""

import json
from dataclasses import replace
from datetime import datetime

import aiosqlite

from debug_mcp.errors import Conflict
from debug_mcp.models.network import NetworkPolicy
from debug_mcp.models.tokens import Token
from debug_mcp.store.database import Database, Row
from debug_mcp.store.rows import fresh_id, insert, moment, to_micros, to_moment


class Tokens:
    """The table of tokens. Names are unique among those that are not revoked."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, token: Token) -> Token:
        """Store a new token under a fresh id.

        Raises:
            Conflict: Its name is taken.
        """

        async def unit(connection: aiosqlite.Connection) -> Token:
            taken = await connection.execute_fetchall(
                "SELECT 1 FROM tokens WHERE name = ? AND revoked_at IS NULL", (token.name,)
            )
            if list(taken):
                raise Conflict(
                    f"there is a token {token.name!r}; rotate or revoke it, or take another name",
                    field="name",
                )
            stored = replace(token, id=await fresh_id(connection, "tokens", "t"))
            await insert(
                connection,
                "tokens",
                {
                    "id": stored.id,
                    "name": stored.name,
                    "owner": stored.owner,
                    "digest": stored.digest,
                    "scopes": json.dumps(stored.scopes),
                    "repositories": _json_or_null(stored.repositories),
                    "requests_per_second": stored.requests_per_second,
                    "requests_at_once": stored.requests_at_once,
                    "network": stored.network,
                    "made_by": stored.made_by,
                    "created_at": to_micros(stored.created_at),
                    "expires_at": _micros_or_null(stored.expires_at),
                },
            )
            return stored

        return await self._database.write(unit, durable=True)

    async def of_digest(self, digest: str) -> Token | None:
        """Return the token whose secret has this SHA-256, whatever its state."""
        row = await self._database.read_one("SELECT * FROM tokens WHERE digest = ?", (digest,))
        return None if row is None else _token(row)

    async def not_revoked(self) -> list[Token]:
        """Return every token that is not revoked, expired ones too, oldest first."""
        rows = await self._database.read(
            "SELECT * FROM tokens WHERE revoked_at IS NULL ORDER BY created_at, id"
        )
        return [_token(row) for row in rows]

    async def all(self) -> list[Token]:
        """Return every token, oldest first."""
        rows = await self._database.read("SELECT * FROM tokens ORDER BY created_at, id")
        return [_token(row) for row in rows]

    async def renew(
        self, token_id: str, digest: str, at: datetime, expires_at: datetime | None
    ) -> None:
        """Give a token another secret and expiry; the old secret is gone."""

        async def unit(connection: aiosqlite.Connection) -> None:
            await connection.execute(
                "UPDATE tokens SET digest = ?, rotated_at = ?, expires_at = ?, "
                "last_used_at = NULL WHERE id = ?",
                (digest, to_micros(at), _micros_or_null(expires_at), token_id),
            )

        await self._database.write(unit, durable=True)

    async def revoke(self, token_id: str, at: datetime) -> None:
        """Note that a token opens nothing any more."""

        async def unit(connection: aiosqlite.Connection) -> None:
            await connection.execute(
                "UPDATE tokens SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL",
                (to_micros(at), token_id),
            )

        await self._database.write(unit, durable=True)

    async def note_use(self, token_id: str, at: datetime) -> bool:
        """Note when a token was last used; return whether it never was before."""

        async def unit(connection: aiosqlite.Connection) -> bool:
            unused = await connection.execute_fetchall(
                "SELECT 1 FROM tokens WHERE id = ? AND last_used_at IS NULL", (token_id,)
            )
            await connection.execute(
                "UPDATE tokens SET last_used_at = ? WHERE id = ?", (to_micros(at), token_id)
            )
            return bool(list(unused))

        return await self._database.write(unit)


def _json_or_null(names: tuple[str, ...] | None) -> str | None:
    return None if names is None else json.dumps(names)


def _micros_or_null(at: datetime | None) -> int | None:
    return None if at is None else to_micros(at)


def _token(row: Row) -> Token:
    return Token(
        id=row["id"],
        name=row["name"],
        owner=row["owner"],
        digest=row["digest"],
        scopes=tuple(json.loads(row["scopes"])),
        repositories=None
        if row["repositories"] is None
        else tuple(json.loads(row["repositories"])),
        requests_per_second=row["requests_per_second"],
        requests_at_once=row["requests_at_once"],
        network=None if row["network"] is None else NetworkPolicy(row["network"]),
        made_by=row["made_by"],
        created_at=moment(row["created_at"]),
        expires_at=to_moment(row["expires_at"]),
        rotated_at=to_moment(row["rotated_at"]),
        last_used_at=to_moment(row["last_used_at"]),
        revoked_at=to_moment(row["revoked_at"]),
    )
