"""Servers that wake one another."""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import anyio
import pytest

from debug_mcp.app import open_services
from debug_mcp.config import Settings
from debug_mcp.service import scheduler
from debug_mcp.service.wakeups import Wakeups
from tests.service.house import House
from tests.upstream import Upstream

pytestmark = pytest.mark.anyio

# PR_SET_DUMPABLE: who changes the user may not look into /proc/self before that is set again.
_AS_NOBODY = """
import ctypes, os, pathlib, sys
from debug_mcp.service.wakeups import Wakeups
os.setgroups([]); os.setgid(65534); os.setuid(65534)
ctypes.CDLL(None).prctl(4, 1)
with Wakeups(pathlib.Path(sys.argv[1]), "ours").listening() as ours:
    ours.send()
print("sent")
"""


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_a_word_reaches_all_others_also_where_paths_are_long(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 50)
    folder.mkdir()
    one, two, three = (Wakeups(folder, name) for name in ("one", "two", "three"))
    with one.listening(), two.listening(), three.listening():
        one.send()
        one.send()
        with anyio.fail_after(5):
            await two.arrived()
            await three.arrived()
        # Two words were one; and nobody wakes itself.
        for each in (one, two, three):
            with anyio.move_on_after(0.02) as waited:
                await each.arrived()
            assert waited.cancelled_caught
    assert list(folder.iterdir()) == []


async def test_what_a_killed_server_left_is_cleared_away(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
        dead.bind(str(tmp_path / "dead.sock"))
    with Wakeups(tmp_path, "living").listening() as living:
        living.send()
    assert list(tmp_path.iterdir()) == []


async def test_servers_that_read_nothing_keep_no_word_from_the_others(tmp_path: Path) -> None:
    speaker, reader = Wakeups(tmp_path, "speaker"), Wakeups(tmp_path, "reader")
    with contextlib.ExitStack() as stack:
        stack.enter_context(speaker.listening())
        stack.enter_context(reader.listening())
        for number in range(60):
            stack.enter_context(Wakeups(tmp_path, f"stopped{number}").listening())
        with anyio.fail_after(20):
            # More than every ear holds, and more than one socket may have under way.
            for _ in range(20):
                speaker.send()
                await reader.arrived()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs two users")
def test_what_another_user_left_in_a_shared_folder_is_no_fault(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as shared:
        folder = Path(shared)
        folder.chmod(0o1777)  # each may remove what is theirs
        left = folder / "left.sock"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
            dead.bind(str(left))
        left.chmod(0o777)
        done = subprocess.run(
            [sys.executable, "-c", _AS_NOBODY, shared], capture_output=True, text=True, check=False
        )
        assert (done.stdout, done.stderr) == ("sent\n", "")
        assert list(folder.iterdir()) == [left]


async def test_where_no_socket_can_be_made_a_server_is_deaf_and_can_speak(tmp_path: Path) -> None:
    (tmp_path / "deaf.sock").touch()  # bind(2) refuses what is there
    deaf, other = Wakeups(tmp_path, "deaf"), Wakeups(tmp_path, "other")
    with deaf.listening(), other.listening():
        other.send()
        deaf.send()
        with anyio.fail_after(5):
            await other.arrived()
        with anyio.move_on_after(0.02) as waited:
            await deaf.arrived()
        assert waited.cancelled_caught


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_end_of_another_servers_command_is_heard_and_not_looked_for(
    settings: Settings, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "LOOK_SECONDS", 1000)
    async with open_services(settings) as here, open_services(settings) as there:
        one, other = House(here, settings), House(there, settings)
        session = await one.open(upstream)
        command = await one.begin(session)
        codes: list[int | None] = []

        async def wait() -> None:
            codes.append((await other.wait(command)).exit_code)

        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(wait)
                await anyio.wait_all_tasks_blocked()
                one.file(session, "go").touch()
    assert codes == [5]
