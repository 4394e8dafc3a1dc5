"""Shims forked by a starter: as those that were started directly, and none is lost with it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from debug_mcp.runner import supervisor as supervisors
from debug_mcp.runner.starter import PROGRAM, Starter
from debug_mcp.runner.supervisor import Supervisor, is_held, read_fields
from tests.files import appears
from tests.runner.conftest import Runs, only_none

pytestmark = pytest.mark.anyio


@pytest.fixture
def starter() -> Iterator[Starter]:
    starter = Starter()
    yield starter
    starter.end()


@pytest.fixture
def started(runs: Runs, starter: Starter) -> Runs:
    """Runs whose shims are forked."""
    runs.supervisor = Supervisor(starter)
    return runs


def shim_of(directory: Path) -> int:
    state = read_fields(directory / "state")
    assert state is not None
    return int(state["shim"])


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def pid_of(starter: Starter) -> int:
    assert starter.pid is not None
    return starter.pid


async def ended(pid: int) -> None:
    """Wait for a process's end; it may have been reaped."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    with anyio.fail_after(10):
        await anyio.wait_readable(process)
    os.close(process)


async def test_a_forked_shim_does_what_another_does(started: Runs, starter: Starter) -> None:
    directory = started.start("cat; echo to stderr >&2; exit 7")
    seen = await started.supervisor.wait(directory)
    assert seen is not None
    assert (seen.reason, seen.code) == ("exit", 7)
    assert (directory / "output").read_bytes() == b"to stderr\n"
    assert (directory / "log").read_bytes() == b""
    assert starter.pid is not None


async def test_one_starter_forks_all_shims(started: Runs, starter: Starter) -> None:
    directories = [started.start("sleep 600") for _ in range(3)]
    for directory in directories:
        await appears(directory / "state")
        guard = parent_of(shim_of(directory))
        assert parent_of(guard) == starter.pid
        await started.supervisor.cancel(directory)
        seen = await started.supervisor.wait(directory)
        assert seen is not None
        assert seen.reason == "cancel"
        assert not is_held(directory)


@only_none
async def test_a_starter_leaves_no_dead_children(started: Runs, starter: Starter) -> None:
    await started.run("true")
    process = pid_of(starter)
    with anyio.fail_after(10):  # the kernel reaps a moment after the tether is gone
        while Path(f"/proc/{process}/task/{process}/children").read_text():
            await anyio.sleep(0.001)


@only_none
async def test_a_starter_has_nothing_of_the_servers(started: Runs, starter: Starter) -> None:
    await started.run("true")
    descriptors = Path(f"/proc/{pid_of(starter)}/fd")
    null = {(descriptors / str(number)).readlink() for number in range(3)}
    assert null == {Path("/dev/null")}
    # Its end of the channel is the only other; the shim's two are closed after each fork.
    with anyio.fail_after(10):
        while len(list(descriptors.iterdir())) != 4:
            await anyio.sleep(0.001)
    environment = Path(f"/proc/{pid_of(starter)}/environ").read_bytes()
    assert environment == b""


async def test_a_shim_outlives_its_starter(started: Runs, starter: Starter) -> None:
    os.mkfifo(started.folders.tree / "go")
    directory = started.start("touch started; read line < go; echo $line", timeout=60)
    await appears(started.folders.tree / "started")
    first = pid_of(starter)
    os.kill(first, signal.SIGKILL)
    await ended(first)
    # And the next command gets another starter.
    _, output = await started.run("echo next")
    assert output == b"next\n"
    assert starter.pid not in (None, first)
    await anyio.to_thread.run_sync((started.folders.tree / "go").write_text, "went on\n")
    seen = await started.supervisor.wait(directory)
    assert seen is not None
    assert (seen.code, (directory / "output").read_bytes()) == (0, b"went on\n")


@only_none
async def test_what_a_starter_died_of_before_it_began_is_started_directly(
    started: Runs, starter: Starter
) -> None:
    await started.run("true")
    process = pid_of(starter)
    os.kill(process, signal.SIGSTOP)
    directory = started.start("echo once >> count; cat count")
    assert is_held(directory)  # by the message that waits
    os.kill(process, signal.SIGKILL)
    seen = await started.supervisor.wait(directory)
    assert seen is not None
    assert (seen.code, (directory / "output").read_bytes()) == (0, b"once\n")


@only_none
async def test_what_was_not_begun_can_be_cancelled(started: Runs, starter: Starter) -> None:
    await started.run("true")
    process = pid_of(starter)
    os.kill(process, signal.SIGSTOP)
    directory = started.start("sleep 600")
    os.kill(process, signal.SIGKILL)
    await ended(process)
    await started.supervisor.cancel(directory)
    seen = await started.supervisor.wait(directory)
    assert seen is not None
    assert seen.reason == "cancel"


@only_none
async def test_a_stopped_starter_is_replaced(
    started: Runs, starter: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    await started.run("true")
    process = pid_of(starter)
    os.kill(process, signal.SIGSTOP)
    # Only now: on a busy machine the first shim may take longer than that.
    monkeypatch.setattr(supervisors, "STARTER_SECONDS", 0.05)
    seen, output = await started.run("echo here")
    assert (seen.code, output) == (0, b"here\n")
    assert not Path(f"/proc/{process}").exists()


@only_none
async def test_where_no_starter_can_be_had_shims_start_directly(
    started: Runs, starter: Starter
) -> None:
    class Refusing(Starter):
        def _begin(self) -> None:  # type: ignore[override]
            raise OSError(11, "no more processes")

    started.supervisor = Supervisor(Refusing())
    seen, output = await started.run("echo here")
    assert (seen.code, output) == (0, b"here\n")


_SERVER = """
import os, sys
from pathlib import Path
from debug_mcp.runner.starter import Starter
from debug_mcp.runner.supervisor import _take, _open_lock

starter = Starter()
directory = Path(sys.argv[1])
with _open_lock(directory, create=True) as lock:
    _take(lock)
    assert starter.start(directory, lock, os.open(os.devnull, os.O_WRONLY))
print(starter.pid, flush=True)
sys.stdin.read()
"""


@only_none
async def test_a_starter_ends_with_a_killed_server_and_the_shims_do_not(
    started: Runs, tmp_path: Path
) -> None:
    job = started.start("true")
    await started.supervisor.wait(job)
    directory = tmp_path / "data" / "commands" / "another"
    directory.mkdir()
    for name in ("options", "spec"):
        spec = (job / name).read_bytes().replace(b"arg=true", b"arg=touch ran; read x < go")
        (directory / name).write_bytes(spec)
    go = started.folders.tree / "go"
    os.mkfifo(go)
    with subprocess.Popen(  # noqa: ASYNC220  # killed in this block
        [sys.executable, "-c", _SERVER, str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(PROGRAM).parents[3],
    ) as server:
        assert server.stdout is not None
        pid = int(await anyio.to_thread.run_sync(server.stdout.readline))
        server.kill()  # before the starter has loaded: what was asked is done all the same
    await appears(started.folders.tree / "ran")
    await ended(pid)
    await anyio.to_thread.run_sync(go.write_text, "x\n")
    seen = await Supervisor().wait(directory)
    assert seen is not None
    assert seen.code == 0
