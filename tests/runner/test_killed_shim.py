"""A shim that is killed at any moment leaves nothing that runs, at either level."""

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from debug_mcp.runner.starter import Starter
from debug_mcp.runner.supervisor import Supervisor, is_held, read_fields
from tests.files import appears
from tests.runner.conftest import Runs, only_none

pytestmark = pytest.mark.anyio

KILLS = 12
LATEST_SECONDS = 0.05

# Two leave the session of their parent, one stays; all have the word in their arguments.
FAMILY = 'setsid sh -c "sleep 600; : {word}" & (setsid sh -c "sleep 600; : {word}" &); sleep 600'


@pytest.fixture(params=["forked", "direct"])
def killed(request: pytest.FixtureRequest, runs: Runs) -> Iterator[Runs]:
    """Runs whose shims are forked by a starter, or started directly."""
    starter = Starter()
    runs.supervisor = Supervisor(starter if request.param == "forked" else None)
    yield runs
    starter.end()


def running(word: str) -> list[str]:
    """Return the arguments of all processes with a word among them, the sandbox's own included."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (process / "cmdline").read_bytes()
        except OSError:  # it has just ended
            continue
        if word.encode() in arguments:
            found.append(f"{process.name} {arguments!r}")
    return found


async def shim_of(directory: Path) -> int:
    await appears(directory / "state")
    state = read_fields(directory / "state")
    assert state is not None
    return int(state["shim"])


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.mark.parametrize("seed", [1, 2])
async def test_once_the_lock_is_free_nothing_runs_whenever_the_shim_was_killed(
    killed: Runs, seed: int
) -> None:
    moments = random.Random(seed)
    for number in range(KILLS):
        word = f"word-{os.getpid()}-{seed}-{number}"
        directory = killed.start(f"{FAMILY.format(word=word)}; : {word}")
        shim = await shim_of(directory)
        moment = moments.uniform(0, LATEST_SECONDS)
        time.sleep(moment)  # noqa: ASYNC251  # exactly: it is the moment that is tried
        os.kill(shim, signal.SIGKILL)
        with anyio.fail_after(10):
            assert await killed.supervisor.wait(directory) is None
        assert not is_held(directory)
        assert running(word) == [], f"killed after {moment * 1000:.1f} ms"


@only_none
async def test_who_ends_the_shims_group_leaves_its_guard(killed: Runs) -> None:
    word = f"word-{os.getpid()}-group"
    directory = killed.start(f"{FAMILY.format(word=word)}; : {word}")
    os.killpg(await shim_of(directory), signal.SIGKILL)
    with anyio.fail_after(10):
        assert await killed.supervisor.wait(directory) is None
    assert running(word) == []


@only_none
async def test_a_guard_that_is_asked_to_end_stays_and_one_that_is_killed_takes_nothing_along(
    killed: Runs,
) -> None:
    os.mkfifo(killed.folders.tree / "go")
    directory = killed.start("touch started; read line < go; echo $line")
    await appears(killed.folders.tree / "started")
    guard = parent_of(await shim_of(directory))
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        os.kill(guard, number)
    assert parent_of(await shim_of(directory)) == guard
    os.kill(guard, signal.SIGKILL)
    await anyio.to_thread.run_sync((killed.folders.tree / "go").write_text, "went on\n")
    seen = await killed.supervisor.wait(directory)
    assert seen is not None
    assert (seen.code, (directory / "output").read_bytes()) == (0, b"went on\n")
