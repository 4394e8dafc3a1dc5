"""What a command may use, at each level: who uses more is ended, and nobody else."""

import os
import subprocess
import sys

import pytest

from debug_mcp.runner.limits import Limits
from tests.runner.conftest import Runs, only_bwrap

pytestmark = pytest.mark.anyio

MIB = 1 << 20
# Each child holds what its parent filled, and fills nothing itself.
SHARING = f"""
import os, time
filled = bytearray(os.urandom(1)) * (100 * {MIB})
for _ in range(5):
    if os.fork() == 0:
        time.sleep(1)
        os._exit(0)
for _ in range(5):
    os.wait()
"""
HOARDING = "import time; kept = b'x' * ({size} << 20); print('has it', flush=True); time.sleep(60)"
# The machine's own files and processes are more than these limits.
BEFORE_IT_MOVES_IN = f"""
import os, subprocess
from debug_mcp.runner.shim.child import Child
from debug_mcp.runner.shim.limits import Limits
from debug_mcp.runner.shim.spec import Spec
read, write = os.pipe()
os.set_blocking(read, False)
with subprocess.Popen(["sleep", "60"]) as first:
    os.write(write, b'{{ "child-pid": %d }}\\n' % first.pid)
    child = Child(first.pid, read)
    assert child.first() == first.pid
    limits = Limits(Spec(b"memory_bytes={200 * MIB}\\0processes=20"))
    limits.at = 0
    print(limits.met(child), limits.at > 0)
    first.kill()
"""
SPLIT = f"""
import os, time
for _ in range(4):
    if os.fork() == 0:
        kept = b'x' * (60 * {MIB})
        time.sleep(60)
        os._exit(0)
time.sleep(60)
"""


def python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


@pytest.mark.parametrize("program", [HOARDING.format(size=300), SPLIT], ids=["one", "together"])
async def test_whoever_takes_more_memory_is_ended_at_once(runs: Runs, program: str) -> None:
    seen, _ = await runs.run(python(program), limits=Limits(memory_bytes=200 * MIB))
    assert (seen.reason, seen.limit) == ("limit", ("memory_bytes", 200.0 * MIB))
    assert seen.elapsed_seconds < 30


async def test_memory_that_several_share_counts_once(runs: Runs) -> None:
    seen, said = await runs.run(python(SHARING), limits=Limits(memory_bytes=250 * MIB))
    assert (seen.reason, seen.code, said) == ("exit", 0, b"")


@only_bwrap
@pytest.mark.parametrize("folder", ["/dev/shm", "/run", "/var"])
async def test_files_in_memory_count_as_memory(runs: Runs, folder: str) -> None:
    seen, _ = await runs.run(
        f"head -c 300M /dev/zero > {folder}/file; sleep 60",
        limits=Limits(memory_bytes=200 * MIB),
    )
    assert (seen.reason, seen.limit) == ("limit", ("memory_bytes", 200.0 * MIB))


async def test_processes_that_become_too_many_are_ended(runs: Runs) -> None:
    # Ends by itself at some hundred, for the sake of the machine on which this fails.
    bomb = "f() { [ $1 -gt 0 ] && { f $(($1 - 1)) & f $(($1 - 1)) & }; sleep 60; }; f 8"
    seen, _ = await runs.run(bomb, limits=Limits(processes=50))
    assert (seen.reason, seen.limit) == ("limit", ("processes", 50.0))


async def test_children_of_other_threads_are_counted(runs: Runs) -> None:
    program = (
        "import subprocess, threading, time\n"
        "def start():\n"
        "    ten = [subprocess.Popen(['sleep', '60']) for _ in range(10)]\n"
        "    time.sleep(60)\n"
        "threading.Thread(target=start).start()"
    )
    seen, _ = await runs.run(python(program), limits=Limits(processes=8))
    assert seen.limit == ("processes", 8.0)


