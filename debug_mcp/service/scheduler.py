"""The queue at work: starts what may start, follows it to its end, and lets others wait for that.

Each session runs one command at a time in the order of acceptance; a global limit holds over all.
What is started goes on under its shim whatever becomes of this server; ``service.recovery`` brings
it back here after a restart.
"""

import contextlib
import logging
import os
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import TaskGroup

from debug_mcp.config import Layout, Settings
from debug_mcp.errors import DebugMcpError
from debug_mcp.models.base import now
from debug_mcp.models.commands import Command, CommandKind, CommandState, Outcome
from debug_mcp.runner.output import read
from debug_mcp.runner.supervisor import Exit, Job, Supervisor
from debug_mcp.service.collecting import Collecting
from debug_mcp.service.confinement import Confinement
from debug_mcp.service.cores import wants_core
from debug_mcp.service.environments import EnvironmentService
from debug_mcp.service.keyboard import stdin_of
from debug_mcp.service.launches import Launch, Launches
from debug_mcp.service.limits import limit_met, limits_of
from debug_mcp.service.observers import Observers, SeenEnd
from debug_mcp.service.streams import SEPARATE, stream_paths
from debug_mcp.service.wakeups import Wakeups
from debug_mcp.store.commands import Commands, End
from debug_mcp.store.sessions import Sessions

# Another server's work, and a wake-up that got lost, are seen within this time.
LOOK_SECONDS = 5.0

_OUTCOMES = {
    "timeout": Outcome.TIMED_OUT,
    "idle_timeout": Outcome.IDLE_TIMED_OUT,
    "limit": Outcome.RESOURCE_LIMIT,
    "cancel": Outcome.CANCELLED,
    "spawn_failed": Outcome.SPAWN_FAILED,
}
_MESSAGE_BYTES = 500
_UNDRIVEN = "the server that drove its debugger has ended, and nobody else can; debug_run again"
_BROKEN = "its debugger ended by itself, and nobody saw what became of the program"
_DAMAGED = "its row in the ledger is damaged: what was asked cannot be read, and nothing ran"

# What is done beside a command while it runs, given it and its directory.
Follow = Callable[[Command, Path], Coroutine[Any, Any, None]]

_log = logging.getLogger(__name__)


