"""One command under its shim: what it wrote, how it ended, and what is left of it."""

import contextlib
import fcntl
import os
import resource
import signal
import sys
import threading
from pathlib import Path

import anyio
import pytest

from debug_mcp.config import IsolationPolicy
from debug_mcp.runner.starter import PROGRAM
from debug_mcp.runner.supervisor import Job, Supervisor, has_begun, is_held, read_fields
from tests.files import appears
from tests.runner.conftest import Runs, make_sandbox, only_bwrap, only_none

pytestmark = pytest.mark.anyio

FLOOD = "while :; do echo 0123456789012345678901234567890123456789; done"

# Leaves a process behind that escaped its session, its descriptors and its environment, ignores
# SIGTERM, and holds a lock on a file of the tree for as long as it lives.
DAEMON = """
import fcntl, os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        lock = open("held", "w")
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.environ.clear()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        nothing = os.open("/dev/null", os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(nothing, fd)
        open("ready", "w").close()
        time.sleep(600)
    os._exit(0)
os.wait()
while not os.path.exists("ready"):
    time.sleep(0.01)
print("left one behind", flush=True)
"""


async def test_an_exit_code_is_passed_on(runs: Runs) -> None:
    seen, _ = await runs.run("exit 7")
    assert (seen.reason, seen.code) == ("exit", 7)
    assert seen.elapsed_seconds > 0


async def test_death_by_a_signal_shows(runs: Runs) -> None:
    seen, _ = await runs.run("kill -SEGV $$")
    # The sandbox says it as a shell does; without one the kernel's word comes through.
    sandboxed = runs.sandbox.boundary.bwrap is not None
    assert seen.code == (128 + signal.SIGSEGV if sandboxed else -signal.SIGSEGV)


async def test_stdout_and_stderr_stand_in_the_order_in_which_they_were_written(runs: Runs) -> None:
    text = "".join(f"out {n}\nerr {n}\n" for n in range(200))
    _, output = await runs.run('for n in $(seq 0 199); do echo "out $n"; echo "err $n" >&2; done')
    assert output.decode() == text


async def test_reopening_standard_error_does_not_truncate_what_was_written(runs: Runs) -> None:
    _, output = await runs.run("echo one; echo two > /dev/stderr; echo three")
    assert output == b"one\ntwo\nthree\n"


async def test_bytes_that_are_no_text_are_kept_as_they_are(runs: Runs) -> None:
    _, output = await runs.run(r"printf '\377\376\000x'")
    assert output == b"\xff\xfe\x00x"


async def test_a_line_of_ten_megabytes_is_kept_whole(runs: Runs) -> None:
    seen, output = await runs.run("head -c 10000000 /dev/zero | tr '\\0' x")
    assert output == b"x" * 10_000_000
    assert (seen.output_bytes, seen.output_dropped) == (10_000_000, 0)


async def test_past_its_limit_output_is_dropped_and_the_program_goes_on(runs: Runs) -> None:
    seen, output = await runs.run("head -c 300000 /dev/zero; exit 3", output_limit=1000)
    assert (seen.reason, seen.code) == ("exit", 3)
    assert output == bytes(1000)
    assert (seen.output_bytes, seen.output_dropped) == (1000, 299_000)


async def test_a_stderr_that_is_apart_has_a_file_of_its_own(runs: Runs) -> None:
    directory = runs.start("echo one; echo two >&2; echo three > /dev/stderr", separate=True)
    seen = await runs.supervisor.wait(directory)
    assert seen is not None
    assert (directory / "output").read_bytes() == b"one\n"
    assert (directory / "stderr").read_bytes() == b"two\nthree\n"
    assert (seen.output_bytes, seen.stderr_bytes) == (14, 10)


async def test_of_one_stream_nothing_is_apart(runs: Runs) -> None:
    seen, output = await runs.run("echo one; echo two >&2")
    assert (output, seen.stderr_bytes) == (b"one\ntwo\n", None)


async def test_both_streams_share_one_limit(runs: Runs) -> None:
    command = "head -c 3000 /dev/zero; head -c 3000 /dev/zero >&2; exit 3"
    directory = runs.start(command, separate=True, output_limit=4000)
    seen = await runs.supervisor.wait(directory)
    assert seen is not None
    kept = [(directory / name).stat().st_size for name in ("output", "stderr")]
    assert (seen.code, seen.output_dropped, sum(kept)) == (3, 2000, 4000)
    assert (seen.output_bytes, seen.stderr_bytes) == (4000, kept[1])


