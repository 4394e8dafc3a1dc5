"""Debugging: programs of a session under a debugger, driven by bounded calls.

Each call that starts or resumes a program waits, and answers with all that is to be seen where it
stands. Nothing is polled, and nothing waits for ever.
"""

import logging

import anyio
from anyio.abc import TaskGroup

from debug_mcp.auth.principal import Principal, Scope
from debug_mcp.config import Settings
from debug_mcp.debuggers.breakpoints import Point
from debug_mcp.debuggers.debugger import State
from debug_mcp.errors import Busy, Conflict, InvalidInput, NotFound, ToolFailed
from debug_mcp.models.base import now
from debug_mcp.models.commands import Command, CommandKind, CommandRun, CommandState
from debug_mcp.models.debugging import (
    Breakpoint,
    DebugControl,
    DebugInspect,
    DebugRow,
    DebugRun,
    DebugState,
    DebugView,
)
from debug_mcp.models.sessions import WorkSession
from debug_mcp.service.calls import driving
from debug_mcp.service.confinement import Confinement
from debug_mcp.service.debug_inspections import inspected
from debug_mcp.service.debug_live import FAILURES, LiveRun
from debug_mcp.service.debug_programs import DebugPrograms, Plan, points_of
from debug_mcp.service.debug_steps import stepped
from debug_mcp.service.debug_views import view_of
from debug_mcp.service.keys import keyed
from debug_mcp.service.scheduler import Scheduler
from debug_mcp.service.sessions import SessionService
from debug_mcp.service.variables import together
from debug_mcp.store.commands import Commands
from debug_mcp.store.debug_runs import DebugRuns
from debug_mcp.store.repositories import Repositories

RUNS_OF_SESSION = 4
TIMEOUT_SECONDS = 4 * 3600
_END_SECONDS = 10
_log = logging.getLogger(__name__)

_STEPS = {"over": "next", "into": "stepIn", "out": "stepOut"}