class Scheduler:
    """Runs the commands of one server."""

    def __init__(
        self,
        commands: Commands,
        sessions: Sessions,
        confinement: Confinement,
        collecting: Collecting,
        environments: EnvironmentService,
        supervisor: Supervisor,
        settings: Settings,
        layout: Layout,
        instance: str,
        wakeups: Wakeups,
        observers: Observers,
        tasks: TaskGroup,
    ) -> None:
        self._commands = commands
        self._sessions = sessions
        self._confinement = confinement
        self._collecting = collecting
        self._environments = environments
        self._settings = settings
        self._layout = layout
        self.instance = instance
        self._wakeups = wakeups
        self._observers = observers
        self._tasks = tasks
        self._supervisor = supervisor
        self.launches = Launches()
        self._wake = anyio.Event()
        self._alarm = anyio.Event()
        self._waiting: dict[str, set[anyio.Event]] = {}
        # What has ended, while the ledger cannot be told: nobody is to wait for it.
        self._unstored: dict[str, Command] = {}
        self._collected: list[Callable[[], None]] = []
        self._followers: list[Follow] = []

    def at_each_collection(self, ring: Callable[[], None]) -> None:
        """Have something done when the end of a command has collected artifacts."""
        self._collected.append(ring)

    def beside_each_command(self, follow: Follow) -> None:
        """Have something done while a command runs; it is cancelled at the end."""
        self._followers.append(follow)

    def at_each_look(self, look: Callable[[], Awaitable[None]]) -> None:
        """Have something done every ``LOOK_SECONDS``."""
        self._tasks.start_soon(self._look, look)

    async def serve(self) -> None:
        """Start whatever may start, now and whenever something changed, until cancelled."""
        self._tasks.start_soon(self._listen)
        while True:
            wake = self._wake
            seen: int | None = self._commands.version()
            try:
                command = await self._commands.claim(self.instance, self._settings.running_commands)
            except Exception:  # noqa: BLE001  # disk full, ledger busy: it goes on when that is over
                _log.warning("the queue cannot be read", exc_info=True)
                command = seen = None
            if command is None:
                await self._woken(wake, seen)
            else:
                self.resume(command)

    async def _woken(self, wake: anyio.Event, seen: int | None) -> None:
        """Wait until something may start: somebody says so, or the ledger is another than seen."""
        while True:
            with anyio.move_on_after(LOOK_SECONDS):
                await wake.wait()
                return
            if self._commands.version() != seen:
                return

    def look_now(self) -> None:
        """Do at once what is done at each look: another server has come, or has ended."""
        self._alarm.set()
        self._alarm = anyio.Event()

    async def _look(self, look: Callable[[], Awaitable[None]]) -> None:
        alarm = self._alarm
        while True:
            with anyio.move_on_after(LOOK_SECONDS):
                await alarm.wait()
            alarm = self._alarm  # before the look: what rings during it is not lost
            try:
                await look()
            except Exception:  # noqa: BLE001  # the next look may do better
                _log.warning("what other servers left cannot be taken over", exc_info=True)

    async def _listen(self) -> None:
        """Pass on what other servers say: something ended, so others may wait for that or start."""
        while True:
            if await self._wakeups.arrived():
                self.look_now()
            for command_id in self._waiting:
                self._ring(command_id)
            self.wake()

    def wake(self) -> None:
        """Say that something may start now."""
        self._wake.set()
        self._wake = anyio.Event()

    def resume(self, command: Command) -> None:
        """Bring a command that this server has claimed or adopted to its end."""
        self._tasks.start_soon(self._run, command)

    async def wait(self, command: Command, seconds: float) -> Command:
        """Return the command once it has ended, or as it is after some seconds."""
        with anyio.move_on_after(seconds):
            while command.state is not CommandState.FINISHED:
                with self._bell(command.id) as bell:
                    # Read after the bell was hung up: no end goes by unheard.
                    command = await self._seen(command.id)
                    if command.state is not CommandState.FINISHED:
                        with anyio.move_on_after(LOOK_SECONDS):
                            await bell.wait()
        if command.state is CommandState.FINISHED:
            return command
        return await self._seen(command.id)

    def latest(self, command: Command) -> Command:
        """Return a command as it is, where the ledger cannot be told of its end."""
        return self._unstored.get(command.id, command)

    async def _seen(self, command_id: str) -> Command:
        return self._unstored.get(command_id) or await self._commands.get(command_id)

    @contextlib.contextmanager
    def _bell(self, command_id: str) -> Iterator[anyio.Event]:
        """Yield what rings when a command ends, or may have ended."""
        bell = anyio.Event()
        bells = self._waiting.setdefault(command_id, set())
        bells.add(bell)
        try:
            yield bell
        finally:
            bells.remove(bell)
            if not bells:
                del self._waiting[command_id]

    async def cancel(self, command: Command) -> Command:
        """Ask for a command's end; a queued one ends at once. The first end stands."""
        await self._commands.request_cancel(command.id)
        end = End(Outcome.CANCELLED, now(), elapsed_seconds=0)
        if await self._commands.finish(command.id, end, only_queued=True):
            self._ended(command, end)
        else:
            await self._supervisor.cancel(self.directory(command))
        return await self._commands.get(command.id)

    def directory(self, command: Command) -> Path:
        """Return where a command's shim keeps its files."""
        return self._layout.commands / command.id

    async def _run(self, command: Command) -> None:
        """Start a command unless it was, follow it, and store its end."""
        while True:
            end: End | None = None
            try:
                end = await self._start(command) or await self._follow(command)
                end = await self._finished(command, end)
                await self._commands.finish(command.id, end)
                break
            except Exception:  # noqa: BLE001  # disk full, no descriptor left: its shim goes on
                _log.warning("command %s cannot be followed", command.id, exc_info=True)
                if end is not None:
                    self._unstored[command.id] = _ended(command, end)
                    self._ring(command.id)
                await anyio.sleep(LOOK_SECONDS)
        self._unstored.pop(command.id, None)
        self.launches.forget(command.id)
        for ring in self._collected if end.collected else ():
            ring()
        self._ended(command, end)

    async def _start(self, command: Command) -> End | None:
        """Start what nobody has begun; return its end when it cannot or must not start."""
        directory = self.directory(command)
        if command.state is not CommandState.STARTING or await self._supervisor.begun(directory):
            return None
        if command.damaged:
            return End(Outcome.LOST, now(), elapsed_seconds=0, message=_DAMAGED)
        launch = self.launches.get(command.id)
        if command.kind is CommandKind.DEBUG and launch is None:
            return End(Outcome.LOST, now(), elapsed_seconds=0, message=_UNDRIVEN)
        try:
            job = await self._job(command, launch)
            if (await self._commands.get(command.id)).cancel_requested:
                return End(Outcome.CANCELLED, now(), elapsed_seconds=0)
            self._supervisor.start(directory, job, None if launch is None else launch.descriptor)
        except DebugMcpError as error:
            message = error.message
        except Exception as error:  # noqa: BLE001  # one command's fault must not end the queue
            message = f"the server failed: {type(error).__name__}: {error}"
        else:
            return None
        finally:
            if launch is not None:  # whoever waits at our end of it must hear that nobody comes
                os.close(launch.descriptor)
        return End(Outcome.SPAWN_FAILED, now(), elapsed_seconds=0, message=message)

    async def _follow(self, command: Command) -> End:
        """Wait for the end of what has begun."""
        directory = self.directory(command)
        if command.state is CommandState.STARTING:
            await self._commands.started(command.id, now())
        if (await self._commands.get(command.id)).cancel_requested:
            # Asked for when there was nothing to signal, or by a server that died of it.
            await self._supervisor.cancel(directory)
        async with anyio.create_task_group() as followers:
            for follow in self._followers:
                followers.start_soon(follow, command, directory)
            try:
                seen = await self._supervisor.wait(directory)
            except (KeyError, ValueError):
                seen = None  # there is an `exit`, and nobody can tell what it says
            followers.cancel_scope.cancel()
        end = _end(command, seen, self.launches.get(command.id))
        if end.outcome is Outcome.SPAWN_FAILED and not end.message:
            # The sandbox says on stderr why it could not, wherever that goes.
            paths = stream_paths(directory)
            said = "".join(read(path, 0, _MESSAGE_BYTES).text for path in paths)
            end = replace(end, message=said.strip() or None)
        return end

    async def _finished(self, command: Command, end: End) -> End:
        """Return the end of a command with what is made of what it left."""
        if command.kind is CommandKind.SETUP:
            built = await self._environments.built_by(command)
            if built is not None:
                return await self._environments.at_end(built, command, end)
        return await self._collecting.at_end(command, end, self.directory(command))

    async def _job(self, command: Command, launch: Launch | None) -> Job:
        session = await self._sessions.get(command.session_id)
        adapter = None if launch is None else launch.adapter
        directory = self.directory(command)
        room = await self._environments.room(session, command)
        program = await self._confinement.program(session, command, directory, adapter, room)
        request = command.request
        folder = self._layout.sessions / session.id
        if room is not None and room.building is not None:
            folder = room.environment.parent
        return Job(
            program,
            timeout=request.timeout_seconds,
            idle_timeout=request.idle_timeout_seconds,
            grace=self._settings.grace_seconds,
            stdin=stdin_of(request),
            output_limit=self._settings.output_bytes,
            limits=limits_of(self._settings, folder, core=wants_core(command)),
            separate=request.streams == SEPARATE,
        )

    def _ended(self, command: Command, end: End) -> None:
        self._ring(command.id)
        if command.kind is CommandKind.SETUP and end.outcome is not Outcome.SUCCEEDED:
            self.look_now()  # other sessions may wait for what it did not build
        ran = end.elapsed_seconds or 0
        waited = (end.ended_at - command.accepted_at).total_seconds() - ran
        self._observers.ended(SeenEnd(command, end.outcome, max(waited, 0), ran))
        self.wake()
        self._wakeups.send()

    def _ring(self, command_id: str) -> None:
        for bell in self._waiting.get(command_id, ()):
            bell.set()


