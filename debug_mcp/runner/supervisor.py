"""Starts shims, follows them, and finds them again after a restart.

A command's directory holds its whole truth: ``spec``, ``options`` (the sandbox's), ``lock``,
``state``, ``output``, ``stderr`` (where that is apart), ``exit`` (see ``runner.shim``). What is
remembered here of the shims that this server started is only what spares it to look: the tether,
whose end is theirs.
"""

import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Self

import anyio

from debug_mcp.runner.limits import NO_LIMITS, Limits
from debug_mcp.runner.sandbox import Confined
from debug_mcp.runner.shim.spec import FORMAT, OPTIONS_FD
from debug_mcp.runner.starter import Starter, spawn_shim

# A shim that has its lock writes `state` within milliseconds; this is how often we look.
_STATE_PAUSE_SECONDS = 0.005
_BEGIN_SECONDS = 5.0
# A starter that has not begun a shim by then is stopped, or hangs.
STARTER_SECONDS = 2.0
# One who looks whether the lock is held has it for an instant itself.
_LOOKERS = 200
_LOOKER_SECONDS = 0.001


@dataclass(frozen=True, slots=True)
class Stdin:
    """What a program reads: nothing, a text, or what ``runner.keyboard`` sends it while it runs.

    ``kind`` is null, text, open (a pipe) or tty (a terminal of that size).
    """

    kind: Literal["null", "text", "open", "tty"] = "null"
    text: str | None = None
    rows: int = 24
    columns: int = 80


NO_STDIN = Stdin()


@dataclass(frozen=True, slots=True)
class Job:
    """A program and its limits: seconds and bytes.

    ``separate``: stderr goes to a file of its own instead of into ``output``.
    """

    program: Confined
    timeout: float
    grace: float
    output_limit: int
    idle_timeout: float | None = None
    stdin: Stdin = NO_STDIN
    limits: Limits = NO_LIMITS
    separate: bool = False

    def encode(self) -> bytes:
        """Return the ``spec`` file: NUL-separated, so that every argument survives.

        Raises:
            ValueError: A NUL stands in it, which would make two fields of one.
        """
        fields = [
            f"format={FORMAT}",
            f"sandbox={self.program.isolation}",
            f"cwd={self.program.cwd}",
            f"timeout={self.timeout}",
            f"grace={self.grace}",
            f"output_limit={self.output_limit}",
            *([] if self.idle_timeout is None else [f"idle_timeout={self.idle_timeout}"]),
            *self.limits.fields(),
            *(["streams=separate"] if self.separate else []),
            f"stdin={self.stdin.kind}",
            f"size={self.stdin.rows}x{self.stdin.columns}",
            *(f"arg={argument}" for argument in self.program.command(OPTIONS_FD)),
            *(f"env={name}={value}" for name, value in self.program.environment.items()),
        ]
        if any("\0" in field for field in (*fields, *self.program.options)):
            raise ValueError("a NUL in an argument, a variable or a folder")
        return "\0".join(fields).encode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True)
class Exit:
    """What the shim saw.

    ``reason`` is exit, timeout, idle_timeout, limit, cancel, hangup or spawn_failed. ``limit`` is
    the name and the value of the one of ``runner.limits`` that was met. ``code`` is negative for a
    signal; None when the command never ran or left no status. ``output_bytes`` are those of all
    streams, ``stderr_bytes`` those of a stderr that has a file of its own.
    """

    reason: str
    code: int | None
    ended_at: datetime
    elapsed_seconds: float
    cpu_seconds: float
    memory_bytes: int
    stragglers: int
    output_bytes: int
    stderr_bytes: int | None
    output_dropped: int
    disk_full: bool
    limit: tuple[str, float] | None
    message: str


@dataclass(frozen=True, slots=True)
class _Started:
    """A shim of ours; ``tether`` is at its end when it is gone, ``pid`` is set for a child."""

    tether: int
    pid: int | None

    def forget(self) -> None:
        os.close(self.tether)
        if self.pid is not None:
            # Nobody's child where the server was started with SIGCHLD ignored.
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self.pid, 0)


