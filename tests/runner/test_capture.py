"""Short programs whose whole output the server needs."""

import os
import signal
from pathlib import Path

import anyio
import pytest

from debug_mcp.errors import ToolFailed
from debug_mcp.runner.capture import capture
from tests.files import appears
from tests.runner.conftest import Runs, only_none

pytestmark = pytest.mark.anyio


async def test_output_errors_and_exit_code_come_back_apart(runs: Runs) -> None:
    program = runs.program("cat; echo wrong >&2; exit 3", supervised=False)
    captured = await capture(program, b"given\n")
    assert (captured.exit_code, captured.output) == (3, b"given\n")
    assert captured.message == "wrong"


async def test_a_large_input_and_output_do_not_block_each_other(runs: Runs) -> None:
    data = bytes(range(256)) * 20_000
    captured = await capture(runs.program(["cat"], supervised=False), data)
    assert captured.output == data


async def test_a_program_that_does_not_read_its_input_is_no_fault(runs: Runs) -> None:
    captured = await capture(runs.program("exit 0", supervised=False), bytes(5_000_000))
    assert captured.exit_code == 0


async def test_output_over_the_limit_is_refused_and_the_program_killed(runs: Runs) -> None:
    program = runs.program("while :; do echo y; done", supervised=False)
    with pytest.raises(ToolFailed, match="sh wrote more than 1000 bytes"):
        await capture(program, limit=1000)


async def test_a_program_that_takes_too_long_is_killed(runs: Runs) -> None:
    with pytest.raises(ToolFailed, match=r"sleep took longer than 0\.2 s"):
        await capture(runs.program(["sleep", "600"], supervised=False), timeout=0.2)


async def test_a_cancelled_caller_leaves_no_process(runs: Runs) -> None:
    fifo = "mkfifo gate; echo $$ > pid; exec 3<>gate; touch started; read line <&3"
    program = runs.program(fifo, supervised=False)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(capture, program)
        with anyio.fail_after(20):
            while not (runs.folders.tree / "started").exists():
                await anyio.sleep(0.01)
        tasks.cancel_scope.cancel()
    # Capture has killed and reaped it: a new program finds the gate without a reader.
    check = runs.program(
        ["python3", "-c", "import os; os.open('gate', os.O_WRONLY | os.O_NONBLOCK)"],
        supervised=False,
    )
    captured = await capture(check)
    assert captured.exit_code == 1
    assert "No such device or address" in captured.message


async def test_a_program_that_cannot_be_started_is_named(runs: Runs) -> None:
    with pytest.raises(ToolFailed, match="no-such-program could not be started"):
        await capture(runs.program(["no-such-program"], supervised=False))


async def test_an_exit_code_of_one_is_the_programs_own(runs: Runs) -> None:
    captured = await capture(runs.program("echo differs >&2; exit 1", supervised=False))
    assert (captured.exit_code, captured.message) == (1, "differs")


async def test_what_it_says_on_standard_error_is_read_to_the_end_and_cut(runs: Runs) -> None:
    noise = "head -c 1000000 /dev/zero >&2; echo done"
    captured = await capture(runs.program(noise, supervised=False))
    assert captured.output == b"done\n"
    assert captured.errors == bytes(1 << 16)


@only_none
async def test_what_a_program_left_in_the_background_is_not_waited_for(runs: Runs) -> None:
    with anyio.fail_after(20):
        captured = await capture(runs.program("sleep 600 & echo $!", supervised=False))
    os.kill(int(captured.output), signal.SIGKILL)


async def test_a_call_given_up_in_the_middle_of_its_input_leaves_nothing_open(runs: Runs) -> None:
    reads_nothing = "mkfifo gate; touch started; read line <gate"
    before = len(list(Path("/proc/self/fd").iterdir()))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(capture, runs.program(reads_nothing, supervised=False), bytes(50_000_000))
        await appears(runs.folders.tree / "started")
        tasks.cancel_scope.cancel()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
