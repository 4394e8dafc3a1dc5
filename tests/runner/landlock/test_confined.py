"""What a command reaches where Landlock and seccomp confine it, on this kernel.

As whoever runs the tests, since the rules hold for root too; that the level is refused to root is
tried in ``test_options``, and what an ordinary user's commands reach in ``tests/isolation``.
"""

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from debug_mcp.errors import ToolFailed
from debug_mcp.models.sessions import Isolation
from debug_mcp.runner.boundary import Boundary
from debug_mcp.runner.capture import capture
from debug_mcp.runner.landlock import rules
from debug_mcp.runner.sandbox import Bind, Confined, Folders, Sandbox
from debug_mcp.runner.supervisor import Stdin
from debug_mcp.runner.toolchains import find_toolchains
from tests.runner.conftest import Runs

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(
        rules.version() < rules.SCOPED_ABI, reason="this kernel's Landlock is missing or too old"
    ),
]

SOCKET = "import socket; socket.socket(socket.{family}); print('made')"


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    toolchains = find_toolchains(path, Path.home())
    return Sandbox(Boundary(Isolation.LANDLOCK), toolchains, tmp_path / "data")


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A file beside the data directory."""
    path = tmp_path / "outside"
    path.write_text("not yours")
    return path


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[Path]:
    """A socket in the file system, within the session's own tree."""
    path = tmp_path / "data/sessions/s_test/tree/socket"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        yield path


async def test_a_command_writes_in_its_session_and_reads_the_system(runs: Runs) -> None:
    seen, said = await runs.run(
        "pwd; echo one > file; mkdir folder; mv file folder/; cat folder/file; "
        "echo x > $HOME/x; git init -q && git status --short && cat /etc/passwd > /dev/null"
    )
    assert seen.code == 0
    assert said.splitlines()[:3] == [str(runs.folders.tree).encode(), b"one", b"?? folder/"]


async def test_nothing_else_is_read_written_emptied_or_moved(runs: Runs, outside: Path) -> None:
    data = runs.folders.tree.parents[2]
    (data / "ledger").write_text("secret")
    for attempt in (
        f"cat {outside}", f"echo x > {outside}", f"truncate -s 0 {outside}", f"rm {outside}",
        f"mv {outside} here", f"ln {outside} here", f"cat {data}/ledger", f"ls {data}",
        f"touch {outside.parent}/new", "echo x > /etc/new", "cat /etc/shadow", "ls /tmp",
        "ls /dev/shm", "touch /dev/shm/new",
    ):  # fmt: skip
        seen, said = await runs.run(attempt)
        assert seen.code != 0, attempt
        assert b"not yours" not in said, attempt
        assert b"secret" not in said, attempt
    assert outside.read_text() == "not yours"


async def test_a_data_directory_within_a_toolchain_is_not_seen(runs: Runs, tmp_path: Path) -> None:
    (tmp_path / "beside").write_text("shown")
    (tmp_path / "data" / "ledger").write_text("secret")
    shown = runs.start(f"cat {tmp_path}/beside {tmp_path}/data/ledger", readable=[tmp_path])
    seen = await runs.supervisor.wait(shown)
    said = (shown / "output").read_bytes()
    assert seen is not None
    assert (seen.code, said.startswith(b"shown"), b"secret" in said) == (1, True, False)


async def test_nobody_outside_is_signalled(runs: Runs) -> None:
    program = f"import os; os.kill({os.getpid()}, 0)"
    seen, said = await runs.run([sys.executable, "-c", program])
    assert (seen.code, b"PermissionError" in said) == (1, True)
    # What a command has started itself, it may look after.
    seen, said = await runs.run("sleep 60 & kill $! && wait; echo ended")
    assert (seen.code, said) == (0, b"ended\n")


