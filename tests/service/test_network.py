"""Who gets the host's network."""

from dataclasses import replace

import pytest

from debug_mcp.auth.principal import LOCAL, Principal, Scope
from debug_mcp.errors import PermissionDenied
from debug_mcp.models.network import NetworkPolicy
from debug_mcp.service.network import NetworkRules

REMOTE = Principal("ci", frozenset(Scope))
WITHOUT = Principal("ci", frozenset(Scope) - {Scope.COMMAND_NETWORK})


@pytest.mark.parametrize(
    ("policy", "principal", "asked", "granted"),
    [
        (NetworkPolicy.AUTO, LOCAL, True, True),
        (NetworkPolicy.AUTO, LOCAL, False, False),
        (NetworkPolicy.AUTO, REMOTE, False, False),
        (NetworkPolicy.ASK, REMOTE, True, True),
        (NetworkPolicy.ASK, REMOTE, False, False),
        (NetworkPolicy.OFF, LOCAL, False, False),
        (NetworkPolicy.ON, LOCAL, False, True),
        (NetworkPolicy.ON, REMOTE, False, True),
        (NetworkPolicy.ON, WITHOUT, False, False),
    ],
)
def test_the_network_is_given_by_the_setting(
    policy: NetworkPolicy, principal: Principal, asked: bool, granted: bool
) -> None:
    assert NetworkRules(policy).decide(principal, asked=asked) is granted


@pytest.mark.parametrize(
    ("policy", "own", "holds"),
    [
        (NetworkPolicy.AUTO, NetworkPolicy.ASK, NetworkPolicy.ASK),
        (NetworkPolicy.AUTO, NetworkPolicy.ON, NetworkPolicy.ON),
        (NetworkPolicy.ASK, NetworkPolicy.ON, NetworkPolicy.ASK),
        (NetworkPolicy.ON, NetworkPolicy.SETUP, NetworkPolicy.SETUP),
        (NetworkPolicy.OFF, NetworkPolicy.ON, NetworkPolicy.OFF),
        (NetworkPolicy.ON, None, NetworkPolicy.ON),
        (NetworkPolicy.AUTO, None, NetworkPolicy.OFF),
    ],
)
def test_a_token_has_what_it_says_and_no_more_than_the_setting(
    policy: NetworkPolicy, own: NetworkPolicy | None, holds: NetworkPolicy
) -> None:
    assert NetworkRules(policy).policy(replace(REMOTE, network=own)) is holds


@pytest.mark.parametrize(
    ("policy", "own", "remedy"),
    [
        (NetworkPolicy.AUTO, NetworkPolicy.OFF, "it: a token made with --network ask$"),
        (NetworkPolicy.AUTO, None, "it: network = .*=ask; or a token made with --network ask$"),
        (NetworkPolicy.ON, NetworkPolicy.SETUP, "it: a token made with --network ask$"),
        (NetworkPolicy.OFF, NetworkPolicy.ASK, "it: network = .*=ask$"),
        (NetworkPolicy.OFF, NetworkPolicy.OFF, "it: network = .*; and a token made"),
    ],
)
def test_a_refusal_names_what_stands_in_the_way(
    policy: NetworkPolicy, own: NetworkPolicy | None, remedy: str
) -> None:
    with pytest.raises(PermissionDenied, match=remedy):
        NetworkRules(policy).decide(replace(REMOTE, network=own), asked=True)


@pytest.mark.parametrize("policy", [NetworkPolicy.OFF, NetworkPolicy.SETUP])
@pytest.mark.parametrize("principal", [LOCAL, REMOTE])
def test_where_it_is_off_asking_for_it_is_refused_with_what_the_operator_can_do(
    policy: NetworkPolicy, principal: Principal
) -> None:
    with pytest.raises(
        PermissionDenied, match=r'network = "ask".*DEBUG_MCP_NETWORK=ask'
    ) as refusal:
        NetworkRules(policy).decide(principal, asked=True)
    assert refusal.value.field == "network"


def test_over_http_it_is_off_unless_the_operator_says_otherwise() -> None:
    with pytest.raises(PermissionDenied, match="operator"):
        NetworkRules(NetworkPolicy.AUTO).decide(REMOTE, asked=True)


@pytest.mark.parametrize("policy", NetworkPolicy)
def test_it_needs_its_scope_whatever_the_setting(policy: NetworkPolicy) -> None:
    with pytest.raises(PermissionDenied, match="command:network"):
        NetworkRules(policy).decide(WITHOUT, asked=True)


@pytest.mark.parametrize(
    ("policy", "principal", "granted"),
    [
        (NetworkPolicy.AUTO, LOCAL, True),
        (NetworkPolicy.AUTO, REMOTE, False),
        (NetworkPolicy.SETUP, REMOTE, True),
        (NetworkPolicy.SETUP, WITHOUT, False),
        (NetworkPolicy.OFF, LOCAL, False),
        (NetworkPolicy.ON, REMOTE, True),
    ],
)
def test_the_set_up_of_a_session_has_it_where_it_could_be_asked_for(
    policy: NetworkPolicy, principal: Principal, granted: bool
) -> None:
    assert NetworkRules(policy).decide_for_setup(principal) is granted