class Supervisor:
    """Starts and follows shims; forked by a starter if there is one. The shims outlive its end."""

    def __init__(self, starter: Starter | None = None) -> None:
        self._starter = starter
        self._started: dict[Path, _Started] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._starter is not None:
            self._starter.end()
        while self._started:
            os.close(self._started.popitem()[1].tether)

    def start(self, directory: Path, job: Job, channel: int | None = None) -> None:
        """Start a job in a directory that does not exist yet, or in which nothing ran.

        Args:
            directory: Where it is to be.
            job: What to run.
            channel: A socket that becomes its standard input and output, instead of what the job
                says of them; the job is ended when the other end is closed.

        Raises:
            ValueError: The job holds a NUL.
            OSError: The directory cannot be written; BlockingIOError: a shim is at work in it.
        """
        content = job.encode()
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _open_lock(directory, create=True) as lock:
            # The lock belongs to the open file, which the shim inherits: when we close our
            # descriptor, it is held exactly as long as the shim or its guard lives.
            _take(lock)
            if job.stdin.text is not None:
                _write(directory / "stdin", job.stdin.text.encode("utf-8", "surrogateescape"))
            _write(directory / "options", job.program.encoded_options)
            _write(directory / "spec", content)
            self._launch(directory, lock, self._starter, channel)

    async def wait(self, directory: Path) -> Exit | None:
        """Wait until a started job has ended, whoever started it; None when its end is lost."""
        if directory in self._started:
            await self._let_go(directory, self._started[directory])
        while (pid := await self._shim(directory)) is not None:
            with _open_process(pid) as process:
                # Held still: so the number was not given to another process meanwhile.
                if process is not None and is_held(directory):
                    await anyio.wait_readable(process)
                else:
                    await anyio.sleep(_STATE_PAUSE_SECONDS)
        self._forget(directory)
        return read_exit(directory)

    async def begun(self, directory: Path) -> bool:
        """Return whether a shim is at work here or was: if not, nothing ever ran.

        Waits until one that is being started is at work or gone, but not for long: a server that
        is killed on the way, and its starter, may hold the lock and start nothing.
        """
        with anyio.move_on_after(_BEGIN_SECONDS):
            await self._shim(directory)
        return has_begun(directory)

    async def cancel(self, directory: Path) -> None:
        """Ask a running job to end: SIGTERM, its grace period, then SIGKILL for all of it."""
        pid = await self._shim(directory)
        if pid is None:
            return
        with _open_process(pid) as process:
            if process is not None and is_held(directory):
                with contextlib.suppress(ProcessLookupError):  # it ended a moment ago
                    signal.pidfd_send_signal(process, signal.SIGTERM)

    async def _shim(self, directory: Path) -> int | None:
        """Return the living shim's process id, or None when it is gone."""
        while is_held(directory) or self._launched_anew(directory):
            state = read_fields(directory / "state")
            if state is not None:
                return int(state["shim"])
            await anyio.sleep(_STATE_PAUSE_SECONDS)
        return None

    def _launch(
        self, directory: Path, lock: int, starter: Starter | None, channel: int | None = None
    ) -> None:
        """Start the shim, which gets the lock."""
        self._forget(directory)
        tether, its = os.pipe2(os.O_CLOEXEC)
        try:
            # Not with a channel: we have no other for it, should the starter die of it.
            asked = starter if channel is None else None
            forked = asked is not None and asked.start(directory, lock, its)
            pid = None if forked else spawn_shim(directory, lock, its, channel)
        except BaseException:
            os.close(tether)
            raise
        finally:
            os.close(its)
        self._started[directory] = _Started(tether, pid)

    def _launched_anew(self, directory: Path) -> bool:
        """Start directly what the starter was asked for, and died of before anything ran."""
        started = self._started.get(directory)
        if started is None or started.pid is not None or (directory / "state").exists():
            return False
        if not (directory / "spec").exists():
            return False
        with _open_lock(directory) as lock:
            _take(lock)
            self._launch(directory, lock, None)
        return True

    async def _let_go(self, directory: Path, started: _Started) -> None:
        """Wait for the end of the tether."""
        tether = os.dup(started.tether)  # one descriptor can be waited for only once at a time
        try:
            if started.pid is None and self._starter is not None:
                with anyio.move_on_after(STARTER_SECONDS):
                    await anyio.wait_readable(tether)
                    return
                if not (directory / "state").exists():
                    self._starter.kill()
            await anyio.wait_readable(tether)
        finally:
            os.close(tether)

    def _forget(self, directory: Path) -> None:
        started = self._started.pop(directory, None)
        if started is not None:
            started.forget()


def has_begun(directory: Path) -> bool:
    """Return whether a shim is at work here or was, or is just being started."""
    return is_held(directory) or (directory / "state").exists()


def is_held(directory: Path) -> bool:
    """Return whether a living shim holds the directory's lock."""
    try:
        with _open_lock(directory) as lock:
            # Shared: two lookers at once must not take each other for the shim.
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def read_exit(directory: Path) -> Exit | None:
    """Return how the job ended, or None when the shim left no word of it."""
    fields = read_fields(directory / "exit")
    if fields is None:
        return None
    return Exit(
        reason=fields["reason"],
        code=int(fields["code"]) if fields["code"] else None,
        ended_at=datetime.fromtimestamp(float(fields["ended"]), UTC),
        elapsed_seconds=float(fields["elapsed"]),
        cpu_seconds=float(fields["cpu"]),
        memory_bytes=int(fields["memory"]),
        stragglers=int(fields["swept"]),
        output_bytes=int(fields["output"]),
        stderr_bytes=int(fields["stderr"]) if fields["stderr"] else None,
        output_dropped=int(fields["dropped"]),
        disk_full=fields["disk_full"] == "1",
        limit=(fields["limit"], float(fields["limit_value"])) if fields["limit"] else None,
        message=fields["message"],
    )


def read_fields(path: Path) -> dict[str, str] | None:
    """Return the ``name=value`` lines of a shim's file, or None when it is not there."""
    try:
        text = path.read_bytes().decode("utf-8", "replace")
    except FileNotFoundError:
        return None
    # Only "\n" parts them: a message may hold any other line end, and must not forge a field.
    return dict(line.split("=", 1) for line in text.split("\n") if "=" in line)


def _write(path: Path, content: bytes) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(file, "wb") as opened:
        opened.write(content)


def _take(lock: int) -> None:
    """Lock for ourselves; a looker lets go at once, a shim does not."""
    for _ in range(_LOOKERS):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_LOOKER_SECONDS)
        else:
            return
    raise BlockingIOError("a shim is at work in this directory")


@contextlib.contextmanager
def _open_lock(directory: Path, *, create: bool = False) -> Iterator[int]:
    flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0)
    lock = os.open(directory / "lock", flags, 0o600)
    try:
        yield lock
    finally:
        os.close(lock)


@contextlib.contextmanager
def _open_process(pid: int) -> Iterator[int | None]:
    """Yield a descriptor of a process, or None when there is none."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        yield None
        return
    try:
        yield fd
    finally:
        os.close(fd)
