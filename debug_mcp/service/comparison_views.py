"""What a caller is shown of a comparison."""

import difflib
import re
from collections.abc import Sequence
from typing import TypeVar

from debug_mcp.errors import NextCall
from debug_mcp.models.base import now
from debug_mcp.models.commands import Outcome
from debug_mcp.models.comparisons import (
    CompareView,
    ErrorChanged,
    SideView,
    StillFailing,
    Verdict,
)
from debug_mcp.models.evidence import EvidenceRow, EvidenceState
from debug_mcp.models.sessions import WorkSession
from debug_mcp.runner.output import excerpt
from debug_mcp.runner.plain import plain
from debug_mcp.service.evidence_steps import Ran
from debug_mcp.service.result_views import failure_groups
from debug_mcp.testreports.comparison import Comparison
from debug_mcp.testreports.model import Status

SHOWN = 50
CHANGED = 20
DIFFERENCE_LINES = 20
OUTPUT_BYTES = 64 * 1024
ERROR_CHARACTERS = 200
# What differs from run to run and says nothing: addresses, times, durations, temporary paths.
_NOISE = re.compile(
    r"0x[0-9a-f]{4,}|\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\S*|\b\d+(?:\.\d+)? ?(?:ms|s|seconds)\b"
    r"|/tmp/\S+|\bpid \d+|\bs_[2-9a-z]{4,}\b"
)
_Shown = TypeVar("_Shown")


def going_on(row: EvidenceRow, base: Ran | None, head: Ran | None) -> CompareView:
    """Return the view of a comparison that is not done yet."""
    waiting: NextCall = {"tool": "compare_run", "arguments": {"compare_id": row.id}}
    return CompareView(
        compare_id=row.id,
        state=row.state,
        base=None if base is None else _side(base, base.command.session_id),
        head=None if head is None else _side(head, head.command.session_id),
        next=waiting,
    )


def compared(
    row: EvidenceRow, sides: Sequence[tuple[WorkSession, Ran]], found: Comparison
) -> CompareView:
    """Return the view of a comparison that is done; it reads both outputs."""
    (base_session, base), (head_session, head) = sides
    structured = base.report is not None and head.report is not None
    difference = None if structured else _difference(base, head)
    groups = failure_groups(found.newly_failing)
    more: dict[str, int] = {}
    changed = [
        ErrorChanged(test=name, base=before[:ERROR_CHARACTERS], head=after[:ERROR_CHARACTERS])
        for name, (before, after) in found.error_changed.items()
    ]
    failing = len(found.still_failing)
    return CompareView(
        compare_id=row.id,
        state=EvidenceState.FINISHED,
        verdict=_verdict(base, head, found, structured=structured, differs=bool(difference)),
        base=_side(base, base_session.id, base_session),
        head=_side(head, head_session.id, head_session),
        newly_failing=_first("newly_failing", groups, more),
        newly_passing=_first("newly_passing", found.newly_passing, more),
        still_failing=StillFailing(
            count=failing, error_changed=_first("error_changed", changed, more, CHANGED)
        )
        if failing
        else None,
        still_passing=found.still_passing if structured else None,
        only_in_base=_first("only_in_base", found.only_in_base, more),
        only_in_head=_first("only_in_head", found.only_in_head, more),
        unstable=_first("unstable", found.unstable, more),
        more=more,
        output_differs=difference,
        hint=_hint(base, head, structured=structured),
        next=_next(head_session, found),
    )


def _first(
    name: str, members: Sequence[_Shown], more: dict[str, int], limit: int = SHOWN
) -> tuple[_Shown, ...]:
    if len(members) > limit:
        more[name] = len(members) - limit
    return tuple(members[:limit])


def _side(ran: Ran, session_id: str, session: WorkSession | None = None) -> SideView:
    report = ran.report
    failing = 0 if report is None else report.count(Status.FAILED) + report.count(Status.ERROR)
    return SideView(
        session_id=session_id,
        command_id=ran.command.id,
        commit=None if session is None else session.base[:12],
        patch=None if session is None else session.patch_digest,
        outcome=ran.command.outcome,
        exit_code=ran.command.exit_code,
        passed=None if report is None else report.count(Status.PASSED),
        failed=None if report is None else failing + len(report.uncollected),
        seconds=ran.command.elapsed_seconds
        if ran.command.started_at is None or ran.command.ended_at
        else (now() - ran.command.started_at).total_seconds(),
    )


def _is_whole(ran: Ran) -> bool:
    """Return whether a run went to its end by itself."""
    ended = ran.command.outcome in (Outcome.SUCCEEDED, Outcome.FAILED)
    return ended and (ran.report is None or ran.report.complete or bool(ran.report.uncollected))


def _verdict(
    base: Ran, head: Ran, found: Comparison, *, structured: bool, differs: bool
) -> Verdict:
    if not (_is_whole(base) and _is_whole(head)):
        return "inconclusive"
    if not structured:
        codes = base.command.exit_code, head.command.exit_code
        if codes[0] == codes[1]:
            return "inconclusive" if differs else "unchanged"
        return "regressed" if codes[0] == 0 else "improved" if codes[1] == 0 else "inconclusive"
    if found.newly_failing:
        return "regressed"
    return "improved" if found.newly_passing else "unchanged"


def _hint(base: Ran, head: Ran, *, structured: bool) -> str | None:
    for name, ran in (("base", base), ("head", head)):
        if not _is_whole(ran):
            how = ran.command.outcome if ran.report is None else f"{ran.command.outcome}, not whole"
            return f"{name} did not run to its end ({how}): its command_id has the output"
    if not structured:
        return "no test results on both sides: exit codes and outputs were compared"
    return None


def _next(head: WorkSession, found: Comparison) -> NextCall | None:
    """Return the call that stops the first test that fails now where it does."""
    if not found.newly_failing:
        return None
    test = next(iter(found.newly_failing))
    return {"tool": "debug_run", "arguments": {"session_id": head.id, "test": test}}


def _difference(base: Ran, head: Ran) -> str | None:
    """Return how the outputs differ, without what differs from run to run; None if they do not."""
    before, after = _lines(base), _lines(head)
    different = [
        line
        for line in difflib.unified_diff(before, after, "base", "head", n=0, lineterm="")
        if not line.startswith("@@")
    ]
    shown = different[: DIFFERENCE_LINES + 2]
    cut = [f"… {len(different) - len(shown)} more lines"] if len(different) > len(shown) else []
    return "\n".join([*shown, *cut]) or None


def _lines(ran: Ran) -> list[str]:
    page = excerpt(ran.directory / "output", OUTPUT_BYTES)
    return _NOISE.sub("…", plain(page.text)).splitlines()
