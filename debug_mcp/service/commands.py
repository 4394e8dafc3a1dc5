"""Commands: accepting them, waiting for them, reading what they wrote."""

from pathlib import Path

import anyio

from debug_mcp.auth.principal import Principal, Scope
from debug_mcp.config import Settings
from debug_mcp.errors import InvalidInput, NextCall, NotFound
from debug_mcp.models.base import Report, now, silent
from debug_mcp.models.commands import (
    Command,
    CommandCancel,
    CommandInput,
    CommandKind,
    CommandList,
    CommandListView,
    CommandRun,
    CommandState,
    CommandView,
    CommandWait,
    Outcome,
    QueueView,
    UntilView,
)
from debug_mcp.models.network import NetworkPolicy
from debug_mcp.models.outputs import CommandOutput, OutputPage, StreamName
from debug_mcp.models.sessions import WORKSPACE, Isolation, SessionState, WorkSession
from debug_mcp.runner import output
from debug_mcp.runner.supervisor import has_begun
from debug_mcp.service.artifacts import with_collected
from debug_mcp.service.collecting import relative
from debug_mcp.service.command_output import output_page
from debug_mcp.service.command_views import command_row, command_view
from debug_mcp.service.command_waits import CommandWaits
from debug_mcp.service.confinement import Confinement
from debug_mcp.service.following import Following
from debug_mcp.service.hints import not_cancelled
from debug_mcp.service.keyboard import check_stdin, not_running, send
from debug_mcp.service.keys import keyed
from debug_mcp.service.network import NetworkRules
from debug_mcp.service.scheduler import Scheduler
from debug_mcp.service.sessions import SessionService
from debug_mcp.service.streams import check_streams, stream_path, unseen_hint
from debug_mcp.service.surroundings import Surroundings
from debug_mcp.service.variables import together
from debug_mcp.service.watches import check_until, watch_for
from debug_mcp.store.artifacts import Artifacts
from debug_mcp.store.commands import Commands, Wanted
from debug_mcp.store.repositories import Repositories

# The kernel's limit for one argument is 128 KiB with the NUL at its end.
ARGUMENT_BYTES = (128 << 10) - 1
# Of a session's failed commands, for one that is no set-up and no debugger.
_LOOKED_THROUGH = 50


