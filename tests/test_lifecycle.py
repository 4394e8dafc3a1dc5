"""The transition tables: every state can be reached, and an end is an end."""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from debug_mcp.lifecycle import (
    COMMAND,
    ENVIRONMENT,
    EVIDENCE,
    REPOSITORY,
    SESSION,
    sources,
    terminal,
)
from debug_mcp.models.commands import CommandState
from debug_mcp.models.environments import EnvironmentState
from debug_mcp.models.evidence import EvidenceState
from debug_mcp.models.repositories import RepositoryState
from debug_mcp.models.sessions import SessionState

AnyTable: TypeAlias = Mapping[StrEnum, frozenset[StrEnum]]

# Each table with its states, where it begins, and where it may end.
MACHINES = [
    pytest.param(
        REPOSITORY, RepositoryState, RepositoryState.CLONING, {"removed"}, id="repository"
    ),
    pytest.param(SESSION, SessionState, SessionState.PREPARING, {"closed", "failed"}, id="session"),
    pytest.param(ENVIRONMENT, EnvironmentState, EnvironmentState.WAITING, set(), id="environment"),
    pytest.param(EVIDENCE, EvidenceState, EvidenceState.RUNNING, {"finished"}, id="evidence"),
    pytest.param(COMMAND, CommandState, CommandState.QUEUED, {"finished"}, id="command"),
]
every_machine = pytest.mark.parametrize(("table", "states", "first", "ends"), MACHINES)


@every_machine
def test_a_table_lists_every_state(
    table: AnyTable, states: type[StrEnum], first: StrEnum, ends: set[str]
) -> None:
    assert list(table) == list(states)
    assert next(iter(table)) == first


@every_machine
def test_every_state_can_be_reached_from_the_first(
    table: AnyTable, states: type[StrEnum], first: StrEnum, ends: set[str]
) -> None:
    reached, frontier = {first}, {first}
    while frontier:
        frontier = {target for state in frontier for target in table[state]} - reached
        reached |= frontier
    assert reached == set(states)


@every_machine
def test_only_an_end_has_nowhere_to_go(
    table: AnyTable, states: type[StrEnum], first: StrEnum, ends: set[str]
) -> None:
    assert terminal(table) == ends


@every_machine
@given(data=st.data())
def test_whatever_is_asked_nothing_leaves_an_end(
    table: AnyTable, states: type[StrEnum], first: StrEnum, ends: set[str], data: st.DataObject
) -> None:
    state = first
    ended = False
    for wanted in data.draw(st.lists(st.sampled_from(list(states)), max_size=20)):
        # As the store does it: an UPDATE whose WHERE names the sources.
        if state in sources(table, wanted):
            assert not ended
            state = wanted
        ended = state in ends


def test_the_sources_of_a_state_stand_in_the_order_of_the_table() -> None:
    assert sources(COMMAND, CommandState.FINISHED) == ("queued", "starting", "running")
    assert sources(SESSION, SessionState.READY) == ("preparing", "closing")
    assert sources(SESSION, SessionState.PREPARING) == ()
