"""``debug-mcp token``: for the operator, on the data directory itself."""

import argparse
import json

from debug_mcp.app import open_services, open_tokens
from debug_mcp.auth.principal import LOCAL, Scope
from debug_mcp.cli.durations import seconds_of
from debug_mcp.cli.opening import opened
from debug_mcp.cli.table import table
from debug_mcp.config import Settings
from debug_mcp.models.base import View
from debug_mcp.models.tokens import TokenCreate, TokenSecretView, TokensView, TokenView
from debug_mcp.operations.arguments import parse
from debug_mcp.operations.registry import Call
from debug_mcp.operations.tokens import token_revoke
from debug_mcp.service.audit import object_in
from debug_mcp.service.tokens import TokenService

# Reaching other machines, writing to an upstream and managing tokens are to be asked for.
_DEFAULT = [
    str(scope)
    for scope in Scope
    if scope not in (Scope.ADMIN, Scope.REPOSITORY_PUSH, Scope.COMMAND_NETWORK)
]


async def run_token(settings: Settings, action: str, options: argparse.Namespace) -> int:
    """Do what was asked with tokens and print what came of it."""
    if getattr(options, "cancel_commands", False):
        view = await _revoked_with_commands(settings, options.name)
    else:
        async with opened(open_tokens(settings)) as (tokens, audit):
            # As the operation over REST is called there.
            operation, named = f"token_{action}", getattr(options, "name", None)
            with audit.watching(LOCAL, operation, named, changes=action != "list") as watched:
                view = await _done(tokens, action, options)
                watched.object_id = object_in(view)
    print(json.dumps(view.compact(), indent=2) if options.json else _text(action, view))
    return 0


async def _revoked_with_commands(settings: Settings, name: str) -> View:
    async with opened(open_services(settings)) as services:
        asked = {"token": name, "cancel_commands": True}
        return await token_revoke.invoke(Call(LOCAL, services), asked)


async def _done(tokens: TokenService, action: str, options: argparse.Namespace) -> View:
    match action:
        case "create":
            return await tokens.create(LOCAL, _asked(options))
        case "rotate":
            return await tokens.rotate(LOCAL, options.name, seconds_of(options.expires, "expires"))
        case "revoke":
            return await tokens.revoke(LOCAL, options.name)
        case _:
            return await tokens.listing(LOCAL)


def _asked(options: argparse.Namespace) -> TokenCreate:
    scopes = [scope for given in options.scope or _DEFAULT for scope in given.split(",") if scope]
    return parse(
        "token create",
        TokenCreate,
        {
            "name": options.name,
            "owner": options.owner,
            "scopes": scopes,
            "repositories": options.repository,
            "expires_in_seconds": seconds_of(options.expires, "expires"),
            "requests_per_second": options.requests_per_second,
            "requests_at_once": options.requests_at_once,
            "network": options.network,
        },
    )


def _text(action: str, view: View) -> str:
    match view:
        case TokenSecretView():
            made = "made" if action == "create" else "given another secret"
            return (
                f"Token {view.name} was {made}. Keep its secret; it is not shown again:\n\n"
                f"  {view.secret}\n\n{_table([view])}"
            )
        case TokensView():
            if not view.tokens:
                return "There is no token yet; debug-mcp token create NAME makes one."
            return _table(view.tokens)
        case TokenView():
            said = f"Token {view.name} is revoked: its next request is refused"
            ended = view.cancelled_commands
            return f"{said}." if ended is None else f"{said}; commands asked to end: {ended}."
        case _:
            return ""


def _table(tokens: list[TokenView] | list[TokenSecretView]) -> str:
    heading = ("NAME", "ID", "OWNER", "STATE", "EXPIRES", "LAST USED", "REPOSITORIES", "SCOPES")
    rows = []
    for token in tokens:
        facts = token.compact()
        rows.append(
            (
                token.name,
                token.token_id,
                token.owner,
                str(token.state),
                facts.get("expires_at", "never"),
                facts.get("last_used_at", "never"),
                ",".join(token.repositories) if token.repositories else "all",
                ",".join(token.scopes),
            )
        )
    return table(heading, rows)
