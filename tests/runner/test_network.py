"""A session's own network: what its commands reach there, and how long it lasts."""

import contextlib
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from debug_mcp.errors import ToolFailed
from debug_mcp.runner import holder
from debug_mcp.runner.network import enter_network, find_holder
from debug_mcp.runner.supervisor import is_held
from tests.files import appears
from tests.runner.conftest import Runs, only_bwrap

pytestmark = [pytest.mark.anyio, only_bwrap]

SERVE = """
import socket
with socket.create_server(("127.0.0.1", 8000)) as server:
    open("listening", "w").close()
    connection, _ = server.accept()
    connection.sendall(b"hello from a server")
"""
ASK = """
import socket
print(socket.create_connection(("127.0.0.1", 8000), 5).recv(100).decode())
"""


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Path]:
    """Where the holder of a session's network keeps its lock."""
    folder = tmp_path / "data" / "sessions" / "s_test" / "network"
    folder.parent.mkdir(parents=True, exist_ok=True)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


async def enter(runs: Runs, network: Path) -> tuple[str, ...]:
    boundary = runs.sandbox.boundary
    assert boundary.bwrap is not None
    assert boundary.nsenter is not None, "namespaces cannot be entered here"
    return await enter_network(network, boundary.bwrap, boundary.nsenter)


async def test_a_server_of_one_command_answers_another(runs: Runs, network: Path) -> None:
    entering = await enter(runs, network)
    serving = runs.start(["python3", "-c", SERVE], entering=entering)
    await appears(runs.folders.tree / "listening")
    _, output = await runs.run(["python3", "-c", ASK], entering=await enter(runs, network))
    assert output == b"hello from a server\n"
    ended = await runs.supervisor.wait(serving)
    assert ended is not None
    assert ended.code == 0


async def test_a_server_of_another_session_is_out_of_reach(runs: Runs, network: Path) -> None:
    serving = runs.start(["python3", "-c", SERVE], entering=await enter(runs, network))
    await appears(runs.folders.tree / "listening")
    other = network.parents[1] / "s_other" / "network"
    other.parent.mkdir()
    for entering in (await enter(runs, other), ()):
        seen, output = await runs.run(["python3", "-c", ASK], entering=entering)
        assert seen.code == 1
        assert b"Connection refused" in output
    shutil.rmtree(other)
    await runs.supervisor.cancel(serving)
    await runs.supervisor.wait(serving)


async def test_the_hosts_loopback_and_abstract_sockets_are_out_of_reach(
    runs: Runs, network: Path
) -> None:
    entering = await enter(runs, network)
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(f"\0debug-mcp-test-{os.getpid()}")
        unix.listen()
        for family, address in (
            ("AF_INET", server.getsockname()),
            ("AF_UNIX", unix.getsockname()),
        ):
            ask = f"import socket; socket.socket(socket.{family}).connect({address!r})"
            seen, output = await runs.run(["python3", "-c", ask], entering=entering)
            assert seen.code == 1
            assert b"Connection refused" in output


async def test_no_command_gains_rights_over_the_network_or_another_namespace(
    runs: Runs, network: Path
) -> None:
    entering = await enter(runs, network)
    for attempt in ("unshare --user true", "ip link set lo down", "kill -0 {pid}"):
        command = attempt.format(pid=find_holder(network))
        seen, _ = await runs.run(command, entering=entering)
        assert seen.code != 0, attempt


async def test_it_is_made_once_however_many_ask_at_once(runs: Runs, network: Path) -> None:
    found: list[tuple[str, ...]] = []

    async def ask() -> None:
        found.append(await enter(runs, network))

    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(ask)
    assert len(set(found)) == 1


async def ended(pid: int) -> None:
    with anyio.fail_after(10):
        while Path(f"/proc/{pid}").exists():
            await anyio.sleep(0.01)


async def test_its_holder_ends_with_the_sessions_folder_whoever_removes_it(
    runs: Runs, network: Path
) -> None:
    await enter(runs, network)
    pid = find_holder(network)
    assert pid is not None
    assert Path(f"/proc/{pid}/cmdline").read_bytes() == b"sleep\0infinity\0"
    shutil.rmtree(network.parent)
    await ended(pid)
    assert find_holder(network) is None


async def test_without_a_holder_what_its_lock_says_does_not_count(
    runs: Runs, network: Path
) -> None:
    # As after a restart of the machine: the file is there, the process is not.
    network.mkdir(parents=True)
    (network / "lock").write_text(str(os.getpid()))
    assert find_holder(network) is None
    entering = await enter(runs, network)
    assert str(os.getpid()) not in entering
    assert is_held(network)


async def test_in_a_session_that_is_gone_none_is_made(runs: Runs, network: Path) -> None:
    shutil.rmtree(network.parent)
    with pytest.raises(ToolFailed, match="folder is gone"):
        await enter(runs, network)
    assert not network.parent.exists()


async def test_why_it_cannot_be_made_is_told(
    runs: Runs, network: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "holder.py"
    broken.write_text("import sys; sys.exit('no namespace left')")
    monkeypatch.setattr(holder, "__file__", str(broken))
    with pytest.raises(ToolFailed, match="no namespace left"):
        await enter(runs, network)


async def test_variables_and_folders_are_not_in_the_list_of_processes(
    runs: Runs, network: Path
) -> None:
    script = "touch started; until [ -e go ]; do sleep 0.01; done; ls -l /proc/self/fd"
    directory = runs.start(script, env={"A_SECRET": "hunter2"}, entering=await enter(runs, network))
    await appears(runs.folders.tree / "started")
    shown = b""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # processes come and go
            shown += path.read_bytes()
    (runs.folders.tree / "go").touch()
    await runs.supervisor.wait(directory)
    assert b"until [ -e go ]" in shown
    assert b"hunter2" not in shown
    assert b"options" not in (directory / "output").read_bytes()
