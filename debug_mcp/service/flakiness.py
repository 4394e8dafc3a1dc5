"""How often each test passes: the same command again and again, in sessions of their own."""

import os
from functools import partial

from debug_mcp.auth.principal import Principal
from debug_mcp.errors import InvalidInput
from debug_mcp.models.commands import Command, CommandRun
from debug_mcp.models.evidence import EvidenceKind, EvidenceRow
from debug_mcp.models.flakiness import FlakyAsked, FlakyRun, FlakyView
from debug_mcp.models.sessions import PATCH_CHARACTERS, WorkSession
from debug_mcp.service.commands import CommandService
from debug_mcp.service.differences import DifferenceService
from debug_mcp.service.evidence import Done, EvidenceService, require
from debug_mcp.service.evidence_steps import Steps, side_by_side
from debug_mcp.service.flakiness_views import SHUFFLE, flaky_view, going_on, runs_view, seed
from debug_mcp.service.keys import keyed
from debug_mcp.service.sessions import SessionService
from debug_mcp.testreports.flakiness import Rates

# Runs at a time: more would make tests fail that are only slow.
LANES = max(1, min(4, os.cpu_count() or 1))


class FlakinessService:
    """Repeats what a session has, and leaves the session alone."""

    def __init__(
        self,
        evidence: EvidenceService,
        steps: Steps,
        sessions: SessionService,
        commands: CommandService,
        differences: DifferenceService,
    ) -> None:
        self._evidence = evidence
        self._steps = steps
        self._sessions = sessions
        self._commands = commands
        self._differences = differences
        evidence.does(EvidenceKind.FLAKY, self._repeat)

    async def run(self, principal: Principal, args: FlakyRun) -> FlakyView:
        """Repeat, and wait for the result as long as was asked.

        Raises:
            NotFound: There is no such session or flaky run of the principal's.
            Conflict: The session is closed, or the idempotency key means another flaky run.
            InvalidInput: It is not said what to repeat.
        """
        require(principal)
        if args.flaky_id is None:
            row = await self._accept(principal, args)
        else:
            row = await self._evidence.owned(principal, EvidenceKind.FLAKY, args.flaky_id)
        row = await self._evidence.waited(row, args.wait_seconds)
        return going_on(row) if row.result is None else FlakyView.model_validate(row.result)

    async def _accept(self, principal: Principal, args: FlakyRun) -> EvidenceRow:
        request = keyed(principal, "flaky_run", args, args.idempotency_key)
        known = await self._evidence.known(request)
        if known is not None:  # before anything that may have changed since: the session, its work
            return known
        if args.session_id is None:
            raise InvalidInput("session_id is missing: what is to be repeated?", field="session_id")
        session = await self._sessions.ready(principal, args.session_id)
        asked = await self._asked(principal, session, args)
        return await self._evidence.accept(
            principal,
            EvidenceKind.FLAKY,
            session.repository_id,
            asked,
            request,
            lambda row: self._session(principal, row, asked, 0),
        )

    async def _asked(
        self, principal: Principal, session: WorkSession, args: FlakyRun
    ) -> FlakyAsked:
        like: dict[str, object] = {"command": args.command}
        if args.command is None:
            failed = await self._commands.newest_failed(principal, session.id)
            if failed is None:
                raise InvalidInput(
                    f"command is missing, and none failed in {session.id}", field="command"
                )
            request = failed.request
            like = {"command": request.command, "cwd": request.cwd, "env": dict(request.env)}
        return FlakyAsked.model_validate(
            {
                **like,
                "session_id": session.id,
                "commit": session.base,
                "patch": await self._work(session),
                "session_env": dict(session.env),
                "repeats": args.repeats,
                "random_order": args.random_order,
                "timeout_seconds": args.timeout_seconds,
            }
        )

    async def _work(self, session: WorkSession) -> str | None:
        """Return what was done in a session, as a patch."""
        patch = (await self._differences.whole(session)).patch
        if len(patch) > PATCH_CHARACTERS:
            raise InvalidInput(
                f"the work in {session.id} is a patch of {len(patch)} bytes; "
                f"{PATCH_CHARACTERS} can be repeated",
                field="session_id",
            )
        try:
            return patch.decode() or None
        except UnicodeDecodeError:
            raise InvalidInput(
                f"the work in {session.id} has text that is not UTF-8", field="session_id"
            ) from None

    async def _repeat(self, principal: Principal, row: EvidenceRow) -> Done:
        asked = FlakyAsked.model_validate(row.asked)
        rates, commands = Rates(), dict[int, Command]()

        async def once(number: int) -> None:
            session = await self._session(principal, row, asked, number)
            order = {SHUFFLE: seed(row, number)} if asked.random_order else {}
            args = CommandRun(
                session_id=session.id,
                command=asked.command,
                cwd=asked.cwd,
                env={**asked.env, **order},
                timeout_seconds=asked.timeout_seconds,
            )
            ran = await self._steps.run(principal, row, f"{number}/run", args)
            commands[number] = ran.command
            if ran.report is not None:
                rates.take(number, ran.report, str(ran.command.outcome))
            await self._evidence.note(row, runs_view(asked, commands).model_dump(mode="json"))
            await self._steps.discard(principal, session.id)

        await side_by_side([partial(once, number) for number in range(asked.repeats)], LANES)
        return Done(flaky_view(row, asked, commands, rates.all()))

    async def _session(
        self, principal: Principal, row: EvidenceRow, asked: FlakyAsked, number: int
    ) -> WorkSession:
        return await self._steps.open(
            principal, row, str(number), asked.commit, asked.patch, asked.session_env
        )
