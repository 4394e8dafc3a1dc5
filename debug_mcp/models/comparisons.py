"""Comparisons: what a patch changes, shown by runs of tests and not claimed."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from debug_mcp.errors import NextCall
from debug_mcp.models.base import Arguments, Seconds, View, WaitSeconds
from debug_mcp.models.commands import TIMEOUT_LIMIT_SECONDS, TIMEOUT_SECONDS, Outcome
from debug_mcp.models.evidence import WAIT_SECONDS, EvidenceId, EvidenceKey, EvidenceState
from debug_mcp.models.results import FailureGroup
from debug_mcp.models.sessions import PATCH_CHARACTERS

REPEATS = 10


class CompareRun(Arguments):
    """Arguments of ``compare_run``."""

    repository: str | None = Field(default=None, max_length=4096)
    base: str | None = Field(
        default=None,
        min_length=1,
        max_length=250,
        description="ref or session_id; default where head starts",
    )
    head: str | None = Field(
        default=None, min_length=1, max_length=250, description="ref or session_id"
    )
    patch: str | None = Field(
        default=None, max_length=PATCH_CHARACTERS, description="instead of head: on top of base"
    )
    command: Annotated[str, StringConstraints(min_length=1, max_length=96 * 1024)] | None = Field(
        default=None, description="runs the tests"
    )
    repeats: int = Field(default=1, ge=1, le=REPEATS, description="of each; at most 10")
    timeout_seconds: float = Field(default=TIMEOUT_SECONDS, gt=0, le=TIMEOUT_LIMIT_SECONDS)
    wait_seconds: WaitSeconds = Field(default=WAIT_SECONDS)
    compare_id: EvidenceId | None = Field(default=None, description="alone: wait on")
    idempotency_key: EvidenceKey = None


Verdict = Literal["regressed", "improved", "unchanged", "inconclusive"]


class SideView(View):
    """One side of a comparison, and how its tests ended there; of several runs the last."""

    session_id: str
    command_id: str | None = None
    commit: str | None = None
    patch: str | None = None
    outcome: Outcome | None = None
    exit_code: int | None = None
    passed: int | None = None
    failed: int | None = None
    seconds: Seconds | None = None


class ErrorChanged(View):
    """A test that fails on both sides, with another error."""

    test: str
    base: str
    head: str


class StillFailing(View):
    """Tests that fail on both sides."""

    count: int
    error_changed: tuple[ErrorChanged, ...] = ()


class CompareView(View):
    """What changed from base to head.

    ``unstable`` are tests that did not end the same way each time on one side. Lists are cut to
    the first 50, and ``more`` counts what is left out by the name of the list.
    """

    compare_id: str
    state: EvidenceState
    verdict: Verdict | None = None
    base: SideView | None = None
    head: SideView | None = None
    newly_failing: tuple[FailureGroup, ...] = ()
    newly_passing: tuple[str, ...] = ()
    still_failing: StillFailing | None = None
    still_passing: int | None = None
    only_in_base: tuple[str, ...] = ()
    only_in_head: tuple[str, ...] = ()
    unstable: tuple[str, ...] = ()
    more: dict[str, int] = Field(default={})
    output_differs: str | None = None
    hint: str | None = None
    next: NextCall | None = None
