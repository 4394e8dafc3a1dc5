"""A token is never wider than the one that it was made with."""

from datetime import UTC, datetime, timedelta

import pytest

from debug_mcp.auth.grants import Grant, check, narrowed
from debug_mcp.auth.principal import LOCAL, Limits, Principal, Scope
from debug_mcp.errors import PermissionDenied
from debug_mcp.models.network import NetworkPolicy

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
OFF = NetworkPolicy.OFF
READ = frozenset({Scope.SESSION_READ})
ADA = Principal(
    "ada",
    READ | {Scope.ADMIN},
    frozenset({"app", "lib"}),
    expires_at=NOON,
    token_id="t_1",
    limits=Limits(10, 4),
    network=NetworkPolicy.SETUP,
)


def test_what_is_left_open_is_the_givers_own() -> None:
    given = narrowed(ADA, Grant(READ))
    assert given == Grant(READ, ADA.repositories, NOON, ADA.limits, ADA.network)


def test_what_is_narrower_is_given_as_it_was_asked_for() -> None:
    less = Grant(READ, frozenset({"app"}), NOON - timedelta(hours=1), Limits(1, 2), OFF)
    assert narrowed(ADA, less) == less


def test_the_person_at_the_machine_gives_anything() -> None:
    everything = Grant(frozenset(Scope))
    assert narrowed(LOCAL, everything) == everything


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        (Grant(READ | {Scope.COMMAND_RUN}), "scopes"),
        (Grant(READ, frozenset({"app", "other"})), "repositories"),
        (Grant(READ, expires_at=NOON + timedelta(seconds=1)), "expires_in_seconds"),
        (Grant(READ, limits=Limits(10.5, None)), "requests_per_second"),
        (Grant(READ, limits=Limits(None, 5)), "requests_at_once"),
        (Grant(READ, network=NetworkPolicy.ASK), "network"),
    ],
)
def test_more_than_the_giver_has_is_refused(wanted: Grant, field: str) -> None:
    with pytest.raises(PermissionDenied) as caught:
        narrowed(ADA, wanted)
    assert caught.value.field == field


def test_the_scope_that_lacks_is_named() -> None:
    with pytest.raises(PermissionDenied) as caught:
        narrowed(ADA, Grant(frozenset({Scope.COMMAND_RUN})))
    assert caught.value.details["scope"] == "command:run"
    assert caught.value.candidates == ("session:read", "admin")


@pytest.mark.parametrize(
    "grant",
    [
        Grant(READ, None, NOON, Limits(1, 1)),
        Grant(READ, frozenset({"app"}), None, Limits(1, 1)),
        Grant(READ, frozenset({"app"}), NOON, Limits(1, None)),
        Grant(READ, frozenset({"app"}), NOON, Limits(None, 1)),
        Grant(READ, frozenset({"app"}), NOON, Limits(1, 1)),
    ],
)
def test_a_grant_without_a_bound_that_the_giver_has_is_wider(grant: Grant) -> None:
    with pytest.raises(PermissionDenied):
        check(ADA, grant)


def test_a_token_that_says_nothing_of_the_network_gives_none_of_it() -> None:
    giver = Principal("ada", frozenset(Scope), token_id="t_1")
    assert narrowed(giver, Grant(READ)).network is None
    assert narrowed(giver, Grant(READ, network=OFF)).network is OFF
    with pytest.raises(PermissionDenied) as caught:
        narrowed(giver, Grant(READ, network=NetworkPolicy.ASK))
    assert caught.value.candidates == (OFF,)
