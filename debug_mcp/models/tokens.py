"""Tokens: what a client proves with who it is over HTTP."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from debug_mcp.models.base import Arguments, Moment, View

TokenName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$")]


class TokenState(StrEnum):
    """Whether a token opens anything."""

    VALID = "valid"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Token:
    """A stored token. ``digest`` is the SHA-256 of its secret, which is nowhere kept.

    ``owner`` is the principal that it stands for; ``repositories`` are the names that it may use,
    None for all.
    """

    id: str
    name: str
    owner: str
    digest: str
    scopes: tuple[str, ...]
    created_at: datetime
    repositories: tuple[str, ...] | None = None
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None

    def state(self, at: datetime) -> TokenState:
        """Return whether it opens anything at this time."""
        if self.revoked_at is not None:
            return TokenState.REVOKED
        if self.expires_at is not None and self.expires_at <= at:
            return TokenState.EXPIRED
        return TokenState.VALID


class TokenCreate(Arguments):
    """Arguments of making a token."""

    name: TokenName
    owner: TokenName | None = Field(
        default=None, description="the principal it stands for; default: its name"
    )
    scopes: list[str] = Field(min_length=1)
    repositories: list[str] | None = Field(
        default=None, min_length=1, description="names it may use; default: all"
    )
    expires_in: timedelta | None = Field(default=None, gt=timedelta(0))


class TokenView(View):
    """A token as an operator sees it: everything but its secret."""

    token_id: str
    name: str
    owner: str
    state: TokenState
    scopes: list[str]
    repositories: list[str] | None = None
    created_at: Moment
    expires_at: Moment | None = None
    last_used_at: Moment | None = None


class TokenSecretView(TokenView):
    """A token that was just made or rotated. ``secret`` is shown this once."""

    secret: str


class TokensView(View):
    """Every token that was not forgotten, oldest first."""

    tokens: list[TokenView]