class CommandService:
    """A command is accepted once, runs in its session's order, and ends exactly once."""

    def __init__(
        self,
        store: Commands,
        artifacts: Artifacts,
        repositories: Repositories,
        sessions: SessionService,
        scheduler: Scheduler,
        confinement: Confinement,
        settings: Settings,
    ) -> None:
        self._network = NetworkRules(settings.network)
        self._store = store
        self._artifacts = artifacts
        self._repositories = repositories
        self._sessions = sessions
        self._scheduler = scheduler
        self._confinement = confinement
        self._settings = settings
        self._waits = CommandWaits(scheduler)

    async def run(
        self, principal: Principal, args: CommandRun, report: Report = silent
    ) -> CommandView:
        """Accept a command, and wait for its end as long as was asked.

        Raises:
            NotFound: There is no such session of the principal's.
            Conflict: The session is closed, or the idempotency key means another command.
            PermissionDenied: The network is not to be had.
            Busy: The session's queue is full.
        """
        principal.require(Scope.COMMAND_RUN)
        network = self._network.decide(principal, asked=args.network)
        session = await self._sessions.owned(principal, args.session_id)
        repository = await self._repositories.get(session.repository_id)
        tree = self._confinement.folders(session).tree
        globs = [relative(glob, tree, "artifacts") for glob in args.artifacts]
        asked = args.model_copy(
            update={"cwd": _relative(args.cwd), "network": network, "artifacts": globs}
        )
        _check_text(asked)
        check_until(asked.until, report=asked.report)
        check_stdin(asked)
        check_streams(asked)
        request = keyed(principal, "command_run", asked, asked.idempotency_key)
        if session.state is not SessionState.READY and not await self._store.is_known(request):
            await self._sessions.ready(principal, session.id)  # says why it is not
        env = together(repository.env, session.env, asked.env)
        command = Command(
            id="",
            session_id=session.id,
            principal=principal.name,
            state=CommandState.QUEUED,
            request=asked.model_copy(update={"env": env}),
            accepted_at=now(),
        )
        # A caller that gives up now may not know of it, but the command is not held up.
        with anyio.CancelScope(shield=True):
            accepted, _ = await self._store.accept(command, request, self._settings.queued_commands)
            self._scheduler.wake()
        return await self._waited(principal, accepted, args, report)

    async def wait(
        self, principal: Principal, args: CommandWait, report: Report = silent
    ) -> CommandView:
        """Wait for a command's end or for what ``until`` names, at most as long as was asked.

        Raises:
            NotFound: There is no such command of the principal's.
            InvalidInput: ``until`` is no pattern.
        """
        principal.require(Scope.SESSION_READ)
        command = await self.owned(principal, args.command_id)
        return await self._waited(principal, command, args, report)

    async def _waited(
        self, principal: Principal, command: Command, args: CommandRun | CommandWait, report: Report
    ) -> CommandView:
        """Wait as was asked; return the view of what is there then."""
        since = args.since if isinstance(args, CommandWait) else 0
        watch = watch_for(args.until, command, self._scheduler.directory(command), since)
        command, until = await self._waits.wait(command, args.wait_seconds, report, watch)
        view = await self._view(principal, command, since=since)
        if until is None:
            return view
        unseen = None if until.by == "match" else unseen_hint(command, args.until)
        update = {
            "until": until,
            "hint": view.hint or unseen,
            "next": _going_on(view, args.until, until),
        }
        return view.model_copy(update=update)

    async def type(
        self, principal: Principal, args: CommandInput, report: Report = silent
    ) -> CommandView:
        """Type into a running command, and show what it printed upon that.

        Raises:
            NotFound: There is no such command of the principal's.
            Conflict: It is not running, or its standard input is not open.
            InvalidInput: It has no terminal, and only that knows such a key.
            Busy: It does not read; the message says how much was taken.
        """
        principal.require(Scope.COMMAND_RUN)
        command = await self.owned(principal, args.command_id)
        directory = self._scheduler.directory(command)
        since = output.size(directory / "output")
        if not has_begun(directory) or command.state is CommandState.FINISHED:
            raise not_running(command)
        await send(command, directory, args)
        wait = CommandWait(
            command_id=command.id, since=since, until=args.until, wait_seconds=args.wait_seconds
        )
        return await self._waited(principal, command, wait, report)

    async def output(self, principal: Principal, args: CommandOutput) -> OutputPage:
        """Return a part of what a command wrote.

        Raises:
            NotFound: There is no such command of the principal's.
            InvalidInput: The mode does not fit what else was asked, or the pattern is malformed.
        """
        principal.require(Scope.SESSION_READ)
        command = await self.owned(principal, args.command_id)
        directory = self._scheduler.directory(command)
        path = stream_path(command, directory, args.stream or "stdout")
        return await anyio.to_thread.run_sync(output_page, command, path, args)

    async def file(
        self, principal: Principal, command_id: str, stream: StreamName = "stdout"
    ) -> tuple[Command, Path]:
        """Return a command and where its output is, as it was written.

        Raises:
            NotFound: There is no such command of the principal's.
            InvalidInput: Its stderr is not apart.
        """
        principal.require(Scope.SESSION_READ)
        command = await self.owned(principal, command_id)
        return command, stream_path(command, self._scheduler.directory(command), stream)

    async def follow(self, principal: Principal, command_id: str, offset: int) -> Following:
        """Return what gives a command's output from an offset on, and its states.

        Raises:
            NotFound: There is no such command of the principal's.
        """
        principal.require(Scope.SESSION_READ)
        return Following(self._scheduler, await self.owned(principal, command_id), offset)

    async def newest(self, principal: Principal, session_id: str) -> Command | None:
        """Return the newest command of a session of the principal's, if there is one."""
        wanted = Wanted(session_id)
        return next(iter(await self._store.page(principal.owner, wanted, None, 1)), None)

    async def setup_outcome(self, session_id: str) -> Outcome | None:
        """Return how a session's set-up ended; None when it has none, or not yet."""
        command = await self._store.setup_of(session_id)
        return None if command is None else command.outcome

    async def newest_failed(self, principal: Principal, session_id: str) -> Command | None:
        """Return the newest command of a session that a caller ran and that failed, if any."""
        wanted = Wanted(session_id, outcome=Outcome.FAILED)
        found = await self._store.page(principal.owner, wanted, None, _LOOKED_THROUGH)
        return next((each for each in found if each.kind is CommandKind.RUN), None)

    async def list(self, principal: Principal, args: CommandList) -> CommandListView:
        """Return the principal's commands, newest first.

        Raises:
            NotFound: There is no such session of the principal's, or the cursor is none of ours.
        """
        principal.require(Scope.SESSION_READ)
        if args.session_id is not None:
            await self._sessions.owned(principal, args.session_id)
        after = None if args.cursor is None else await self._cursor(principal, args.cursor)
        wanted = Wanted(args.session_id, args.state, args.outcome)
        found = await self._store.page(principal.owner, wanted, after, args.limit + 1)
        shown = [self._scheduler.latest(command) for command in found[: args.limit]]
        return CommandListView(
            commands=[command_row(command, await self._place(command)) for command in shown],
            next_cursor=shown[-1].id if len(found) > args.limit else None,
            hint=None if shown else "there is none",
        )

    async def _cursor(self, principal: Principal, cursor: str) -> Command:
        """Return the last command of the page before: its id is the cursor.

        Raises:
            NotFound: There is none of this id.
        """
        command = await self._store.owned(cursor, principal.owner)
        if command is None:
            raise NotFound(
                f"no page after {cursor!r}; send the next_cursor of an answer, or none for the "
                "first page",
                field="cursor",
            )
        return command

    async def cancel(self, principal: Principal, args: CommandCancel) -> CommandView:
        """End a command: SIGTERM, a grace period, then SIGKILL for all of it.

        Raises:
            NotFound: There is no such command of the principal's.
        """
        principal.require(Scope.COMMAND_RUN)
        before = command = await self.owned(principal, args.command_id)
        if before.state is not CommandState.FINISHED:
            command = await self._scheduler.cancel(before)
            command = await self._scheduler.wait(command, self._settings.grace_seconds + 5)
        view = await self._view(principal, command)
        return view.model_copy(update={"hint": not_cancelled(before, command) or view.hint})

    async def owned(self, principal: Principal, command_id: str) -> Command:
        """Return the principal's command.

        Raises:
            NotFound: There is none of this id; the candidates are the newest.
        """
        command = await self._store.owned(command_id, principal.owner)
        if command is None:
            raise NotFound(
                f"no command {command_id!r} of yours",
                field="command_id",
                candidates=await self._store.recent_ids(principal.owner),
            )
        return self._scheduler.latest(command)

    async def _place(self, command: Command) -> QueueView | None:
        """Return what a queued command waits for."""
        if command.state is not CommandState.QUEUED:
            return None
        ahead = await self._store.ahead(command)
        _, begun = await self._store.count_unfinished()
        if (await self._store.get(command.id)).state is not CommandState.QUEUED:
            return None  # it started meanwhile, and would be said to wait for itself
        if ahead:
            return QueueView(ahead=len(ahead), waits_for=ahead[0])
        places = self._settings.running_commands
        return QueueView(ahead=0, places=places) if begun >= places else None

    async def _view(self, principal: Principal, command: Command, since: int = 0) -> CommandView:
        directory = self._scheduler.directory(command)
        queue = await self._place(command)
        around = await self._around(command)
        default_wait = self._settings.default_wait
        policy, debug = None, Scope.DEBUG_CONTROL in principal.scopes
        session = await self._sessions.owned(principal, command.session_id)
        if command.outcome is Outcome.FAILED:
            policy = self._lacking(principal, command, session)
            debug = debug and session.state is SessionState.READY
        view = await anyio.to_thread.run_sync(
            command_view, command, directory, since, queue, policy, default_wait, around, debug
        )
        if session.isolation is not Isolation.BWRAP:
            view = view.model_copy(update={"isolation": session.isolation})
        return await with_collected(view, command, self._artifacts)

    async def _around(self, command: Command) -> Surroundings | None:
        """Return what a program that did not start may have meant, where it did not."""
        if command.outcome is not Outcome.SPAWN_FAILED and command.exit_code not in (126, 127):
            return None
        return await self._confinement.surroundings(command.session_id)

    def _lacking(
        self, principal: Principal, command: Command, session: WorkSession
    ) -> NetworkPolicy | None:
        """Return what holds for a command that may have failed for want of the network."""
        if command.request.network or session.isolation is Isolation.NONE:
            return None
        return self._network.policy(principal)


