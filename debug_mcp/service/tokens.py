"""Tokens: making and ending them, and finding out who holds one."""

import contextlib
import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from debug_mcp.auth.grants import Grant, check, narrowed
from debug_mcp.auth.principal import LOCAL, Limits, Principal, Scope
from debug_mcp.auth.tokens import digest, is_secret, new_secret
from debug_mcp.errors import Conflict, DebugMcpError, InvalidInput, NotFound
from debug_mcp.models.base import now
from debug_mcp.models.network import NetworkPolicy
from debug_mcp.models.tokens import (
    Token,
    TokenCreate,
    TokenSecretView,
    TokenState,
    TokensView,
    TokenView,
)
from debug_mcp.service.ending import Ending
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


class TokenService:
    """A token stands for its owner, with the scopes and repositories that it was given."""

    def __init__(
        self,
        store: Tokens,
        ending: Ending | None = None,
        first_used: Callable[[Principal], None] = lambda principal: None,
    ) -> None:
        """Without ``ending``, which needs a working server, no command is ended.

        ``first_used`` is told of the first use of each secret.
        """
        self._store = store
        self._ending = ending
        self._first_used = first_used

    async def create(self, principal: Principal, args: TokenCreate) -> TokenSecretView:
        """Make a token; its secret is in this answer and nowhere else.

        Raises:
            InvalidInput: A scope is unknown, or the owner cannot be had.
            PermissionDenied: More is asked for than the principal has.
            Conflict: The name is taken.
        """
        principal.require(Scope.ADMIN)
        owner = args.owner or args.name
        if owner == LOCAL.name:
            raise InvalidInput(
                f"{owner!r} is the person who uses stdio; a token stands for somebody else",
                field="owner",
            )
        asked = Grant(
            frozenset(_checked(args.scopes)),
            None if args.repositories is None else frozenset(args.repositories),
            _after(args.expires_in_seconds),
            Limits(args.requests_per_second, args.requests_at_once),
            args.network,
        )
        wants_network = args.network not in (None, NetworkPolicy.OFF)
        if wants_network and Scope.COMMAND_NETWORK not in asked.scopes:
            raise InvalidInput(
                f"network {args.network} needs the scope {Scope.COMMAND_NETWORK}",
                field="scopes",
                candidates=[*asked.scopes, Scope.COMMAND_NETWORK],
            )
        grant = narrowed(principal, asked)
        return await self._add(args.name, owner, new_secret(), grant, principal.token_id)

    async def listing(self, principal: Principal, name: str | None = None) -> TokensView:
        """Return every token, revoked ones too; or the one of a name or an id.

        Raises:
            NotFound: There is no such token.
        """
        principal.require(Scope.ADMIN)
        known = await self._store.all()
        if name is not None:
            # A name may have been another token's before: the one that holds it now counts.
            named = [token for token in known if name in (token.id, token.name)]
            known = named[-1:] or [await self._named(name)]
        return TokensView(tokens=[_view(token) for token in known])

    async def revoke(
        self, principal: Principal, name: str, *, cancel_commands: bool = False
    ) -> TokenView:
        """End a token: its next request is refused, and its open streams end.

        With ``cancel_commands`` the commands of its owner end too, in the repositories that it
        reaches; which of the owner's tokens began them is not kept.

        Raises:
            NotFound: There is no such token, or it is revoked already.
        """
        principal.require(Scope.ADMIN)
        token = await self._named(name)
        await self._store.revoke(token.id, now())
        view = _view(await self._get(token.id))
        if not cancel_commands or self._ending is None:
            return view
        cancelled = await self._ending.commands_of(_principal(token).owner)
        return view.model_copy(update={"cancelled_commands": cancelled})

    async def rotate(
        self, principal: Principal, name: str, expires_in_seconds: float | None = None
    ) -> TokenSecretView:
        """Give a token another secret; the old one is refused from now on.

        Without ``expires_in_seconds`` an expiring token lives as long again as it was made to.

        Raises:
            NotFound: There is no such token, or it is revoked.
            PermissionDenied: The token allows more than the principal has, who would hold it.
        """
        principal.require(Scope.ADMIN)
        token = await self._named(name)
        if expires_in_seconds is None and token.expires_at is not None:
            since = token.rotated_at or token.created_at
            expires_in_seconds = (token.expires_at - since).total_seconds()
        expires_at = _after(expires_in_seconds)
        check(principal, _grant(token, expires_at))
        secret = new_secret()
        await self._store.renew(token.id, digest(secret), now(), expires_at)
        return _with_secret(await self._get(token.id), secret)

    async def bootstrap(self, secret: str) -> str | None:
        """See to it that a secret that the operator chose opens everything.

        Once it is revoked it stays so. Another secret takes the place of the one before. Returns
        the id of the token if it is new.

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
            return None
        with contextlib.suppress(NotFound):
            await self._store.revoke((await self._named(BOOTSTRAP)).id, now())
        made = await self._add(BOOTSTRAP, BOOTSTRAP, secret, Grant(frozenset(Scope)), None)
        return made.token_id

    async def verify(self, secret: str) -> Held | None:
        """Return who holds a secret, or None when it opens nothing."""
        if not is_secret(secret):
            return None
        token = await self._store.of_digest(digest(secret))
        at = now()
        if token is None or token.state(at) is not TokenState.VALID:
            return None
        principal = _principal(token)
        if token.last_used_at is None or at - token.last_used_at > _USE_NOTED_EVERY:
            # A ledger that cannot be written just now is no reason to turn somebody away.
            with contextlib.suppress(DebugMcpError):
                if await self._store.note_use(token.id, at):
                    self._first_used(principal)
        return Held(token.id, token.digest, principal)

    async def valid(self) -> set[tuple[str, str]]:
        """Return (token id, digest) of every secret that opens something now."""
        at = now()
        return {
            (token.id, token.digest)
            for token in await self._store.not_revoked()
            if token.state(at) is TokenState.VALID
        }

    async def _add(
        self, name: str, owner: str, secret: str, grant: Grant, made_by: str | None
    ) -> TokenSecretView:
        token = Token(
            id="",
            name=name,
            owner=owner,
            digest=digest(secret),
            scopes=tuple(scope for scope in Scope if scope in grant.scopes),
            repositories=None if grant.repositories is None else tuple(sorted(grant.repositories)),
            requests_per_second=grant.limits.requests_per_second,
            requests_at_once=grant.limits.requests_at_once,
            network=grant.network,
            made_by=made_by,
            created_at=now(),
            expires_at=grant.expires_at,
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
            field="token",
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


def _after(seconds: float | None) -> datetime | None:
    return None if seconds is None else now() + timedelta(seconds=seconds)


def _grant(token: Token, expires_at: datetime | None) -> Grant:
    return Grant(
        # A scope that this version does not know gives nothing.
        frozenset(scope for scope in Scope if scope in token.scopes),
        None if token.repositories is None else frozenset(token.repositories),
        expires_at,
        Limits(token.requests_per_second, token.requests_at_once),
        token.network,
    )


def _principal(token: Token) -> Principal:
    grant = _grant(token, token.expires_at)
    return Principal(
        token.owner,
        grant.scopes,
        grant.repositories,
        token_id=token.id,
        expires_at=grant.expires_at,
        limits=grant.limits,
        network=grant.network,
    )


def _view(token: Token) -> TokenView:
    return TokenView(
        token_id=token.id,
        name=token.name,
        owner=token.owner,
        state=token.state(now()),
        scopes=list(token.scopes),
        repositories=None if token.repositories is None else list(token.repositories),
        requests_per_second=token.requests_per_second,
        requests_at_once=token.requests_at_once,
        network=token.network,
        made_by=token.made_by,
        created_at=token.created_at,
        expires_at=token.expires_at,
        last_used_at=token.last_used_at,
    )


def _with_secret(token: Token, secret: str) -> TokenSecretView:
    return TokenSecretView(**_view(token).model_dump(), secret=secret)
