"""What a token is given, and that nobody gives what they have not. Pure.

The rule is that of capabilities which can only be attenuated (Birgisson et al., "Macaroons", 2014):
what is made with a token is never wider than that token, at the time when it is made.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from debug_mcp.auth.principal import NO_LIMITS, Limits, Principal, Scope
from debug_mcp.errors import PermissionDenied
from debug_mcp.models.base import iso
from debug_mcp.models.network import POLICIES, NetworkPolicy, narrower

N = TypeVar("N", int, float)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token allows: ``repositories`` None for all, ``expires_at`` None for no end.

    ``network`` None: what the server gives to those whose token says nothing of it.
    """

    scopes: frozenset[Scope]
    repositories: frozenset[str] | None = None
    expires_at: datetime | None = None
    limits: Limits = NO_LIMITS
    network: NetworkPolicy | None = None


def narrowed(giver: Principal, wanted: Grant) -> Grant:
    """Return what is given when somebody asks for a token; what is left open is the giver's own.

    Raises:
        PermissionDenied: More is asked for than the giver has.
    """
    own = giver.limits
    given = replace(
        wanted,
        repositories=_or(wanted.repositories, giver.repositories),
        expires_at=_or(wanted.expires_at, giver.expires_at),
        limits=Limits(
            _or(wanted.limits.requests_per_second, own.requests_per_second),
            _or(wanted.limits.requests_at_once, own.requests_at_once),
        ),
        network=_or(wanted.network, giver.network),
    )
    check(giver, given)
    return given


def check(giver: Principal, grant: Grant) -> None:
    """Do nothing when the giver has all that is granted.

    Raises:
        PermissionDenied: It is more, and what of it.
    """
    lacking = [scope for scope in Scope if scope in grant.scopes - giver.scopes]
    if lacking:
        raise PermissionDenied(
            f"a token gives only what it has, and yours lacks {', '.join(lacking)}",
            field="scopes",
            candidates=[scope for scope in Scope if scope in giver.scopes],
            scope=str(lacking[0]),
        )
    if giver.repositories is not None:
        beyond = {"all"} if grant.repositories is None else grant.repositories - giver.repositories
        if beyond:
            raise PermissionDenied(
                f"your token reaches some repositories alone, not {', '.join(sorted(beyond))}",
                field="repositories",
                candidates=sorted(giver.repositories),
            )
    ends = giver.expires_at
    if ends is not None and (grant.expires_at is None or grant.expires_at > ends):
        raise PermissionDenied(
            f"your token ends at {iso(ends)}, and nothing made with it lives longer",
            field="expires_in_seconds",
        )
    _check_limit(
        "requests_per_second", grant.limits.requests_per_second, giver.limits.requests_per_second
    )
    _check_limit("requests_at_once", grant.limits.requests_at_once, giver.limits.requests_at_once)
    _check_network(giver, grant.network)


def _check_network(giver: Principal, wanted: NetworkPolicy | None) -> None:
    if giver.token_id is None or wanted == giver.network:
        return  # the operator, or just what it has
    widest = giver.network or NetworkPolicy.OFF
    if wanted is None or narrower(wanted, widest) is not wanted:
        said = f"has network {widest}" if giver.network else "says nothing of the network"
        raise PermissionDenied(
            f"your token {said}, and gives no more",
            field="network",
            candidates=POLICIES[: POLICIES.index(widest) + 1],
        )


def _check_limit(name: str, wanted: N | None, own: N | None) -> None:
    if own is not None and (wanted is None or wanted > own):
        raise PermissionDenied(f"your token has {name} {own:g}, and gives no more", field=name)


T = TypeVar("T")


def _or(wanted: T | None, own: T | None) -> T | None:
    return own if wanted is None else wanted
