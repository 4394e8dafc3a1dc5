"""Starts shims, follows them, and finds them again after a restart.

A command's directory holds its whole truth: ``spec``, ``options`` (the sandbox's), ``lock``,
``state``, ``output``, ``exit`` (see ``runner.shim``). Nothing here is remembered that the directory
does not say, except which shims are our own children and must be reaped.
"""

import contextlib
import fcntl
import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import anyio

from debug_mcp.runner import shim
from debug_mcp.runner.sandbox import Confined
from debug_mcp.runner.shim.spec import CHANNEL_FD, FORMAT, LOCK_FD, OPTIONS_FD

# The program of a shim: see ``runner.shim``.
SHIM = str(Path(shim.__file__).with_name("__main__.py"))
# A shim that has its lock writes `state` within milliseconds; this is how often we look.
_STATE_PAUSE_SECONDS = 0.005
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
    """A program and its limits: seconds and bytes."""

    program: Confined
    timeout: float
    grace: float
    output_limit: int
    idle_timeout: float | None = None
    stdin: Stdin = NO_STDIN

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
    """What the shim saw. ``reason`` is exit, timeout, idle_timeout, cancel, hangup or spawn_failed.

    ``code`` is negative for a signal; None when the command never ran or left no status.
    """

    reason: str
    code: int | None
    ended_at: datetime
    elapsed_seconds: float
    cpu_seconds: float
    memory_bytes: int
    stragglers: int
    output_bytes: int
    output_dropped: int
    disk_full: bool
    message: str


class Supervisor:
    """Starts and follows shims."""

    def __init__(self) -> None:
        self._children: dict[Path, int] = {}

    def start(self, directory: Path, job: Job, channel: int | None = None) -> None:
        """Start a job in a directory that does not exist yet, or in which nothing ran.

        Args:
            directory: Where it is to be.
            job: What to run.
            channel: A socket, its number above 4, that becomes its standard input and output,
                instead of what the job says of them; the job is ended when the other end is closed.

        Raises:
            ValueError: The job holds a NUL.
            OSError: The directory cannot be written; BlockingIOError: a shim is at work in it.
        """
        content = job.encode()
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _open_lock(directory, create=True) as lock:
            # The lock belongs to the open file, which the shim inherits: when we close our
            # descriptor, it is held exactly as long as the shim lives.
            _take(lock)
            if job.stdin.text is not None:
                _write(directory / "stdin", job.stdin.text.encode("utf-8", "surrogateescape"))
            _write(directory / "options", job.program.encoded_options)
            _write(directory / "spec", content)
            log = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            self._children[directory] = os.posix_spawn(
                sys.executable,
                [
                    sys.executable,
                    "-I",
                    "-S",
                    SHIM,
                    str(directory),
                    *(["channel"] if channel is not None else []),
                ],
                {},
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 2, str(directory / "log"), log, 0o600),
                    (os.POSIX_SPAWN_DUP2, lock, LOCK_FD),
                    # Last: the lock may have had this number.
                    *([] if channel is None else [(os.POSIX_SPAWN_DUP2, channel, CHANNEL_FD)]),
                ],
                setsid=True,
                setsigmask=[],
            )

    async def wait(self, directory: Path) -> Exit | None:
        """Wait until a started job has ended, whoever started it; None when its end is lost."""
        while (pid := await self._shim(directory)) is not None:
            with _open_process(pid) as process:
                # Held still: so the number was not given to another process meanwhile.
                if process is not None and is_held(directory):
                    await anyio.wait_readable(process)
                else:
                    await anyio.sleep(_STATE_PAUSE_SECONDS)
        self._reap(directory)
        return read_exit(directory)

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
        while is_held(directory):
            state = read_fields(directory / "state")
            if state is not None:
                return int(state["shim"])
            await anyio.sleep(_STATE_PAUSE_SECONDS)
        return None

    def _reap(self, directory: Path) -> None:
        pid = self._children.pop(directory, None)
        if pid is not None:
            # Nobody's child where the server was started with SIGCHLD ignored.
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def has_begun(directory: Path) -> bool:
    """Return whether a shim is at work here or was: if not, nothing ever ran."""
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
        output_dropped=int(fields["dropped"]),
        disk_full=fields["disk_full"] == "1",
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