async def test_what_writes_to_a_stderr_apart_is_not_silent(runs: Runs) -> None:
    loud = "for n in 1 2 3 4 5 6 7 8; do echo $n >&2; sleep 0.25; done"
    directory = runs.start(loud, separate=True, idle_timeout=1)
    seen = await runs.supervisor.wait(directory)
    assert seen is not None
    assert seen.reason == "exit"


async def test_where_no_more_can_be_written_output_is_dropped_and_the_program_goes_on(
    runs: Runs,
) -> None:
    waits = "until [ -e go ]; do sleep 0.01; done; head -c 300000 /dev/zero; exit 4"
    directory = runs.start(f"touch started; {waits}")
    await appears(runs.folders.tree / "started")
    state = read_fields(directory / "state")
    assert state is not None
    # A limit on the shim's files stands in for a full disk: both make the write fail.
    resource.prlimit(int(state["shim"]), resource.RLIMIT_FSIZE, (4096, 4096))
    (runs.folders.tree / "go").touch()
    seen = await runs.supervisor.wait(directory)
    assert seen is not None
    assert (seen.reason, seen.code, seen.disk_full) == ("exit", 4, True)
    assert seen.output_bytes + seen.output_dropped == 300_000
    assert (directory / "output").stat().st_size == seen.output_bytes == 4096


async def test_standard_input_is_empty(runs: Runs) -> None:
    seen, output = await runs.run("cat; echo done")
    assert (seen.code, output) == (0, b"done\n")


async def test_the_deadline_ends_a_command_and_keeps_what_it_wrote(runs: Runs) -> None:
    seen, output = await runs.run("echo before; sleep 600", timeout=0.5)
    assert (seen.reason, output) == ("timeout", b"before\n")


async def test_a_flood_of_output_does_not_keep_the_shim_from_the_deadline(runs: Runs) -> None:
    seen, _ = await runs.run(FLOOD, timeout=0.5, output_limit=1000)
    assert seen.reason == "timeout"
    assert seen.output_bytes == 1000


async def test_a_silent_command_ends_at_its_idle_deadline(runs: Runs) -> None:
    seen, output = await runs.run("echo once; sleep 600", idle_timeout=0.3)
    assert (seen.reason, output) == ("idle_timeout", b"once\n")


async def test_a_program_may_clean_up_in_its_grace_period(runs: Runs) -> None:
    trap = "trap 'echo cleaned up; exit 7' TERM; touch ready; while :; do sleep 0.05; done"
    directory = runs.start(trap, grace=30.0)
    await appears(runs.folders.tree / "ready")
    await runs.supervisor.cancel(directory)
    seen = await runs.supervisor.wait(directory)
    assert seen is not None
    assert (seen.reason, seen.code) == ("cancel", 7)
    assert b"cleaned up" in (directory / "output").read_bytes()


async def test_a_program_that_ignores_sigterm_is_killed_after_its_grace_period(runs: Runs) -> None:
    ignoring = "trap '' TERM; touch ready; while :; do sleep 0.05; done"
    directory = runs.start(ignoring, grace=0.2)
    await appears(runs.folders.tree / "ready")
    await runs.supervisor.cancel(directory)
    seen = await runs.supervisor.wait(directory)
    assert seen is not None
    assert seen.reason == "cancel"
    # The sandbox, killed from outside, has no word of its own.
    assert seen.code == -signal.SIGKILL


async def test_a_cancelled_command_says_so(runs: Runs) -> None:
    directory = runs.start("touch started; sleep 600")
    await appears(runs.folders.tree / "started")
    await runs.supervisor.cancel(directory)
    seen = await runs.supervisor.wait(directory)
    assert seen is not None
    assert seen.reason == "cancel"


async def test_a_command_cancelled_before_it_began_is_given_no_grace(runs: Runs) -> None:
    for _ in range(5):
        directory = runs.start(["sleep", "600"], grace=600.0)
        await runs.supervisor.cancel(directory)
        with anyio.fail_after(20):
            seen = await runs.supervisor.wait(directory)
        assert seen is not None
        assert seen.reason == "cancel"


async def test_cancelling_what_has_ended_changes_nothing(runs: Runs) -> None:
    directory = runs.start("exit 0")
    before = await runs.supervisor.wait(directory)
    await runs.supervisor.cancel(directory)
    assert await runs.supervisor.wait(directory) == before