class DebugService:
    """A debug run is driven by the server that started it, and ends with it."""

    def __init__(
        self,
        rows: DebugRuns,
        commands: Commands,
        repositories: Repositories,
        sessions: SessionService,
        scheduler: Scheduler,
        confinement: Confinement,
        settings: Settings,
        tasks: TaskGroup,
    ) -> None:
        self._rows = rows
        self._commands = commands
        self._repositories = repositories
        self._sessions = sessions
        self._scheduler = scheduler
        self._confinement = confinement
        self._programs = DebugPrograms(confinement)
        self._settings = settings
        self._tasks = tasks
        self._live: dict[str, LiveRun] = {}

    async def run(self, principal: Principal, args: DebugRun) -> DebugView:
        """Start a program under its debugger, and wait until it stands still.

        Raises:
            NotFound: There is no such session of the principal's.
            InvalidInput: There is no such program or place.
            Conflict: The session is closed, or the idempotency key means another run.
            Busy: Too many programs run, in the session or in all.
            Unavailable: The debugger is not installed.
        """
        _require(principal)
        session = await self._sessions.ready(principal, args.session_id)
        plan = await self._programs.plan(session, args)
        # Shielded: what is accepted is begun, also for a caller that gives up now.
        with anyio.CancelScope(shield=True):
            command, new = await self._accept(principal, session, args, plan)
            row = await self._rows.create(command, args)
            if new:
                self._begin(row, command, plan, session)
        return await self._present(row, args.wait_seconds)

    async def control(self, principal: Principal, args: DebugControl) -> DebugView:
        """Let a program go on, stop it or end it; wait until it stands still again.

        Raises:
            NotFound: There is no such run of the principal's, or no such place.
            Conflict: The program has ended, or stands where that cannot be done.
            ToolFailed: The debugger refuses it.
        """
        _require(principal)
        row = await self._owned(principal, args.debug_id)
        if args.action == "restart":
            return await self._restart(principal, row, args)
        run = await self._driven(row, args)
        if run is None:
            return await self._past(row)
        run.use()
        try:
            steps = await self._act(run, args)
        except FAILURES as error:
            raise ToolFailed(f"the debugger does not do that: {error}") from None
        view = await self._settled(run, 0 if args.action in _STEPS else args.wait_seconds)
        return view.model_copy(update={"steps": tuple(steps)})

    async def inspect(self, principal: Principal, args: DebugInspect) -> DebugView:
        """Show more of a program that stands still.

        Raises:
            NotFound: There is no such run of the principal's, or no such frame.
            Conflict: The program runs or has ended.
            ToolFailed: The debugger refuses it.
        """
        _require(principal)
        row = await self._owned(principal, args.debug_id)
        run = self._live.get(row.id)
        if run is None or run.debugger.state is State.ENDED:  # its command may end a moment later
            view = await self._past(row)
            raise Conflict(f"{row.id} is over: its program has {view.state}", field="debug_id")
        run.use()
        return await inspected(run, args)

    async def _accept(
        self, principal: Principal, session: WorkSession, args: DebugRun, plan: Plan
    ) -> tuple[Command, bool]:
        """Put the run into the ledger, beside the session's queue."""
        of_session = [
            run
            for run in self._live.values()
            if run.row.session_id == session.id and run.debugger.state is not State.ENDED
        ]
        if len(of_session) >= RUNS_OF_SESSION:
            raise Busy(
                f"{len(of_session)} debug runs are open in session {session.id}; the limit is "
                f"{RUNS_OF_SESSION}: end one with debug_control stop",
                candidates=[run.row.id for run in of_session],
            )
        repository = await self._repositories.get(session.repository_id)
        env = together(repository.env, session.env, {**plan.variables, **args.env})
        request = CommandRun(
            session_id=session.id,
            command=list(plan.words),
            cwd=plan.cwd,
            env=env,
            parallel=True,
            timeout_seconds=TIMEOUT_SECONDS,
        )
        command = Command(
            id="",
            session_id=session.id,
            principal=principal.name,
            state=CommandState.STARTING,
            request=request,
            accepted_at=now(),
            kind=CommandKind.DEBUG,
            instance=self._scheduler.instance,
        )
        key = keyed(principal, "debug_run", args, args.idempotency_key)
        return await self._commands.accept(command, key, self._settings.running_commands)

    def _begin(self, row: DebugRow, command: Command, plan: Plan, session: WorkSession) -> LiveRun:
        launch = self._scheduler.launches.expect(command.id, plan.program)
        directory = self._scheduler.directory(command)
        tree = self._confinement.folders(session).tree
        run = LiveRun(row, command, plan, launch, directory, tree)
        self._live[row.id] = run
        self._scheduler.resume(command)
        self._tasks.start_soon(self._drive, run)
        return run

    async def _drive(self, run: LiveRun) -> None:
        """Follow a run to its end; what was seen of it last stays in its row."""
        try:
            await run.drive()
            await self._scheduler.wait(run.command, _END_SECONDS)
            await self._rows.note(run.row.id, (await view_of(run)).compact())
        except Exception:  # noqa: BLE001  # one run's fault must not end the server
            _log.warning("debug run %s cannot be followed", run.row.id, exc_info=True)
        finally:
            if self._live.get(run.row.id) is run:
                del self._live[run.row.id]

    async def _settled(self, run: LiveRun, seconds: float) -> DebugView:
        """Wait until the program stands still or has ended; return the view, and remember it."""
        try:
            await run.settle(seconds)
        except FAILURES as error:
            run.failure = str(error)
        if run.debugger.state is State.ENDED:
            with anyio.move_on_after(_END_SECONDS):
                await run.over.wait()
            await self._scheduler.wait(run.command, _END_SECONDS)
        view = await view_of(run)
        run.output_seen = run.output_shown
        run.use()
        await self._rows.note(run.row.id, view.compact())
        return view

    async def _owned(self, principal: Principal, debug_id: str) -> DebugRow:
        row = await self._rows.owned(debug_id, principal.owner)
        if row is None:
            raise NotFound(
                f"no debug run {debug_id!r} of yours",
                field="debug_id",
                candidates=await self._rows.recent_ids(principal.owner),
            )
        return row

    async def _driven(self, row: DebugRow, args: DebugControl) -> LiveRun | None:
        """Return the run if this server drives it; None when it is over and only to be ended.

        Raises:
            Conflict: It is over, or another server drives it.
        """
        run = self._live.get(row.id)
        if run is not None and run.debugger.state is not State.ENDED:
            return run
        command = await self._commands.get(row.command_id)
        if run is not None:
            command = await self._scheduler.wait(command, _END_SECONDS)
        if command.state is not CommandState.FINISHED:
            raise Conflict(
                f"{row.id} is driven by another server of this data directory; end it with "
                "command_cancel, or call from where it was started",
                field="debug_id",
                next_call={"tool": "command_cancel", "arguments": {"command_id": command.id}},
            )
        if args.action == "stop":
            return None
        raise Conflict(
            f"the program of {row.id} has ended ({command.outcome}); restart runs it again",
            field="action",
            candidates=["restart"],
            next_call=driving(row.id, "restart"),
        )

    async def _present(self, row: DebugRow, seconds: float) -> DebugView:
        run = self._live.get(row.id)
        return await self._past(row) if run is None else await self._settled(run, seconds)

    async def _past(self, row: DebugRow) -> DebugView:
        """Return the last view of a run that is over."""
        command = await self._commands.get(row.command_id)
        known = {"debug_id": row.id, "command_id": row.command_id, "state": DebugState.LOST}
        view = DebugView.model_validate({**known, **_restorable(row.view)})
        if view.state is DebugState.EXITED or command.state is not CommandState.FINISHED:
            return view
        return view.model_copy(
            update={
                "state": DebugState.LOST,
                "can_step": None,
                "hint": command.message or f"its command ended: {command.outcome}",
                "next": None,
            }
        )

    async def _restart(self, principal: Principal, row: DebugRow, args: DebugControl) -> DebugView:
        """Run a program again from its beginning, with what is asked now."""
        asked = row.asked.model_copy(
            update={
                "idempotency_key": None,
                **({} if args.breakpoints is None else {"breakpoints": args.breakpoints}),
                **({} if args.capture is None else {"capture": args.capture}),
            }
        )
        session = await self._sessions.ready(principal, asked.session_id)
        plan = await self._programs.plan(session, asked)
        run = self._live.get(row.id)
        if run is not None:
            await run.finish()
            await self._scheduler.wait(run.command, _END_SECONDS)
            self._live.pop(row.id, None)
        with anyio.CancelScope(shield=True):
            command, _ = await self._accept(principal, session, asked, plan)
            await self._rows.restart(row.id, command, asked)
            again = await self._rows.create(command, asked)
            started = self._begin(again, command, plan, session)
        return await self._settled(started, args.wait_seconds)

    async def _act(self, run: LiveRun, args: DebugControl) -> list[str]:
        """Do what was asked; return a line for each step."""
        temporary = await self._prepare(run, args)
        match args.action:
            case "stop":
                await run.finish()
            case "pause":
                if run.debugger.state is State.RUNNING:
                    await run.debugger.pause()
            case "continue" | "to":
                async with run.lock:
                    if run.debugger.state is State.STOPPED:
                        await run.debugger.resume()
                if temporary is not None:
                    await run.settle(args.wait_seconds)
                    async with run.lock:
                        await run.without(temporary)
            case step:
                _check_step(run, args)
                return await stepped(run, _STEPS[step], args.times, args.wait_seconds)
        return []

    async def _prepare(self, run: LiveRun, args: DebugControl) -> Point | None:
        """Set what is asked of breakpoints; return the one that only ``to`` needs."""
        if (args.to is None) == (args.action == "to"):
            raise InvalidInput('to goes with action "to", and names a place', field="to")
        if args.capture is not None:
            run.captures = tuple(args.capture)
        kept = None
        if args.breakpoints is not None:
            kept = await self._points(run, args.breakpoints)
        temporary = None
        if args.to is not None:
            [temporary] = await self._points(run, [Breakpoint(at=args.to)])
            temporary.temporary = True
        if kept is not None or temporary is not None or args.capture is not None:
            points = list(run.breakpoints.points if kept is None else kept)
            async with run.lock:
                await run.declare([*points, *([] if temporary is None else [temporary])])
        return temporary

    async def _points(self, run: LiveRun, asked: list[Breakpoint]) -> list[Point]:
        first = run.numbered()

        def find() -> list[Point]:
            return list(points_of(asked, run.tree, first, python=run.is_python))

        return await anyio.to_thread.run_sync(find)


def _require(principal: Principal) -> None:
    """Ask for both scopes: a debugger runs a program, and expressions of its caller in it."""
    principal.require(Scope.DEBUG_CONTROL)
    principal.require(Scope.COMMAND_RUN)


def _check_step(run: LiveRun, args: DebugControl) -> None:
    """Refuse a step where there is nothing to step."""
    if run.debugger.stop is None:
        raise Conflict(
            "the program runs: nothing to step", field="action", candidates=["continue", "pause"],
            next_call=driving(run.row.id, "pause"),
        )  # fmt: skip
    if run.debugger.stop.reason == "exception" and run.is_test:
        raise Conflict(
            "frames are unwound after a failed test: inspect works, stepping does not",
            field="action",
            candidates=["continue", "restart", "stop"],
            next_call=driving(run.row.id, "restart"),
        )


def _restorable(view: dict[str, object]) -> dict[str, object]:
    """Return what was stored of a view under the names of its members."""
    kept = dict(view)
    tests = kept.get("tests")
    if isinstance(tests, dict) and "from" in tests:
        kept["tests"] = {"source": tests["from"], **{k: v for k, v in tests.items() if k != "from"}}
    return kept
