"""Bisections: the first commit at which something is bad."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from debug_mcp.errors import NextCall
from debug_mcp.models.base import Arguments, Seconds, View, WaitSeconds
from debug_mcp.models.commands import TIMEOUT_LIMIT_SECONDS, TIMEOUT_SECONDS
from debug_mcp.models.evidence import WAIT_SECONDS, EvidenceId, EvidenceKey, EvidenceState
from debug_mcp.models.sessions import PATCH_CHARACTERS

_Ref = Annotated[str, Field(min_length=1, max_length=250)]
_Text = Annotated[str, StringConstraints(min_length=1, max_length=96 * 1024)]

Judgement = Literal["good", "bad", "skipped"]
Verdict = Literal["found", "among", "inconclusive"]


class BisectRun(Arguments):
    """Arguments of ``bisect_run``."""

    repository: str | None = Field(default=None, max_length=4096)
    good: _Ref | None = None
    bad: _Ref = "HEAD"
    command: _Text | None = None
    test: _Text | None = Field(default=None, description="id")
    patch: str | None = Field(default=None, max_length=PATCH_CHARACTERS)
    timeout_seconds: float = Field(default=TIMEOUT_SECONDS, gt=0, le=TIMEOUT_LIMIT_SECONDS)
    wait_seconds: WaitSeconds = Field(default=WAIT_SECONDS)
    bisect_id: EvidenceId | None = Field(default=None, description="alone: wait on")
    idempotency_key: EvidenceKey = None


class StepView(View):
    """One tested commit; ``why`` says what a judgement that needs words was made from."""

    commit: str
    judgement: Judgement
    why: str | None = None
    command_id: str | None = None
    seconds: Seconds | None = None


class FirstBadView(View):
    """The first bad commit; its patch is an artifact."""

    commit: str
    subject: str
    author: str
    date: str
    stat: str
    artifact_id: str


class BisectView(View):
    """``found`` names the first bad commit, ``among`` a few of which it is one.

    Of ``suspects`` at most 50 are shown. ``log`` has every step, in the order of the tests.
    """

    bisect_id: str
    state: EvidenceState
    verdict: Verdict | None = None
    first_bad: FirstBadView | None = None
    suspects: tuple[str, ...] = ()
    more_suspects: int | None = None
    log: tuple[StepView, ...] = ()
    steps_left: int | None = None
    hint: str | None = None
    next: NextCall | None = None
