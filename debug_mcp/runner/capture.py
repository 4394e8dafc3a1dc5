"""Short programs whose whole output the server itself needs: git, mostly.

No ledger and no queue; in the sandbox it dies with the server. For what a caller asked to run,
there is the supervisor.
"""

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

import anyio

from debug_mcp.errors import ToolFailed
from debug_mcp.runner.sandbox import Confined

OUTPUT_LIMIT_BYTES = 64 * 1024 * 1024
TIMEOUT_SECONDS = 60
_CHUNK = 1 << 16
_MESSAGE_BYTES = 1 << 16


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
    limit: int = OUTPUT_LIMIT_BYTES,
    timeout: float = TIMEOUT_SECONDS,
) -> Captured:
    """Run a program to its end and return what it wrote. It is killed when the caller is cancelled.

    Raises:
        ToolFailed: It could not be started, wrote more than ``limit`` bytes, or took too long.
    """
    name = program.name
    try:
        # Started here and not in a worker thread: the sandbox dies with the thread that started it.
        process = subprocess.Popen(  # noqa: ASYNC220
            program.arguments,
            env=program.environment,
            cwd=program.cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise ToolFailed(f"{name} could not be started: {error.strerror}") from error
    with process:
        try:
            with anyio.fail_after(timeout):
                output, errors = await _converse(process, stdin, limit)
        except TimeoutError:
            raise ToolFailed(f"{name} took longer than {timeout:g} s") from None
        finally:
            _kill(process)
    if len(output) > limit:
        raise ToolFailed(f"{name} wrote more than {limit} bytes")
    return Captured(process.returncode, bytes(output), bytes(errors))


async def _converse(
    process: "subprocess.Popen[bytes]", stdin: bytes, limit: int
) -> tuple[bytearray, bytearray]:
    """Feed and read all three pipes at once, so that none can fill up and block the others.

    What comes after ``limit + 1`` bytes of output is left unread: the caller sees that it is more.
    """
    if process.stdin is None or process.stdout is None or process.stderr is None:
        raise AssertionError("started with three pipes")
    output, errors = bytearray(), bytearray()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_feed, process.stdin.fileno(), stdin, process.stdin.close)
        tasks.start_soon(_read, process.stderr.fileno(), errors, None)
        await _read(process.stdout.fileno(), output, limit)
        if len(output) > limit:
            tasks.cancel_scope.cancel()
        else:
            await _ended(process.pid)
    return output, errors


async def _feed(fd: int, data: bytes, close: Callable[[], None]) -> None:
    os.set_blocking(fd, False)
    view = memoryview(data)
    try:
        while view:
            await anyio.wait_writable(fd)
            view = view[os.write(fd, view[:_CHUNK]) :]
    except BrokenPipeError:
        pass  # it did not want to read all of it
    finally:
        close()


async def _read(fd: int, into: bytearray, limit: int | None) -> None:
    """Read to the end, or just past the limit; without one keep the first bytes and go on."""
    os.set_blocking(fd, False)
    while limit is None or len(into) <= limit:
        await anyio.wait_readable(fd)
        data = os.read(fd, _CHUNK)
        if not data:
            return
        into += data if limit is not None else data[: _MESSAGE_BYTES - len(into)]


async def _ended(pid: int) -> None:
    """Wait until a child has ended, without reaping it."""
    fd = os.pidfd_open(pid)
    try:
        await anyio.wait_readable(fd)
    finally:
        os.close(fd)


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """End what is left of its process group; it may be gone already."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