def _going_on(view: CommandView, asked: str | None, until: UntilView) -> NextCall | None:
    """Return the next call; while there was no match, the same wait from where it left off."""
    if until.by != "limit" or view.next is None:
        return view.next
    arguments = {**view.next["arguments"], "until": asked}
    if until.searched_to is not None:
        arguments["since"] = until.searched_to
    return {"tool": "command_wait", "arguments": arguments}


def _relative(cwd: str) -> str:
    """Return a folder relative to the tree's root.

    Raises:
        InvalidInput: It leads out of the tree.
    """
    within = f"{cwd}/".startswith(f"{WORKSPACE}/")
    parts = cwd.removeprefix(WORKSPACE).split("/") if within else cwd.split("/")
    if (cwd.startswith("/") and not within) or ".." in parts:
        raise InvalidInput(
            f"cwd {cwd!r} leads out of the tree; give a folder relative to its root", field="cwd"
        )
    return "/".join(part for part in parts if part not in ("", ".")) or "."


def _check_text(args: CommandRun) -> None:
    """Refuse what no process can be given.

    Raises:
        InvalidInput: There is a NUL in it, or an argument is too long.
    """
    command = [args.command] if isinstance(args.command, str) else args.command
    for field, texts in (("command", command), ("cwd", [args.cwd])):
        if any("\0" in text for text in texts):
            raise InvalidInput(f"{field} holds a NUL character", field=field)
    if isinstance(args.command, str):
        return
    for place, argument in enumerate(args.command):
        size = len(argument.encode("utf-8", "surrogateescape"))
        if size > ARGUMENT_BYTES:
            raise InvalidInput(
                f"argument {place} has {size} bytes; one argument may have {ARGUMENT_BYTES}. Put "
                "it into a file with file_edit and name that, or send the command as a text, which "
                "may be of any length",
                field="command",
            )
