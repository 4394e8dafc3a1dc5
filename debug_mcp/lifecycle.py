"""Every state machine. Everything that decides where a thing may go next lives in this file.

Each table lists every state; a terminal one has an empty row. The store repeats the tables as
compare-and-set (``UPDATE … WHERE state IN (…)``) and as CHECK constraints, and the diagrams in
``docs/reference/lifecycle.md`` are drawn from them.

A request to cancel is a flag on a command, never a state; how a command ended is its outcome.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from debug_mcp.models.commands import CommandState
from debug_mcp.models.environments import EnvironmentState
from debug_mcp.models.evidence import EvidenceState
from debug_mcp.models.repositories import RepositoryState
from debug_mcp.models.sessions import SessionState

State = TypeVar("State", bound=StrEnum)
Table = Mapping[State, frozenset[State]]

REPOSITORY: Table[RepositoryState] = {
    RepositoryState.CLONING: frozenset({RepositoryState.READY, RepositoryState.FAILED}),
    RepositoryState.READY: frozenset({RepositoryState.SYNCING, RepositoryState.REMOVED}),
    RepositoryState.SYNCING: frozenset({RepositoryState.READY}),
    # A name whose clone failed can be tried again.
    RepositoryState.FAILED: frozenset({RepositoryState.CLONING, RepositoryState.REMOVED}),
    RepositoryState.REMOVED: frozenset(),
}

SESSION: Table[SessionState] = {
    SessionState.PREPARING: frozenset({SessionState.READY, SessionState.FAILED}),
    SessionState.READY: frozenset({SessionState.CLOSING}),
    # Back to ready when its work could not be saved: nothing is thrown away unsaved.
    SessionState.CLOSING: frozenset({SessionState.CLOSED, SessionState.READY}),
    SessionState.CLOSED: frozenset(),
    SessionState.FAILED: frozenset(),
}

COMMAND: Table[CommandState] = {
    # A queued command ends without starting when it is cancelled.
    CommandState.QUEUED: frozenset({CommandState.STARTING, CommandState.FINISHED}),
    CommandState.STARTING: frozenset({CommandState.RUNNING, CommandState.FINISHED}),
    CommandState.RUNNING: frozenset({CommandState.FINISHED}),
    CommandState.FINISHED: frozenset(),
}

ENVIRONMENT: Table[EnvironmentState] = {
    EnvironmentState.WAITING: frozenset({EnvironmentState.BUILDING}),
    # Back to waiting when nobody saw its end, or the session that built it was closed.
    EnvironmentState.BUILDING: frozenset({
        EnvironmentState.READY, EnvironmentState.FAILED, EnvironmentState.WAITING,
    }),
    # Built again when its files are gone.
    EnvironmentState.READY: frozenset({EnvironmentState.BUILDING}),
    EnvironmentState.FAILED: frozenset({EnvironmentState.BUILDING}),
}  # fmt: skip

EVIDENCE: Table[EvidenceState] = {
    EvidenceState.RUNNING: frozenset({EvidenceState.FINISHED}),
    EvidenceState.FINISHED: frozenset(),
}


def sources(table: Table[State], target: State) -> tuple[str, ...]:
    """Return the states from which ``target`` may be reached in one step, in table order."""
    return tuple(state for state, targets in table.items() if target in targets)


def terminal(table: Table[State]) -> frozenset[State]:
    """Return the states that nothing leaves."""
    return frozenset(state for state, targets in table.items() if not targets)
