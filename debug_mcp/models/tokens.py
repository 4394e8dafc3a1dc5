"""Tokens: what a client proves with who it is over HTTP."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from debug_mcp.models.base import Arguments, Moment, View
from debug_mcp.models.network import NetworkPolicy

TokenName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$")]


# Ten years, in seconds.
_LONGEST = 10 * 365 * 24 * 3600


class TokenState(StrEnum):
    """Whether a token opens anything."""

    VALID = "valid"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Token:
    """A stored token. ``digest`` is the SHA-256 of its secret, which is nowhere kept.

    ``owner`` is the principal that it stands for; ``repositories`` are the names that it may use,
    None for all; ``made_by`` is the token that it was made with, None for the command line.
    """

    id: str
    name: str
    owner: str
    digest: str
    scopes: tuple[str, ...]
    created_at: datetime
    repositories: tuple[str, ...] | None = None
    requests_per_second: float | None = None
    requests_at_once: int | None = None
    network: NetworkPolicy | None = None
    made_by: str | None = None
    expires_at: datetime | None = None
    rotated_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None

    def state(self, at: datetime) -> TokenState:
        """Return whether it opens anything at this time."""
        if self.revoked_at is not None:
            return TokenState.REVOKED
        if self.expires_at is not None and self.expires_at <= at:
            return TokenState.EXPIRED
        return TokenState.VALID


ExpiresIn = Annotated[
    float | None,
    Field(gt=0, le=_LONGEST, description="end it after so many seconds; default: no end"),
]
TokenNetwork = Literal[NetworkPolicy.OFF, NetworkPolicy.SETUP, NetworkPolicy.ASK, NetworkPolicy.ON]
NamedToken = Annotated[str, Field(min_length=1, max_length=64, description="its name or its id")]


class TokenCreate(Arguments):
    """Arguments of making a token."""

    name: TokenName
    owner: TokenName | None = Field(
        default=None, description="the principal it stands for; default: its name"
    )
    scopes: list[str] = Field(min_length=1, description="what it allows, of those of your token")
    repositories: list[str] | None = Field(
        default=None,
        min_length=1,
        description="names of those that it may use; default: those of your token, or all",
    )
    expires_in_seconds: ExpiresIn = None
    requests_per_second: float | None = Field(
        default=None,
        gt=0,
        le=10_000,
        description="in the long run, and four times as many in short succession; the limits of "
        "its owner hold as well",
    )
    requests_at_once: int | None = Field(
        default=None, ge=1, le=10_000, description="requests and streams of it under way"
    )
    network: TokenNetwork | None = Field(
        default=None,
        description="whether commands get the host's network, within the server's setting, as that "
        "says it; all but off needs the scope command:network. Default: as the server does",
    )


class TokenList(Arguments):
    """Arguments of listing tokens."""

    token: NamedToken | None = Field(default=None, description="this one alone: its name or its id")


class TokenRotate(Arguments):
    """Arguments of giving a token another secret."""

    token: NamedToken
    expires_in_seconds: float | None = Field(
        default=None,
        gt=0,
        le=_LONGEST,
        description="end it after so many seconds; default: after as long as it was made for",
    )


class TokenRevoke(Arguments):
    """Arguments of ending a token."""

    token: NamedToken
    cancel_commands: bool = Field(
        default=False,
        description="also end its owner's commands in the repositories that it reaches, those "
        "that another token of that owner began too",
    )


class TokenView(View):
    """A token as an operator sees it: everything but its secret.

    ``cancelled_commands``: how many commands were asked to end with it.
    """

    token_id: str
    name: str
    owner: str
    state: TokenState
    scopes: list[str]
    repositories: list[str] | None = None
    requests_per_second: float | None = None
    requests_at_once: int | None = None
    network: NetworkPolicy | None = None
    made_by: str | None = None
    created_at: Moment
    expires_at: Moment | None = None
    last_used_at: Moment | None = None
    cancelled_commands: int | None = None


class TokenSecretView(TokenView):
    """A token that was just made or rotated. ``secret`` is shown this once."""

    secret: str


class TokensView(View):
    """Every token that was not forgotten, oldest first."""

    tokens: list[TokenView]