@pytest.mark.parametrize(
    ("family", "network", "said"),
    [
        ("AF_INET", False, "Network is unreachable"),
        ("AF_INET6", False, "Network is unreachable"),
        ("AF_INET", True, "made"),
        ("AF_UNIX", False, "Permission denied"),
        ("AF_UNIX", True, "Permission denied"),
        ("AF_NETLINK", True, "Permission denied"),
    ],
)
async def test_sockets_are_the_networks_and_only_where_that_was_given(
    runs: Runs, listening: Path, family: str, network: bool, said: str
) -> None:
    program = [sys.executable, "-c", SOCKET.format(family=family)]
    _, output = await runs.run(program, network=network)
    assert said in output.decode()


async def test_a_pair_of_sockets_and_processes_of_its_own_are_there(runs: Runs) -> None:
    program = (
        "import socket, subprocess, threading, asyncio\n"
        "a, b = socket.socketpair(); a.send(b'x'); assert b.recv(1) == b'x'\n"
        "threading.Thread(target=print, args=('thread',)).start()\n"
        "asyncio.run(asyncio.sleep(0))\n"
        "print(subprocess.run(['echo', 'child'], capture_output=True).stdout)\n"
    )
    seen, said = await runs.run([sys.executable, "-c", program])
    assert (seen.code, said) == (0, b"thread\nb'child\\n'\n")


@pytest.mark.parametrize(
    "call", ["unshare --user true", "unshare --mount true", "keyctl show", "mount -t tmpfs x ."]
)
async def test_namespaces_mounts_and_keys_are_refused(runs: Runs, call: str) -> None:
    seen, _ = await runs.run(call)
    assert seen.code != 0


async def test_a_callers_variables_do_not_reach_what_confines(
    runs: Runs, outside: Path, folders: Folders
) -> None:
    """Python would run it before anything is confined."""
    (folders.tree / "sitecustomize.py").write_text(f"print(open({str(outside)!r}).read())")
    env = {"PYTHONPATH": str(folders.tree), "PYTHONSTARTUP": "x", "LD_PRELOAD": "/nowhere.so"}
    seen, said = await runs.run("echo ran", env=env)
    assert seen.code == 0
    assert b"not yours" not in said
    assert said.count(b"nowhere.so") <= 1  # of the shell's own loader


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [("nowhere", 127, "execvp nowhere: No such file"), ("./text", 126, "Permission denied")],
)
async def test_a_program_that_cannot_be_started_is_named(
    runs: Runs, name: str, code: int, said: str
) -> None:
    (runs.folders.tree / "text").write_text("no program")
    seen, output = await runs.run([name])
    assert (seen.code, said in output.decode()) == (code, True)


async def test_a_terminal_is_the_commands_own(runs: Runs) -> None:
    seen, said = await runs.run("tty; stty size < /dev/tty; ls /dev/pts", stdin=Stdin("tty"))
    assert seen.code == 2
    assert said.startswith(b"/dev/pts/")


async def test_it_ends_whole_at_its_deadline(runs: Runs) -> None:
    seen, _ = await runs.run("sleep 61 & setsid sleep 62 & wait", timeout=0.5)
    assert seen.reason == "timeout"


async def test_what_is_captured_is_confined_and_ends_with_us(
    sandbox: Sandbox, folders: Folders, outside: Path
) -> None:
    environment = {"PATH": sandbox.toolchains.path}
    bind = Bind(outside.parent / "given", "/run/given", writable=True)
    bind.source.mkdir()

    def confined(*program: str) -> Confined:
        return sandbox.confine(
            folders, program, environment=environment, binds=[bind], supervised=False
        )

    made = await capture(confined("cat", str(outside)))
    assert (made.exit_code, made.output) == (1, b"")
    made = await capture(confined("touch", f"{sandbox.seen(bind)}/new"))
    assert (made.exit_code, (bind.source / "new").exists()) == (0, True)
    with pytest.raises(ToolFailed, match="nowhere could not be started"):
        await capture(confined("nowhere"))
