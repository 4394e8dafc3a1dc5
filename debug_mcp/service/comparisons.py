"""Base against head: both run the same tests, and what differs is shown.

The work is a row that any server can take over. Each step (a session, a command) has an idempotency
key made of the row's id, so a server that takes over begins anew and finds what was done.
"""

import contextlib
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import anyio
from anyio.abc import TaskGroup

from debug_mcp.auth.principal import LOCAL, Principal, Scope
from debug_mcp.errors import Conflict, DebugMcpError, InvalidInput, NotFound
from debug_mcp.models.base import now
from debug_mcp.models.commands import Command, CommandRun, CommandState
from debug_mcp.models.evidence import CompareRun, CompareView, EvidenceRow, EvidenceState
from debug_mcp.models.sessions import SessionClose, SessionCreate, WorkSession
from debug_mcp.service.closing import Closing
from debug_mcp.service.commands import CommandService
from debug_mcp.service.comparison_views import Ran, compared, going_on
from debug_mcp.service.instance import Instance
from debug_mcp.service.keys import keyed
from debug_mcp.service.reports import read_report
from debug_mcp.service.repositories import RepositoryService
from debug_mcp.service.scheduler import Scheduler
from debug_mcp.service.sessions import SessionService
from debug_mcp.store.evidence import Evidence
from debug_mcp.store.repositories import Repositories
from debug_mcp.testreports.comparison import Comparison, compare

# A session that was opened for one side is there for so long, to look into what failed.
SESSION_SECONDS = 3600
# Of tests that flipped, so many are run once more by themselves; of more, the whole.
AGAIN = 200
ONLY = "DEBUG_MCP_ONLY"
_SESSION = re.compile(r"s_[2-9a-z]+")
_WAIT_SECONDS = 3600
_NEEDED = frozenset(
    {Scope.REPOSITORY_READ, Scope.SESSION_READ, Scope.SESSION_WRITE, Scope.COMMAND_RUN}
)