@pytest.mark.parametrize("end", ["exit", "timeout", "cancel"])
async def test_nothing_that_a_command_left_behind_survives_it(runs: Runs, end: str) -> None:
    script = DAEMON if end == "exit" else f"{DAEMON}\ntime.sleep(600)"
    directory = runs.start(["python3", "-c", script], timeout=3.0 if end == "timeout" else 60.0)
    if end == "cancel":
        await appears(runs.folders.tree / "ready")
        await runs.supervisor.cancel(directory)
    seen = await runs.supervisor.wait(directory)
    assert seen is not None
    assert seen.reason == end
    assert (runs.folders.tree / "ready").exists()
    assert not _is_locked(runs.folders.tree / "held")


async def test_what_a_command_used_is_counted_inside_a_sandbox_too(runs: Runs) -> None:
    busy = "import time\nx = b'x' * 50_000_000\nwhile time.process_time() < 0.3: pass"
    seen, _ = await runs.run(["python3", "-c", busy])
    assert seen.cpu_seconds >= 0.3
    assert seen.memory_bytes >= 50_000_000
    assert seen.stragglers == 0


@only_none
async def test_what_was_left_behind_is_counted(runs: Runs) -> None:
    seen, _ = await runs.run(["python3", "-c", DAEMON])
    assert seen.stragglers == 1


@only_none
async def test_a_fault_of_the_shim_itself_leaves_no_process(runs: Runs) -> None:
    # A word in the place of a number is a fault that shows after the command was started.
    directory = runs.start(["sleep", "600"], timeout="soon")
    assert await runs.supervisor.wait(directory) is None
    assert "ValueError" in (directory / "log").read_text()
    assert processes_in(runs.folders.tree) == []


@only_bwrap
async def test_in_the_sandbox_nothing_survives_the_death_of_the_shim_either(runs: Runs) -> None:
    directory = runs.start(["python3", "-c", f"{DAEMON}\ntime.sleep(600)"])
    await appears(runs.folders.tree / "ready")
    state = read_fields(directory / "state")
    assert state is not None
    os.kill(int(state["shim"]), signal.SIGKILL)
    assert await runs.supervisor.wait(directory) is None
    with anyio.fail_after(10):
        while _is_locked(runs.folders.tree / "held"):
            await anyio.sleep(0.01)


async def test_a_program_that_is_not_there_is_named(runs: Runs) -> None:
    seen, output = await runs.run(["no-such-program"])
    assert (seen.reason, seen.code) == ("spawn_failed", None)
    assert "no-such-program" in seen.message + output.decode()


async def test_a_program_that_a_shell_does_not_find_is_the_shells_word(runs: Runs) -> None:
    seen, output = await runs.run("no-such-program")
    assert (seen.reason, seen.code) == ("exit", 127)
    assert b"no-such-program" in output


async def test_the_name_of_a_program_cannot_forge_its_end(runs: Runs) -> None:
    lines = ["reason=exit", "code=0", ""]
    for line_end in ("\n", "\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028"):
        seen, _ = await runs.run([line_end.join(["no-such-program", *lines])])
        assert (seen.reason, seen.code) == ("spawn_failed", None)


async def test_a_folder_that_is_not_there_is_a_failed_start(runs: Runs) -> None:
    seen, output = await runs.run("true", cwd="no-such-folder")
    assert seen.reason == "spawn_failed"
    assert "no-such-folder" in seen.message + output.decode()


async def test_odd_arguments_and_values_arrive_as_they_are(runs: Runs) -> None:
    odd = "a=b\nc 'd' \"e\" ü \udcff"
    seen, output = await runs.run(
        ["python3", "-c", "import os,sys; print(ascii([sys.argv[1:], os.environ['ODD']]))", odd],
        env={"ODD": odd},
    )
    assert seen.code == 0
    assert output.decode().strip() == ascii([[odd], odd])


async def test_what_would_make_two_fields_of_one_is_refused(runs: Runs) -> None:
    with pytest.raises(ValueError, match="NUL"):
        runs.start(["true", "x\0timeout=1"])


async def test_no_signal_is_ignored_that_the_command_did_not_ignore(runs: Runs) -> None:
    old = signal.signal(signal.SIGQUIT, signal.SIG_IGN)
    try:
        _, output = await runs.run("grep SigIgn /proc/self/status")
    finally:
        signal.signal(signal.SIGQUIT, old)
    standard = (1 << 31) - 1
    assert int(output.split()[1], 16) & standard == 0


async def test_a_deadline_may_be_very_far(runs: Runs) -> None:
    seen, _ = await runs.run("true", timeout=1e9, idle_timeout=1e9)
    assert (seen.reason, seen.code) == ("exit", 0)


