"""Operations on tokens: over REST and on the command line, never as tools.

A secret that passed through a model would be in its client's transcript.
"""

from debug_mcp.auth.principal import Scope
from debug_mcp.models.tokens import (
    TokenCreate,
    TokenList,
    TokenRevoke,
    TokenRotate,
    TokenSecretView,
    TokensView,
    TokenView,
)
from debug_mcp.operations.registry import Call, Route, operation


@operation(
    scope=Scope.ADMIN,
    routes=(Route("POST", "/tokens", creates="/tokens/{token_id}"),),
    title="Make a token",
)
async def token_create(call: Call, args: TokenCreate) -> TokenSecretView:
    """Make a token; its secret is in this answer and nowhere else.

    It allows at most what your token does: scopes, repositories, end and limits. What you leave out
    is as in your token. Its owner may be anybody.
    """
    return await call.services.tokens.create(call.principal, args)


@operation(
    scope=Scope.ADMIN,
    routes=(
        Route("GET", "/tokens", without=("token",)),
        Route("GET", "/tokens/{token}"),
    ),
    title="List tokens",
    read_only=True,
)
async def token_list(call: Call, args: TokenList) -> TokensView:
    """List all tokens without their secrets, revoked ones too: owner, rights, last use."""
    return await call.services.tokens.listing(call.principal, args.token)


@operation(
    scope=Scope.ADMIN,
    routes=(Route("POST", "/tokens/{token}/rotate"),),
    title="Rotate a token",
    destructive=True,
)
async def token_rotate(call: Call, args: TokenRotate) -> TokenSecretView:
    """Give a token another secret, shown in this answer alone; the old one ends at once.

    Refused when the token allows more than yours does.
    """
    return await call.services.tokens.rotate(call.principal, args.token, args.expires_in_seconds)


@operation(
    scope=Scope.ADMIN,
    routes=(Route("DELETE", "/tokens/{token}"),),
    title="Revoke a token",
    idempotent=True,
    destructive=True,
)
async def token_revoke(call: Call, args: TokenRevoke) -> TokenView:
    """End a token: its next request is refused, and its open streams end within seconds.

    Commands go on unless cancel_commands; tokens that were made with it stay.
    """
    return await call.services.tokens.revoke(
        call.principal, args.token, cancel_commands=args.cancel_commands
    )