_log = logging.getLogger(__name__)


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
        rows: Evidence,
        repository_rows: Repositories,
        repositories: RepositoryService,
        sessions: SessionService,
        commands: CommandService,
        closing: Closing,
        scheduler: Scheduler,
        instance: Instance,
        tasks: TaskGroup,
    ) -> None:
        self._rows = rows
        self._repository_rows = repository_rows
        self._repositories = repositories
        self._sessions = sessions
        self._commands = commands
        self._closing = closing
        self._scheduler = scheduler
        self._instance = instance
        self._tasks = tasks
        self._finished: dict[str, anyio.Event] = {}

    async def run(self, principal: Principal, args: CompareRun) -> CompareView:
        """Compare, and wait for the result as long as was asked.

        Raises:
            NotFound: There is no such repository, ref, session or comparison of the principal's.
            Conflict: The patch does not apply, or the idempotency key means another comparison.
            InvalidInput: It is not said what to compare, or how.
        """
        for scope in sorted(_NEEDED):
            principal.require(scope)
        if args.compare_id is not None:
            return await self._waited(
                principal, await self._owned(principal, args.compare_id), args.wait_seconds
            )
        # Shielded: what is accepted is begun, also for a caller that gives up now.
        with anyio.CancelScope(shield=True):
            row, new = await self._accept(principal, args)
            if new:
                try:
                    await self._sides(principal, row)  # what is wrong with it is said at once
                except DebugMcpError as error:
                    await self._rows.finish(row.id, {"failed": error.message})
                    raise
                self._begin(principal, row)
        return await self._waited(principal, row, args.wait_seconds)

    async def take_over(self) -> None:
        """Go on with what servers that are gone had begun."""
        for row in await self._rows.running():
            if not self._instance.lives(row.instance) and await self._rows.adopt(
                row.id, row.instance, self._instance.id
            ):
                mine = row.principal == LOCAL.name
                self._begin(LOCAL if mine else Principal(row.principal, _NEEDED), row)

    async def _accept(self, principal: Principal, args: CompareRun) -> tuple[EvidenceRow, bool]:
        if args.command is None:
            raise InvalidInput("command is missing: what runs the tests?", field="command")
        if (args.head is None) == (args.patch is None):
            raise InvalidInput("give one of head and patch", field="head")
        of_session = next(
            (each for each in (args.head, args.base) if each and _SESSION.fullmatch(each)), None
        )
        if of_session is not None:
            repository_id = (await self._sessions.ready(principal, of_session)).repository_id
        else:
            repository_id = (await self._repositories.find(principal, args.repository)).id
        row = EvidenceRow(
            id="",
            principal=principal.name,
            repository_id=repository_id,
            state=EvidenceState.RUNNING,
            instance=self._instance.id,
            asked=args,
            created_at=now(),
        )
        return await self._rows.accept(
            row, keyed(principal, "compare_run", args, args.idempotency_key)
        )

    async def _owned(self, principal: Principal, compare_id: str) -> EvidenceRow:
        row = await self._rows.owned(compare_id, principal.owner)
        if row is None:
            raise NotFound(
                f"no comparison {compare_id!r} of yours",
                field="compare_id",
                candidates=await self._rows.recent_ids(principal.owner),
            )
        return row

    async def _waited(self, principal: Principal, row: EvidenceRow, seconds: float) -> CompareView:
        event = self._finished.get(row.id)
        with anyio.move_on_after(seconds):
            while row.state is EvidenceState.RUNNING:
                if event is not None:
                    await event.wait()
                else:  # another server is at work on it
                    await anyio.sleep(0.5)
                row = await self._rows.get(row.id)
        row = await self._rows.get(row.id)
        if row.result is None:
            base, head = await self._sides(principal, row)
            return going_on(row, *[await self._last(principal, row, side) for side in (base, head)])
        if "failed" in row.result:
            why = f"{row.id} was not compared: {row.result['failed']}"
            raise Conflict(f"{why}; ask anew, without its key", field="compare_id")
        return CompareView.model_validate(row.result)

    def _begin(self, principal: Principal, row: EvidenceRow) -> None:
        self._finished[row.id] = anyio.Event()
        self._tasks.start_soon(self._work, principal, row)

    async def _work(self, principal: Principal, row: EvidenceRow) -> None:
        """Bring a comparison to its end."""
        left: list[_Side] = []
        try:
            view, left = await self._compare(principal, row)
            result = view.model_dump(mode="json")
        except DebugMcpError as error:
            result = {"failed": error.message}
        except Exception as error:  # noqa: BLE001  # one comparison's fault must not end the server
            _log.warning("comparison %s failed", row.id, exc_info=True)
            result = {"failed": f"the server failed: {type(error).__name__}: {error}"}
        await self._rows.finish(row.id, result)
        self._finished.pop(row.id).set()
        for side in left:
            with contextlib.suppress(DebugMcpError):  # its time is over soon
                await self._closing.close(principal, SessionClose(session_id=side.session.id))

    async def _compare(
        self, principal: Principal, row: EvidenceRow
    ) -> tuple[CompareView, list[_Side]]:
        """Return what came of it, and the sides whose sessions nobody needs any more."""
        sides = await self._sides(principal, row)
        ran: dict[str, list[Ran]] = {side.name: [] for side in sides}
        wrong: list[DebugMcpError] = []

        async def run_all(side: _Side) -> None:
            try:
                for number in range(row.asked.repeats):
                    ran[side.name].append(await self._run(principal, row, side, str(number)))
            except DebugMcpError as error:
                wrong.append(error)

        async with anyio.create_task_group() as tasks:
            for side in sides:
                tasks.start_soon(run_all, side)
        if wrong:
            raise wrong[0]
        found = _compared(ran)
        if found.flips and row.asked.repeats == 1:
            # A test that flips by chance is no evidence: it must do so twice.
            only = "\n".join(found.flips) if len(found.flips) <= AGAIN else None
            for side in sides:
                again = await self._run(principal, row, side, "again", only)
                ran[side.name].append(again)
            found = _compared(ran)
        view = compared(row, [(side.session, ran[side.name][0]) for side in sides], found)
        # What newly fails on head can be looked into for as long as its session is there.
        kept = "head" if found.newly_failing else None
        return view, [side for side in sides if side.opened and side.name != kept]

    async def _sides(self, principal: Principal, row: EvidenceRow) -> tuple[_Side, _Side]:
        """Return both sides; their sessions are opened once, however often this is called."""
        asked = row.asked
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
        repository = await self._repository_rows.get(row.repository_id)
        args = SessionCreate(
            repository=repository.name,
            ref=ref,
            patch=patch,
            ttl_seconds=SESSION_SECONDS,
            idempotency_key=f"{row.id}/{name}",
        )
        view = await self._sessions.create(principal, args)
        return _Side(name, await self._sessions.owned(principal, view.session_id), opened=True)

    async def _run(
        self,
        principal: Principal,
        row: EvidenceRow,
        side: _Side,
        number: str,
        only: str | None = None,
    ) -> Ran:
        """Run the tests once on one side, to their end; ``only`` these, one id in a line."""
        args = CommandRun(
            session_id=side.session.id,
            command=row.asked.command or "",
            env={} if only is None else {ONLY: only},
            timeout_seconds=row.asked.timeout_seconds,
            wait_seconds=0,
            idempotency_key=f"{row.id}/{side.name}/{number}",
        )
        view = await self._commands.run(principal, args)
        command = await self._commands.owned(principal, view.command_id)
        while command.state is not CommandState.FINISHED:
            command = await self._scheduler.wait(command, _WAIT_SECONDS)
        return await self._ran(command)

    async def _last(self, principal: Principal, row: EvidenceRow, side: _Side) -> Ran | None:
        """Return how the newest run of a side is going; None before there is one."""
        command = await self._commands.newest(principal, side.session.id)
        return None if command is None else await self._ran(command)

    async def _ran(self, command: Command) -> Ran:
        directory = self._scheduler.directory(command)
        report = await anyio.to_thread.run_sync(read_report, directory)
        return Ran(command, report, directory)


def _compared(ran: Mapping[str, Sequence[Ran]]) -> Comparison:
    """Compare all runs that had results."""
    base, head = ([run.report for run in ran[side] if run.report] for side in ("base", "head"))
    return compare(base, head)