def _ended(command: Command, end: End) -> Command:
    """Return a command as it is after its end, but for what was collected."""
    known = {field.name: getattr(end, field.name) for field in fields(End)}
    return replace(command, **{**known, "state": CommandState.FINISHED, "collected": None})


def _end(command: Command, seen: Exit | None, launch: Launch | None) -> End:
    """Translate what the shim saw into what the ledger says."""
    if seen is None:
        began = command.started_at or command.accepted_at
        elapsed = (now() - began).total_seconds()
        return End(Outcome.LOST, now(), elapsed_seconds=elapsed)
    outcome = _OUTCOMES.get(seen.reason)
    exit_code = None
    if outcome is None and seen.code is not None:
        # As a shell would say it: 128 + n for signal n.
        exit_code = seen.code if seen.code >= 0 else 128 - seen.code
        outcome = Outcome.SUCCEEDED if exit_code == 0 else Outcome.FAILED
        if seen.output_dropped:
            outcome = Outcome.OUTPUT_LIMIT
    message = seen.message or ("the disk is full" if seen.disk_full else None)
    if command.kind is CommandKind.DEBUG and seen.reason in ("exit", "hangup"):
        # What the shim saw is the end of the debugger, not of the program.
        outcome = launch.outcome if launch is not None else None
        exit_code = None if launch is None or outcome is None else launch.exit_code
        if outcome is None:
            message = _UNDRIVEN if launch is None else _BROKEN
    return End(
        outcome=outcome or Outcome.LOST,
        ended_at=seen.ended_at,
        exit_code=exit_code,
        elapsed_seconds=seen.elapsed_seconds,
        cpu_seconds=seen.cpu_seconds,
        memory_bytes=seen.memory_bytes,
        stragglers=seen.stragglers,
        output_bytes=seen.output_bytes,
        stderr_bytes=seen.stderr_bytes,
        output_dropped=seen.output_dropped,
        message=message,
        limit=limit_met(seen),
    )
