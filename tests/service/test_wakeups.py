"""Servers that wake one another."""

import socket
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
