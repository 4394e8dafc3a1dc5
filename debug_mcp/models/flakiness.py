"""Flaky runs: the same tests again and again, and how often each of them passes."""

from typing import Annotated, Literal

from pydantic import Field, PlainSerializer, StringConstraints

from debug_mcp.errors import NextCall
from debug_mcp.models.base import Arguments, Seconds, View, WaitSeconds
from debug_mcp.models.commands import COMMAND_CHARACTERS, TIMEOUT_LIMIT_SECONDS, TIMEOUT_SECONDS
from debug_mcp.models.evidence import WAIT_SECONDS, EvidenceId, EvidenceKey, EvidenceState
from debug_mcp.models.results import FailureGroup
from debug_mcp.models.sessions import SessionId

REPEATS = 20
MOST_REPEATS = 200


def _round(rate: float) -> float:
    return round(rate, 3)


Share = Annotated[float, PlainSerializer(_round, return_type=float)]
"""A share of one, shown with three decimals."""


class FlakyRun(Arguments):
    """Arguments of ``flaky_run``."""

    session_id: SessionId | None = None
    command: Annotated[str, StringConstraints(min_length=1, max_length=96 * 1024)] | None = Field(
        default=None, description="default: last failed"
    )
    repeats: int = Field(default=REPEATS, ge=2, le=MOST_REPEATS)
    random_order: bool = False
    timeout_seconds: float = Field(default=TIMEOUT_SECONDS, gt=0, le=TIMEOUT_LIMIT_SECONDS)
    wait_seconds: WaitSeconds = Field(default=WAIT_SECONDS)
    flaky_id: EvidenceId | None = Field(default=None, description="alone: wait on")
    idempotency_key: EvidenceKey = None


class FlakyAsked(Arguments):
    """What is repeated, as it was when it was asked for: a later edit changes nothing of it."""

    session_id: str
    commit: str
    patch: str | None = None
    session_env: dict[str, str] = Field(default={})
    command: Annotated[str, StringConstraints(max_length=COMMAND_CHARACTERS)] | list[str]
    cwd: str = "."
    env: dict[str, str] = Field(default={})
    repeats: int
    random_order: bool
    timeout_seconds: float


Verdict = Literal["flaky", "failing", "stable", "inconclusive"]


class RunsView(View):
    """How the command ended, over all runs; ``seconds`` is what one took on average."""

    asked: int
    done: int
    succeeded: int
    failed: int
    success_rate: Share | None = None
    interval: tuple[Share, Share] | None = None
    seconds: Seconds | None = None


class FlakyTest(View):
    """A test that passed and failed. ``interval`` holds its true rate with 95 % confidence.

    The error, the command and the seed (of the random order) are of the first run that failed.
    """

    test: str
    passed: int
    failed: int
    pass_rate: Share
    interval: tuple[Share, Share]
    at: str | None = None
    code: str | None = None
    error: str | None = None
    command_id: str | None = None
    seed: str | None = None


class FlakyView(View):
    """Which tests pass at times only. Lists are cut to the first 50; ``more`` counts the rest."""

    flaky_id: str
    state: EvidenceState
    verdict: Verdict | None = None
    runs: RunsView | None = None
    unstable: tuple[FlakyTest, ...] = ()
    always_failing: tuple[FailureGroup, ...] = ()
    always_passing: int | None = None
    more: dict[str, int] = Field(default={})
    hint: str | None = None
    next: NextCall | None = None
