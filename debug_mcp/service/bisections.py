"""Bisecting: which commit was the first at which a command, or a test, is bad."""

from functools import partial

from debug_mcp.auth.principal import Principal
from debug_mcp.errors import Conflict, InvalidInput
from debug_mcp.models.bisections import BisectRun, BisectView
from debug_mcp.models.commands import CommandRun, Outcome
from debug_mcp.models.evidence import EvidenceKind, EvidenceRow
from debug_mcp.models.sessions import WorkSession
from debug_mcp.service.artifacts import ArtifactService
from debug_mcp.service.bisection_views import Found, bisect_view, going_on, progress
from debug_mcp.service.commands import CommandService
from debug_mcp.service.evidence import Done, EvidenceService, require
from debug_mcp.service.evidence_steps import Steps, side_by_side
from debug_mcp.service.judging import Judged, judge
from debug_mcp.service.keys import keyed
from debug_mcp.service.repositories import RepositoryService
from debug_mcp.store.repositories import Repositories
from debug_mcp.worktrees import bisection
from debug_mcp.worktrees.bisection import Git

_ENDS = 2  # good and bad are checked side by side


class BisectionService:
    """Tests commits, each in a session of its own, until the first bad one is known."""

    def __init__(
        self,
        evidence: EvidenceService,
        steps: Steps,
        rows: Repositories,
        repositories: RepositoryService,
        commands: CommandService,
        artifacts: ArtifactService,
    ) -> None:
        self._evidence = evidence
        self._steps = steps
        self._rows = rows
        self._repositories = repositories
        self._commands = commands
        self._artifacts = artifacts
        evidence.does(EvidenceKind.BISECT, self._bisect)

    async def run(self, principal: Principal, args: BisectRun) -> BisectView:
        """Bisect, and wait for the result as long as was asked.

        Raises:
            NotFound: There is no such repository, ref or bisection of the principal's.
            Conflict: The patch does not apply to good or bad, or the idempotency key means another
                bisection.
            InvalidInput: It is not said what is good, or how that is told.
        """
        require(principal)
        if args.bisect_id is None:
            row = await self._accept(principal, args)
        else:
            row = await self._evidence.owned(principal, EvidenceKind.BISECT, args.bisect_id)
        row = await self._evidence.waited(row, args.wait_seconds)
        return going_on(row) if row.result is None else BisectView.model_validate(row.result)

    async def _accept(self, principal: Principal, args: BisectRun) -> EvidenceRow:
        if args.good is None:
            raise InvalidInput("good is missing: a ref at which it works", field="good")
        if args.command is None and args.test is None:
            raise InvalidInput("give a command, or the id of a pytest test", field="command")
        request = keyed(principal, "bisect_run", args, args.idempotency_key)
        known = await self._evidence.known(request)
        if known is not None:  # before anything that may have changed since
            return known
        repository = await self._repositories.find(principal, args.repository)
        return await self._evidence.accept(
            principal,
            EvidenceKind.BISECT,
            repository.id,
            args,
            request,
            lambda row: self._ends(principal, row),
        )

    async def _ends(
        self, principal: Principal, row: EvidenceRow
    ) -> tuple[WorkSession, WorkSession]:
        """Open the sessions of good and bad, which also says once for all what these are."""
        asked = BisectRun.model_validate(row.asked)
        good = await self._steps.open(principal, row, "good", asked.good or "", asked.patch)
        bad = await self._steps.open(principal, row, "bad", asked.bad, asked.patch)
        return good, bad

    async def _bisect(self, principal: Principal, row: EvidenceRow) -> Done:
        repository = await self._rows.get(row.repository_id)
        git = self._repositories.mirror(repository).git
        found = await self._checked(principal, row, git)
        while found.why is None:
            found.suspects = await bisection.suspects(git, found.bad, found.goods)
            untested = [each for each in found.suspects if each not in found.tested]
            await self._evidence.note(row, progress(found))
            if not untested:
                break
            commit = bisection.choose(untested, len(found.skipped))
            found.take(await self._test(principal, row, commit))
        if found.why is not None or len(found.suspects) != 1:
            return Done(bisect_view(row, found))
        change = await bisection.change(git, found.bad)
        session = await self._session(principal, row, found)
        artifact = await self._artifacts.keep_bytes(
            session, f"first-bad-{found.bad[:12]}.patch", change.patch
        )
        return Done(bisect_view(row, found, change, artifact.id))

    async def _checked(self, principal: Principal, row: EvidenceRow, git: Git) -> Found:
        """Test that good is good and bad is bad, and so what both come from."""
        good, bad = await self._ends(principal, row)
        found = Found(good.base, bad.base)
        if good.base == bad.base:
            found.why = "good and bad are the same commit"
            return found
        judged: dict[str, Judged] = {}

        async def test(session: WorkSession) -> None:
            judged[session.base] = await self._judged(principal, row, session)

        await side_by_side([partial(test, session) for session in (good, bad)], _ENDS)
        found.check(judged[good.base], "good")
        found.check(judged[bad.base], "bad")
        for base in await bisection.merge_bases(git, good.base, bad.base):
            if found.why is None and base not in found.tested:
                found.check(await self._test(principal, row, base), "good")
        return found

    async def _test(self, principal: Principal, row: EvidenceRow, commit: str) -> Judged:
        asked = BisectRun.model_validate(row.asked)
        try:
            session = await self._steps.open(principal, row, commit, commit, asked.patch)
        except Conflict as error:
            return Judged(commit, "skipped", error.message)
        return await self._judged(principal, row, session)

    async def _judged(self, principal: Principal, row: EvidenceRow, session: WorkSession) -> Judged:
        asked = BisectRun.model_validate(row.asked)
        command = asked.command or ["python", "-m", "pytest", "-q", asked.test or ""]
        args = CommandRun(
            session_id=session.id, command=command, timeout_seconds=asked.timeout_seconds
        )
        ran = await self._steps.run(principal, row, f"{session.base}/run", args)
        await self._steps.discard(principal, session.id)
        setup = await self._commands.setup_outcome(session.id)
        if setup not in (None, Outcome.SUCCEEDED):
            return Judged(session.base, "skipped", f"set-up: {setup}", ran)
        return judge(session.base, ran, asked.test)

    async def _session(self, principal: Principal, row: EvidenceRow, found: Found) -> WorkSession:
        """Return the session in which the first bad commit was tested."""
        _, bad = await self._ends(principal, row)
        asked = BisectRun.model_validate(row.asked)
        if found.bad == bad.base:
            return bad
        return await self._steps.open(principal, row, found.bad, found.bad, asked.patch)
