"""Short programs whose whole output the server itself needs: git, mostly.

No ledger and no queue; in the sandbox it dies with the server. For what a caller asked to run,
there is the supervisor.
"""

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

import anyio

from debug_mcp.errors import ToolFailed
from debug_mcp.models.sessions import Isolation
from debug_mcp.runner.limits import HEARING_OF_LARGE_FILES
from debug_mcp.runner.sandbox import Confined

OUTPUT_LIMIT_BYTES = 64 * 1024 * 1024
TIMEOUT_SECONDS = 60
_CHUNK = 1 << 16
_MESSAGE_BYTES = 1 << 16
_REST_CHUNKS = 16  # as much as the largest pipe holds
# How a sandbox begins what it says of itself; its exit code may be the program's own as well.
_FAULTY = (1, 126, 127)
_SANDBOX_FAULTS = {Isolation.BWRAP: b"bwrap: ", Isolation.LANDLOCK: b"landlock: "}
# In the process itself, and before what it starts: from outside it would come too late. A lower
# limit that is there already stays.
_MEMORY = "ulimit -d {} 2>/dev/null; "
_FILE = HEARING_OF_LARGE_FILES + "ulimit -f {} 2>/dev/null; "
_BLOCK = 512  # of `ulimit -f`


@dataclass(frozen=True, slots=True)
class Captured:
    """What a program wrote, and its exit code."""

    exit_code: int
    output: bytes
    errors: bytes

    @property
    def message(self) -> str:
        """What it said on standard error, as text."""
        return self.errors.decode("utf-8", "replace").strip()


async def capture(
    program: Confined,
    stdin: bytes = b"",
    *,
    into: int | None = None,
    inherited: Sequence[int] = (),
    limit: int = OUTPUT_LIMIT_BYTES,
    timeout: float = TIMEOUT_SECONDS,
    memory: int | None = None,
    file_bytes: int | None = None,
) -> Captured:
    """Run a program to its end and return what it wrote. It is killed when the caller is cancelled.

    What it writes goes to the open file ``into`` instead, if there is one, without a limit. It gets
    the descriptors ``inherited`` under their numbers. It and what it starts may each take so many
    bytes of ``memory``, files that they map not counted, and write files of ``file_bytes``.

    Raises:
        ToolFailed: It could not be started, wrote more than ``limit`` bytes, or took too long.
    """
    name = program.name
    try:
        process = _start(program, into, inherited, _limited(memory, file_bytes))
    except OSError as error:
        raise ToolFailed(f"{name} could not be started: {error.strerror}") from error
    with process:
        try:
            with anyio.fail_after(timeout):
                output, errors = await _converse(process, stdin, limit)
        except TimeoutError:
            raise ToolFailed(f"{name} took longer than {timeout:g} s") from None
        finally:
            # Waited for here, so that the end of `with` has nothing left to block on.
            with anyio.CancelScope(shield=True):
                _kill(process)
                await _ended(process.pid)
    if len(output) > limit:
        raise ToolFailed(f"{name} wrote more than {limit} bytes")
    begin = _SANDBOX_FAULTS.get(program.isolation)
    if begin is not None and process.returncode in _FAULTY and errors.startswith(begin):
        fault = errors.removeprefix(begin).decode("utf-8", "replace").strip()
        raise ToolFailed(f"{name} could not be started: {fault}")
    return Captured(process.returncode, bytes(output), bytes(errors))


def _start(
    program: Confined, into: int | None, inherited: Sequence[int], limited: Sequence[str]
) -> "subprocess.Popen[bytes]":
    """Start it here and not in a worker thread: the sandbox dies with the thread that did."""
    options = os.memfd_create("options")
    try:
        os.write(options, program.encoded_options)
        os.lseek(options, 0, os.SEEK_SET)
        return subprocess.Popen(
            [*limited, *program.command(options)],
            env=program.environment,
            cwd=program.cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if into is None else into,
            stderr=subprocess.PIPE,
            start_new_session=True,
            pass_fds=[*inherited, *([options] if program.launcher else [])],
        )
    finally:
        os.close(options)


def _limited(memory: int | None, file_bytes: int | None) -> tuple[str, ...]:
    """Return what starts a command with limits; nothing where there are none."""
    script = "" if memory is None else _MEMORY.format(memory // 1024)
    script += "" if file_bytes is None else _FILE.format(file_bytes // _BLOCK)
    return ("/bin/sh", "-c", f'{script}exec "$@"', "sh") if script else ()


async def _converse(
    process: "subprocess.Popen[bytes]", stdin: bytes, limit: int
) -> tuple[bytearray, bytearray]:
    """Feed and read all pipes at once, so that none can fill up and block the others.

    Until the program's own end, never until the end of its output: what it left in the background
    may hold that open for ever. What comes after ``limit + 1`` bytes is left unread: the caller
    sees that it is more.
    """
    if process.stdin is None or process.stderr is None:
        raise AssertionError("started with pipes")
    errors = _Stream(process.stderr, None)
    output = None if process.stdout is None else _Stream(process.stdout, limit)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_feed, process.stdin, stdin)
        tasks.start_soon(errors.follow)
        tasks.start_soon(_at_the_end_of, process.pid, tasks.cancel_scope)
        if output is not None:
            await output.follow()
            if output.is_over:
                tasks.cancel_scope.cancel()
    errors.take_rest()
    if output is None:
        return bytearray(), errors.data
    output.take_rest()
    return output.data, errors.data


async def _at_the_end_of(pid: int, scope: anyio.CancelScope) -> None:
    await _ended(pid)
    scope.cancel()


async def _feed(pipe: IO[bytes], data: bytes) -> None:
    fd = pipe.fileno()
    os.set_blocking(fd, False)
    view = memoryview(data)
    try:
        while view:
            await anyio.wait_writable(fd)
            with contextlib.suppress(BlockingIOError):
                view = view[os.write(fd, view[:_CHUNK]) :]
    except BrokenPipeError:
        pass  # it did not want to read all of it
    finally:
        pipe.close()


class _Stream:
    """One of a program's outputs.

    With a limit, reading stops just past it; without, the first bytes are kept and the others read
    and dropped.
    """

    def __init__(self, pipe: IO[bytes], limit: int | None) -> None:
        self.data = bytearray()
        self._fd = pipe.fileno()
        self._limit = limit
        os.set_blocking(self._fd, False)

    @property
    def is_over(self) -> bool:
        return self._limit is not None and len(self.data) > self._limit

    async def follow(self) -> None:
        """Read to the end, or just past the limit."""
        while not self.is_over:
            await anyio.wait_readable(self._fd)
            with contextlib.suppress(BlockingIOError):
                if not self._take():
                    return

    def take_rest(self) -> None:
        """Read what is in the pipe; bounded, as somebody may go on writing."""
        with contextlib.suppress(BlockingIOError):
            for _ in range(_REST_CHUNKS):
                if self.is_over or not self._take():
                    return

    def _take(self) -> bool:
        data = os.read(self._fd, _CHUNK)
        self.data += data if self._limit is not None else data[: _MESSAGE_BYTES - len(self.data)]
        return bool(data)


async def _ended(pid: int) -> None:
    """Wait until a child has ended, without reaping it."""
    fd = os.pidfd_open(pid)
    try:
        await anyio.wait_readable(fd)
    finally:
        os.close(fd)


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """Kill a program that has not ended, with its process group.

    What one that has ended left in the background stays: git starts its credential cache so.
    """
    if os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