@only_bwrap
async def test_on_a_full_disk_the_end_is_still_written(runs: Runs, tmp_path: Path) -> None:
    plain = make_sandbox(IsolationPolicy.NONE, tmp_path)
    inner = Runs(plain, runs.folders, tmp_path).program("head -c 1000000 /dev/zero; exit 5")
    job = Job(inner, timeout=30, grace=1, output_limit=1 << 30)
    (tmp_path / "spec").write_bytes(job.encode())
    # The shim in a file system of its own, which the command fills up.
    script = (
        f"cp {tmp_path}/spec /mnt/spec && {sys.executable} -I -S {PROGRAM} /mnt 3</dev/null 4<&3;"
        "cat /mnt/exit"
    )
    bwrap = runs.sandbox.boundary.bwrap
    assert bwrap is not None
    done = await anyio.run_process(
        [bwrap, "--dev-bind", "/", "/", "--size", "262144", "--tmpfs", "/mnt", "sh", "-c", script]
    )
    end = done.stdout.decode().splitlines()
    assert {"reason=exit", "code=5", "disk_full=1"} <= set(end), done.stderr.decode()


async def test_a_command_knows_only_its_own_descriptors(runs: Runs) -> None:
    leaked = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(leaked, True)
    try:
        _, output = await runs.run(
            ["python3", "-c", "import os; print(sorted(os.listdir('/proc/self/fd')))"]
        )
    finally:
        os.close(leaked)
    # 0, 1, 2, and the one that lists the folder.
    assert len(eval(output)) == 4, output


async def test_another_server_can_follow_and_cancel_what_one_started(runs: Runs) -> None:
    directory = runs.start("touch started; sleep 600")
    await appears(runs.folders.tree / "started")
    other = Supervisor()
    assert has_begun(directory)
    assert is_held(directory)
    await other.cancel(directory)
    seen = await other.wait(directory)
    assert seen is not None
    assert seen.reason == "cancel"
    assert not is_held(directory)
    assert await runs.supervisor.wait(directory) == seen


async def test_a_directory_in_which_nothing_ran_says_so(runs: Runs, tmp_path: Path) -> None:
    assert not has_begun(tmp_path / "nothing")
    assert await runs.supervisor.wait(tmp_path / "nothing") is None


async def test_a_directory_whose_server_dies_while_it_starts_a_shim_has_seen_nothing(
    tmp_path: Path,
) -> None:
    said: list[bool] = []

    async def ask() -> None:
        said.append(await Supervisor().begun(tmp_path))

    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        async with anyio.create_task_group() as askers:
            askers.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            assert said == []
            fcntl.flock(lock, fcntl.LOCK_UN)
    assert said == [False]


async def test_a_directory_in_which_a_shim_is_at_work_is_not_taken(runs: Runs) -> None:
    directory = runs.start("touch started; sleep 600")
    await appears(runs.folders.tree / "started")
    spec = (directory / "spec").read_bytes()
    other = Job(runs.program("true"), timeout=1, grace=1, output_limit=1)
    with pytest.raises(BlockingIOError):
        Supervisor().start(directory, other)
    assert (directory / "spec").read_bytes() == spec
    await runs.supervisor.cancel(directory)
    await runs.supervisor.wait(directory)


async def test_one_who_looks_does_not_prevent_a_start(runs: Runs, tmp_path: Path) -> None:
    directory = tmp_path / "data" / "commands" / "c_1"
    directory.mkdir(parents=True)
    looker = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(looker, fcntl.LOCK_SH)
    threading.Timer(0.01, os.close, [looker]).start()
    assert runs.start("exit 3") == directory
    seen = await runs.supervisor.wait(directory)
    assert seen is not None
    assert seen.code == 3


async def test_a_lock_without_a_process_to_be_seen_does_not_stop_the_server(
    runs: Runs, tmp_path: Path
) -> None:
    gone = await anyio.run_process(["sh", "-c", "echo $$"])
    (tmp_path / "state").write_text(f"format=1\nshim={int(gone.stdout)}\n")
    lock = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    ends: list[object] = []

    async def follow() -> None:
        ends.append(await runs.supervisor.wait(tmp_path))

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(follow)
            await anyio.wait_all_tasks_blocked()
            assert ends == []
            os.close(lock)
    assert ends == [None]


def processes_in(folder: Path) -> list[str]:
    """Return the processes that work in a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cwd").readlink() == folder:
                found.append(process.name)
    return found


def _is_locked(path: Path) -> bool:
    fd = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
