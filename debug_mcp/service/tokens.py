"""Tokens: making and ending them, and finding out who holds one."""

import contextlib
import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from debug_mcp.auth.principal import LOCAL, Principal, Scope
from debug_mcp.auth.tokens import digest, is_secret, new_secret
from debug_mcp.errors import Conflict, DebugMcpError, InvalidInput, NotFound
from debug_mcp.models.base import now
from debug_mcp.models.tokens import (
    Token,
    TokenCreate,
    TokenSecretView,
    TokenState,
    TokensView,
    TokenView,
)
from debug_mcp.store.tokens import Tokens

BOOTSTRAP = "bootstrap"
_USE_NOTED_EVERY = timedelta(minutes=1)
_CANDIDATES = 20


@dataclass(frozen=True, slots=True)
class Held:
    """A token that was found valid: which secret of which token, and whom it stands for."""

    token_id: str
    digest: str
    principal: Principal
    expires_at: datetime | None


class TokenService:
    """A token stands for its owner, with the scopes and repositories that it was given."""

    def __init__(self, store: Tokens) -> None:
        self._store = store

    async def create(self, principal: Principal, args: TokenCreate) -> TokenSecretView:
        """Make a token; its secret is in this answer and nowhere else.

        Raises:
            InvalidInput: A scope is unknown, or the owner cannot be had.
            Conflict: The name is taken.
        """
        principal.require(Scope.ADMIN)
        owner = args.owner or args.name
        if owner == LOCAL.name:
            raise InvalidInput(
                f"{owner!r} is the person who uses stdio; a token stands for somebody else",
                field="owner",
            )
        return await self._add(
            name=args.name,
            owner=owner,
            secret=new_secret(),
            scopes=_checked(args.scopes),
            repositories=None if args.repositories is None else tuple(args.repositories),
            expires_at=None if args.expires_in is None else now() + args.expires_in,
        )

    async def listing(self, principal: Principal) -> TokensView:
        """Return every token, revoked ones too."""
        principal.require(Scope.ADMIN)
        return TokensView(tokens=[_view(token) for token in await self._store.all()])

    async def revoke(self, principal: Principal, name: str) -> TokenView:
        """End a token: its next request is refused, and its open streams end.

        Raises:
            NotFound: There is no such token, or it is revoked already.
        """
        principal.require(Scope.ADMIN)
        token = await self._named(name)
        await self._store.revoke(token.id, now())
        return _view(await self._get(token.id))

    async def rotate(
        self, principal: Principal, name: str, expires_in: timedelta | None = None
    ) -> TokenSecretView:
        """Give a token another secret; the old one is refused from now on.

        Without ``expires_in`` an expiring token lives as long again as it was made to.

        Raises:
            NotFound: There is no such token, or it is revoked.
        """
        principal.require(Scope.ADMIN)
        token = await self._named(name)
        if expires_in is None and token.expires_at is not None:
            expires_in = token.expires_at - token.created_at
        secret = new_secret()
        expires_at = None if expires_in is None else now() + expires_in
        await self._store.renew(token.id, digest(secret), expires_at)
        return _with_secret(await self._get(token.id), secret)

    async def bootstrap(self, secret: str) -> None:
        """See to it that a secret that the operator chose opens everything.

        Once it is revoked it stays so. Another secret takes the place of the one before.

        Raises:
            InvalidInput: It has not the form of a secret.
            Conflict: It was revoked.
        """
        if not is_secret(secret):
            raise InvalidInput(
                "DEBUG_MCP_BOOTSTRAP_TOKEN is no token: it is dmcp_ and 32 random bytes in "
                "base64url, as printed by "
                "python3 -c \"import secrets; print('dmcp_' + secrets.token_urlsafe(32))\""
            )
        known = await self._store.of_digest(digest(secret))
        if known is not None:
            if known.state(now()) is not TokenState.VALID:
                raise Conflict(
                    f"DEBUG_MCP_BOOTSTRAP_TOKEN is {known.state(now())}: set another one, or none"
                )
            return
        with contextlib.suppress(NotFound):
            await self._store.revoke((await self._named(BOOTSTRAP)).id, now())
        await self._add(
            name=BOOTSTRAP,
            owner=BOOTSTRAP,
            secret=secret,
            scopes=tuple(Scope),
            repositories=None,
            expires_at=None,
        )

    async def verify(self, secret: str) -> Held | None:
        """Return who holds a secret, or None when it opens nothing."""
        if not is_secret(secret):
            return None
        token = await self._store.of_digest(digest(secret))
        at = now()
        if token is None or token.state(at) is not TokenState.VALID:
            return None
        if token.last_used_at is None or at - token.last_used_at > _USE_NOTED_EVERY:
            # A ledger that cannot be written just now is no reason to turn somebody away.
            with contextlib.suppress(DebugMcpError):
                await self._store.note_use(token.id, at)
        return Held(token.id, token.digest, _principal(token), token.expires_at)

    async def valid(self) -> set[tuple[str, str]]:
        """Return (token id, digest) of every secret that opens something now."""
        at = now()
        return {
            (token.id, token.digest)
            for token in await self._store.not_revoked()
            if token.state(at) is TokenState.VALID
        }

    async def _add(
        self,
        *,
        name: str,
        owner: str,
        secret: str,
        scopes: tuple[str, ...],
        repositories: tuple[str, ...] | None,
        expires_at: datetime | None,
    ) -> TokenSecretView:
        token = Token(
            id="",
            name=name,
            owner=owner,
            digest=digest(secret),
            scopes=scopes,
            repositories=repositories,
            created_at=now(),
            expires_at=expires_at,
        )
        return _with_secret(await self._store.add(token), secret)

    async def _named(self, name: str) -> Token:
        """Return the token of a name or an id.

        Raises:
            NotFound: There is none that is not revoked.
        """
        known = await self._store.not_revoked()
        for token in known:
            if name in (token.name, token.id):
                return token
        names = [token.name for token in known]
        near = difflib.get_close_matches(name, names, _CANDIDATES, 0)
        raise NotFound(
            f"no token {name!r}" if known else f"no token {name!r}; there is none that is valid",
            field="name",
            candidates=near[:_CANDIDATES],
        )

    async def _get(self, token_id: str) -> Token:
        [token] = [token for token in await self._store.all() if token.id == token_id]
        return token


def _checked(scopes: Sequence[str]) -> tuple[Scope, ...]:
    """Return scopes in their order, each once.

    Raises:
        InvalidInput: One is unknown.
    """
    known = [str(scope) for scope in Scope]
    for scope in scopes:
        if scope not in known:
            raise InvalidInput(
                f"there is no scope {scope!r}",
                field="scopes",
                candidates=list(
                    dict.fromkeys([*difflib.get_close_matches(scope, known, 3), *known])
                ),
            )
    return tuple(scope for scope in Scope if scope in scopes)


def _principal(token: Token) -> Principal:
    # A scope that this version does not know gives nothing.
    scopes = frozenset(scope for scope in Scope if scope in token.scopes)
    allowed = None if token.repositories is None else frozenset(token.repositories)
    return Principal(token.owner, scopes, allowed)


def _view(token: Token) -> TokenView:
    return TokenView(
        token_id=token.id,
        name=token.name,
        owner=token.owner,
        state=token.state(now()),
        scopes=list(token.scopes),
        repositories=None if token.repositories is None else list(token.repositories),
        created_at=token.created_at,
        expires_at=token.expires_at,
        last_used_at=token.last_used_at,
    )


def _with_secret(token: Token, secret: str) -> TokenSecretView:
    return TokenSecretView(**_view(token).model_dump(), secret=secret)