async def test_processor_time_of_all_processes_counts_those_that_ended_too(runs: Runs) -> None:
    seen, _ = await runs.run(
        "while :; do sh -c 'n=0; while [ $n -lt 20000 ]; do n=$((n+1)); done'; done",
        limits=Limits(cpu_seconds=0.5),
    )
    assert (seen.reason, seen.limit) == ("limit", ("cpu_seconds", 0.5))


async def test_a_file_that_grows_too_large_ends_its_writer(runs: Runs) -> None:
    seen, _ = await runs.run(
        "exec head -c 3000000 /dev/zero > large", limits=Limits(file_bytes=MIB)
    )
    assert (seen.reason, seen.limit) == ("limit", ("file_bytes", 1.0 * MIB))
    assert (runs.folders.tree / "large").stat().st_size == MIB


async def test_a_program_that_handles_the_refusal_of_a_larger_file_goes_on(runs: Runs) -> None:
    program = "open('large', 'wb', 0).write(b'x' * 3000000); print('on')"
    seen, said = await runs.run(python(program), limits=Limits(file_bytes=MIB))
    assert (seen.reason, seen.limit, said) == ("exit", None, b"on\n")


async def test_a_process_can_have_only_so_many_files_open(runs: Runs) -> None:
    program = "files = []\nwhile True: files.append(open('/dev/null'))"
    seen, said = await runs.run(python(program), limits=Limits(open_files=100))
    assert (seen.reason, seen.code) == ("exit", 1)
    assert b"Too many open files" in said


async def test_a_session_that_fills_the_disk_is_stopped(runs: Runs) -> None:
    limits = Limits(disk_bytes=50 * MIB, folder=runs.folders.tree.parent)
    writing = "while :; do head -c 5M /dev/zero >> large; sleep 0.01; done"
    seen, _ = await runs.run(writing, limits=limits)
    assert (seen.reason, seen.limit) == ("limit", ("disk_bytes", 50.0 * MIB))
    # What is there already counts for the next command too, until it is removed.
    seen, _ = await runs.run("sleep 60", limits=limits)
    assert seen.reason == "limit"
    seen, _ = await runs.run("rm large; sleep 0.5", limits=limits)
    assert seen.reason == "exit"


async def test_disk_that_one_command_took_counts_for_the_next(runs: Runs) -> None:
    limits = Limits(disk_bytes=50 * MIB, folder=runs.folders.tree.parent)
    for name in ("one", "two"):
        seen, _ = await runs.run(f"sleep 0.4; head -c 20M /dev/urandom > {name}", limits=limits)
        assert seen.reason == "exit"
    seen, _ = await runs.run("head -c 20M /dev/urandom > three; sleep 60", limits=limits)
    assert seen.limit == ("disk_bytes", 50.0 * MIB)


async def test_one_that_keeps_to_its_limits_is_not_touched(runs: Runs) -> None:
    limits = Limits(1 << 40, 1000, 1000.0, 1 << 40, 64, 1 << 40, runs.folders.tree.parent)
    seen, said = await runs.run("sleep 0.7; echo done", limits=limits)
    assert (seen.reason, seen.code, seen.limit, said) == ("exit", 0, None, b"done\n")


async def test_where_memory_is_short_the_kernel_takes_the_command_first(runs: Runs) -> None:
    _, said = await runs.run("cat /proc/self/oom_score_adj")
    assert said == b"500\n"


async def test_commands_yield_to_their_shims_and_the_server(runs: Runs) -> None:
    _, said = await runs.run("nice")
    assert int(said) == os.nice(0) + 5


def test_what_is_not_in_its_sandbox_yet_is_not_charged_with_the_machine() -> None:
    """A busy machine may need longer for a sandbox than until the first look."""
    # A process of its own: what else the tests have started is not the command's.
    measured = subprocess.run([sys.executable, "-c", BEFORE_IT_MOVES_IN], capture_output=True)
    assert (measured.stdout, measured.stderr) == (b"None True\n", b"")
