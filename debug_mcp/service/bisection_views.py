"""What a bisection knows, and what a caller is shown of it."""

from dataclasses import dataclass, field
from typing import Any

from debug_mcp.errors import NextCall
from debug_mcp.models.bisections import BisectView, FirstBadView, Judgement
from debug_mcp.models.evidence import EvidenceRow, EvidenceState
from debug_mcp.service.judging import Judged
from debug_mcp.worktrees.bisection import Change, steps_left

SHOWN = 50
STAT_CHARACTERS = 2000
_COMMIT = 12


@dataclass(slots=True)
class Found:
    """How far a bisection is; ``why`` says why it cannot go on."""

    good: str
    bad: str
    goods: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    tested: dict[str, Judged] = field(default_factory=dict)
    suspects: list[str] = field(default_factory=list)
    why: str | None = None

    def take(self, judged: Judged) -> None:
        """Count a tested commit."""
        self.tested[judged.commit] = judged
        match judged.judgement:
            case "good":
                self.goods.append(judged.commit)
            case "bad":
                self.bad = judged.commit
            case "skipped":
                self.skipped.append(judged.commit)

    def check(self, judged: Judged, expected: Judgement) -> None:
        """Count a commit of which the judgement is known beforehand, unless it is another."""
        if judged.judgement == expected:
            self.take(judged)
            return
        self.tested[judged.commit] = judged
        role = expected if judged.commit in (self.good, self.bad) else "where good and bad part"
        because = f" ({judged.why})" if judged.why else ""
        self.why = self.why or f"{role}, {judged.commit[:_COMMIT]}, is {judged.judgement}{because}"


def progress(found: Found) -> dict[str, Any]:
    """Return what is stored of a bisection that goes on."""
    return {
        "log": [judged.view.model_dump(mode="json") for judged in found.tested.values()],
        "steps_left": steps_left(len(found.suspects), found.skipped),
    }


def going_on(row: EvidenceRow) -> BisectView:
    """Return the view of a bisection that is not done yet."""
    waiting = _call("bisect_run", bisect_id=row.id)
    return BisectView.model_validate(
        {**row.progress, "bisect_id": row.id, "state": row.state, "next": waiting}
    )


def bisect_view(
    row: EvidenceRow, found: Found, change: Change | None = None, artifact_id: str = ""
) -> BisectView:
    """Return the view of a bisection that is done."""
    log = tuple(judged.view for judged in found.tested.values())
    view = BisectView(
        bisect_id=row.id, state=EvidenceState.FINISHED, verdict="inconclusive", log=log
    )
    if found.why is not None:
        return view.model_copy(update={"hint": f"{found.why}: there is nothing to bisect"})
    if change is None:
        shown = [commit[:_COMMIT] for commit in found.suspects[:SHOWN]]
        left = len(found.suspects) - len(shown)
        why = "the others could not be tested: the log says why"
        return view.model_copy(
            update={
                "verdict": "among",
                "suspects": tuple(shown),
                "more_suspects": left or None,
                "hint": f"the first bad commit is one of {len(found.suspects)}; {why}",
            }
        )
    first = FirstBadView(
        commit=found.bad[:_COMMIT],
        subject=change.subject,
        author=change.author,
        date=change.date,
        stat=change.stat[:STAT_CHARACTERS],
        artifact_id=artifact_id,
    )
    reading = _call("artifact_read", artifact_id=artifact_id)
    return view.model_copy(update={"verdict": "found", "first_bad": first, "next": reading})


def _call(tool: str, **arguments: object) -> NextCall:
    return {"tool": tool, "arguments": arguments}
