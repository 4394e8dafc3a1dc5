"""Base against head: both run the same tests, and what differs is shown."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from debug_mcp.auth.principal import Principal
from debug_mcp.errors import InvalidInput
from debug_mcp.models.commands import CommandRun
from debug_mcp.models.comparisons import CompareRun, CompareView
from debug_mcp.models.evidence import EvidenceKind, EvidenceRow
from debug_mcp.models.sessions import WorkSession
from debug_mcp.service.comparison_views import compared, going_on
from debug_mcp.service.evidence import Done, EvidenceService, require
from debug_mcp.service.evidence_steps import Ran, Steps, side_by_side
from debug_mcp.service.keys import keyed
from debug_mcp.service.repositories import RepositoryService
from debug_mcp.service.sessions import SessionService
from debug_mcp.testreports.comparison import Comparison, compare

# Of tests that flipped, so many are run once more by themselves; of more, the whole.
AGAIN = 200
ONLY = "DEBUG_MCP_ONLY"
_SESSION = re.compile(r"s_[2-9a-z]+")


@dataclass(frozen=True, slots=True)
class _Side:
    """One side: its session, and whether it was opened for this."""

    name: str
    session: WorkSession
    opened: bool


class ComparisonService:
    """Compares by running."""

    def __init__(
        self,
        evidence: EvidenceService,
        steps: Steps,
        repositories: RepositoryService,
        sessions: SessionService,
    ) -> None:
        self._evidence = evidence
        self._steps = steps
        self._repositories = repositories
        self._sessions = sessions
        evidence.does(EvidenceKind.COMPARE, self._compare)

    async def run(self, principal: Principal, args: CompareRun) -> CompareView:
        """Compare, and wait for the result as long as was asked.

        Raises:
            NotFound: There is no such repository, ref, session or comparison of the principal's.
            Conflict: The patch does not apply, or the idempotency key means another comparison.
            InvalidInput: It is not said what to compare, or how.
        """
        require(principal)
        if args.compare_id is None:
            row = await self._accept(principal, args)
        else:
            row = await self._evidence.owned(principal, EvidenceKind.COMPARE, args.compare_id)
        row = await self._evidence.waited(row, args.wait_seconds)
        if row.result is not None:
            return CompareView.model_validate(row.result)
        base, head = [
            await self._steps.newest(principal, side.session.id)
            for side in await self._sides(principal, row)
        ]
        return going_on(row, base, head)

    async def _accept(self, principal: Principal, args: CompareRun) -> EvidenceRow:
        if args.command is None:
            raise InvalidInput("command is missing: what runs the tests?", field="command")
        if (args.head is None) == (args.patch is None):
            raise InvalidInput("give one of head and patch", field="head")
        request = keyed(principal, "compare_run", args, args.idempotency_key)
        known = await self._evidence.known(request)
        if known is not None:  # before anything that may have changed since
            return known
        of_session = next(
            (each for each in (args.head, args.base) if each and _SESSION.fullmatch(each)), None
        )
        if of_session is not None:
            repository_id = (await self._sessions.ready(principal, of_session)).repository_id
        else:
            repository_id = (await self._repositories.find(principal, args.repository)).id
        return await self._evidence.accept(
            principal,
            EvidenceKind.COMPARE,
            repository_id,
            args,
            request,
            lambda row: self._sides(principal, row),
        )

    async def _compare(self, principal: Principal, row: EvidenceRow) -> Done:
        """Run both sides; what newly fails on head can be looked into in its session."""
        asked = CompareRun.model_validate(row.asked)
        sides = await self._sides(principal, row)
        ran: dict[str, list[Ran]] = {side.name: [] for side in sides}

        async def run_all(side: _Side) -> None:
            for number in range(asked.repeats):
                ran[side.name].append(await self._run(principal, row, side, str(number)))

        await side_by_side([partial(run_all, side) for side in sides], len(sides))
        found = _compared(ran)
        if found.flips and asked.repeats == 1:
            # A test that flips by chance is no evidence: it must do so twice.
            only = "\n".join(found.flips) if len(found.flips) <= AGAIN else None
            for side in sides:
                again = await self._run(principal, row, side, "again", only)
                ran[side.name].append(again)
            found = _compared(ran)
        view = compared(row, [(side.session, ran[side.name][0]) for side in sides], found)
        kept = "head" if found.newly_failing else None
        over = [side.session.id for side in sides if side.opened and side.name != kept]
        return Done(view, over)

    async def _sides(self, principal: Principal, row: EvidenceRow) -> tuple[_Side, _Side]:
        """Return both sides; their sessions are opened once, however often this is called."""
        asked = CompareRun.model_validate(row.asked)
        head = None
        base_ref = asked.base
        if asked.head is not None and _SESSION.fullmatch(asked.head):
            session = await self._sessions.owned(principal, asked.head)
            head, base_ref = _Side("head", session, opened=False), base_ref or session.base
        base = await self._side(principal, row, "base", base_ref or "HEAD")
        if head is None and asked.patch is not None:
            head = await self._side(principal, row, "head", base.session.base, asked.patch)
        return base, head or await self._side(principal, row, "head", asked.head or "HEAD")

    async def _side(
        self, principal: Principal, row: EvidenceRow, name: str, ref: str, patch: str | None = None
    ) -> _Side:
        if _SESSION.fullmatch(ref):
            return _Side(name, await self._sessions.owned(principal, ref), opened=False)
        return _Side(name, await self._steps.open(principal, row, name, ref, patch), opened=True)

    async def _run(
        self,
        principal: Principal,
        row: EvidenceRow,
        side: _Side,
        number: str,
        only: str | None = None,
    ) -> Ran:
        """Run the tests once on one side, to their end; ``only`` these, one id in a line."""
        asked = CompareRun.model_validate(row.asked)
        args = CommandRun(
            session_id=side.session.id,
            command=asked.command or "",
            env={} if only is None else {ONLY: only},
            timeout_seconds=asked.timeout_seconds,
        )
        return await self._steps.run(principal, row, f"{side.name}/{number}", args)


def _compared(ran: Mapping[str, Sequence[Ran]]) -> Comparison:
    """Compare all runs that had results."""
    base, head = ([run.report for run in ran[side] if run.report] for side in ("base", "head"))
    return compare(base, head)
