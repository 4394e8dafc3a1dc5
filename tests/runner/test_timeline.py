"""When what was written: noted by a shim, and looked up by offset."""

from pathlib import Path

import anyio
import pytest

from debug_mcp.runner.output import size
from debug_mcp.runner.shim.timeline import ENTRY_BYTES
from debug_mcp.runner.supervisor import Exit
from debug_mcp.runner.timeline import written_after
from tests.files import appears
from tests.runner.conftest import Runs

pytestmark = pytest.mark.anyio

SILENCE = 0.6
NEARLY = 0.5


async def ended(runs: Runs, command: str, **more: object) -> tuple[Path, Exit]:
    directory = runs.start(command, **more)
    seen = await runs.supervisor.wait(directory)
    assert seen is not None
    return directory / "output", seen


def times(path: Path, *offsets: int) -> list[float]:
    return [-1.0 if after is None else after for after in written_after(path, list(offsets))]


async def test_each_line_has_the_time_at_which_it_was_written(runs: Runs) -> None:
    command = f"echo 1; sleep {SILENCE}; echo 2; sleep {SILENCE}; echo 3"
    path, seen = await ended(runs, command)
    first, second, third = times(path, 0, 2, 4)
    assert 0 <= first <= second - NEARLY <= third - 2 * NEARLY
    assert third <= seen.elapsed_seconds + 0.2


async def test_what_comes_just_before_a_silence_is_not_taken_for_what_comes_after(
    runs: Runs,
) -> None:
    path, _ = await ended(runs, f"echo 1; sleep 0.02; echo 2; sleep {SILENCE}; echo 3")
    first, second, third = times(path, 0, 2, 4)
    assert first <= second <= third - NEARLY


async def test_the_last_line_of_a_running_command_has_its_time_too(runs: Runs) -> None:
    command = "sleep 0.3; echo 1; sleep 0.02; echo 2; touch said; until [ -e go ]; do :; done"
    directory = runs.start(command)
    await appears(runs.folders.tree / "said")
    path = directory / "output"
    with anyio.fail_after(10):
        while size(path) < 4:
            await anyio.lowlevel.checkpoint()
    first, second = times(path, 0, 2)
    assert 0.2 < first <= second
    (runs.folders.tree / "go").touch()
    assert await runs.supervisor.wait(directory) is not None


async def test_however_much_is_written_few_times_are_noted(runs: Runs) -> None:
    command = "timeout 1 sh -c 'while :; do echo 0123456789; done'; true"
    path, seen = await ended(runs, command, output_limit=1 << 30)
    entries = path.with_name("timeline").stat().st_size / ENTRY_BYTES
    assert entries <= seen.elapsed_seconds * 10 + 2
    assert size(path) > 10_000


async def test_what_is_not_there_has_no_time(runs: Runs) -> None:
    path, _ = await ended(runs, "echo 1")
    assert written_after(path, [2, 100]) == [None, None]
    assert written_after(path.with_name("nowhere"), [0]) == [None]


async def test_a_silent_command_has_no_timeline(runs: Runs) -> None:
    path, _ = await ended(runs, "true")
    assert not path.with_name("timeline").exists()


async def test_streams_that_are_apart_have_times_of_their_own(runs: Runs) -> None:
    command = f"echo 1; sleep {SILENCE}; echo 2 >&2"
    path, _ = await ended(runs, command, separate=True)
    [out], [err] = times(path, 0), times(path.with_name("stderr"), 0)
    assert out <= err - NEARLY


async def test_a_timeline_that_is_cut_or_gone_costs_no_answer(runs: Runs) -> None:
    path, _ = await ended(runs, "echo 1; sleep 0.3; echo 2")
    timeline = path.with_name("timeline")
    timeline.write_bytes(timeline.read_bytes()[: ENTRY_BYTES + 3])
    first, second = times(path, 0, 2)
    assert first <= second
    timeline.unlink()
    assert times(path, 0)[0] >= 0
