"""What a server makes of the work of servers that are gone."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from debug_mcp.app import open_services
from debug_mcp.config import Layout, Settings
from debug_mcp.models.base import now
from debug_mcp.models.commands import Command, CommandRun, CommandState
from debug_mcp.models.sessions import SessionState
from debug_mcp.runner.supervisor import is_held
from debug_mcp.service import scheduler
from debug_mcp.store.idempotency import Request
from tests.service.house import House, text
from tests.store.ledger import Ledger, open_ledger
from tests.upstream import Upstream

pytestmark = pytest.mark.anyio

DEAD = "0badf00d"


@contextlib.asynccontextmanager
async def a_server(settings: Settings) -> AsyncIterator[House]:
    async with open_services(settings) as services:
        yield House(services, settings)


@contextlib.asynccontextmanager
async def the_ledger(settings: Settings) -> AsyncIterator[Ledger]:
    async with open_ledger(Layout(settings.data_dir).database) as ledger:
        yield ledger


@pytest.fixture
async def session(settings: Settings, upstream: Upstream) -> str:
    """A session; the server that opened it is gone."""
    async with a_server(settings) as house:
        return await house.open(upstream)


async def claimed(settings: Settings, session: str, command: str = "echo run | tee -a runs") -> str:
    """Leave a command that a server claimed and never began."""
    async with the_ledger(settings) as ledger:
        wanted = Command(
            id="",
            session_id=session,
            principal="local",
            state=CommandState.QUEUED,
            request=CommandRun(session_id=session, command=command),
            accepted_at=now(),
        )
        accepted, _ = await ledger.commands.accept(wanted, None, 20)
        await ledger.commands.claim(DEAD, 8)
        return accepted.id


def began(settings: Settings, command: str) -> Path:
    """Leave what a shim leaves that was killed: its state, and nobody who holds the lock."""
    directory = Layout(settings.data_dir).commands / command
    directory.mkdir()
    (directory / "lock").touch()
    (directory / "state").write_text("format=1\nshim=1\nstarted=1\n")
    return directory


async def test_what_was_claimed_and_never_begun_is_started(
    settings: Settings, session: str
) -> None:
    command = await claimed(settings, session)
    async with a_server(settings) as house:
        view = await house.wait(command)
    assert (view.outcome, text(view)) == ("succeeded", "run\n")


async def test_what_was_to_be_cancelled_before_it_had_begun_is_not_started(
    settings: Settings, session: str
) -> None:
    command = await claimed(settings, session)
    async with the_ledger(settings) as ledger:
        await ledger.commands.request_cancel(command)
    async with a_server(settings) as house:
        assert (await house.wait(command)).outcome == "cancelled"
        assert not house.file(session, "runs").exists()


async def test_what_may_have_run_is_lost_and_is_not_run_again(
    settings: Settings, session: str
) -> None:
    command = await claimed(settings, session)
    began(settings, command)
    async with a_server(settings) as house:
        view = await house.wait(command)
        assert (view.outcome, view.next and view.next["tool"]) == ("lost", "command_run")
        assert not house.file(session, "runs").exists()


async def test_a_running_command_whose_files_are_gone_is_lost(
    settings: Settings, session: str
) -> None:
    command = await claimed(settings, session)
    async with the_ledger(settings) as ledger:
        await ledger.commands.started(command, now())
    async with a_server(settings) as house:
        assert (await house.wait(command)).outcome == "lost"
        assert not house.file(session, "runs").exists()


async def test_an_end_that_nobody_can_read_is_lost(settings: Settings, session: str) -> None:
    command = await claimed(settings, session)
    (began(settings, command) / "exit").write_text("format=99\n")
    async with a_server(settings) as house:
        assert (await house.wait(command)).outcome == "lost"
        assert (await house.run(session, "true")).outcome == "succeeded"


async def test_a_cancel_that_its_server_did_not_live_to_send_is_sent(
    settings: Settings, session: str
) -> None:
    async with a_server(settings) as house:
        command = await house.begin(session)
    async with the_ledger(settings) as ledger:
        await ledger.commands.request_cancel(command)
    async with a_server(settings) as house:
        assert (await house.wait(command)).outcome == "cancelled"
        assert not is_held(house.layout.commands / command)


async def test_of_servers_that_start_at_once_one_takes_over(
    settings: Settings, session: str
) -> None:
    command = await claimed(settings, session)
    outputs: list[str] = []
    all_done = anyio.Event()

    async def serve() -> None:
        async with a_server(settings) as house:
            outputs.append(text(await house.wait(command)))
            if len(outputs) == 3:
                all_done.set()
            await all_done.wait()

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(serve)
    assert outputs == ["run\n"] * 3
    tree = Layout(settings.data_dir).sessions / session / "tree"
    assert (tree / "runs").read_text() == "run\n"


async def test_the_work_of_a_living_server_stays_its_own(settings: Settings, session: str) -> None:
    async with a_server(settings) as one:
        command = await one.begin(session)
        async with the_ledger(settings) as ledger:
            owner = (await ledger.commands.get(command)).instance
            async with a_server(settings) as other:
                assert (await other.wait(command, 0)).state == "running"
                assert (await ledger.commands.get(command)).instance == owner
        one.file(session, "go").touch()
        assert (await one.wait(command)).exit_code == 5


async def test_a_server_takes_over_from_another_that_ends_beside_it(
    settings: Settings, session: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "LOOK_SECONDS", 0.05)
    async with a_server(settings) as survivor:
        async with a_server(settings) as other:
            command = await other.begin(session)
            queued = await other.queue(session, "echo next")
        survivor.file(session, "go").touch()
        assert (await survivor.wait(command)).exit_code == 5
        assert text(await survivor.wait(queued)) == "next\n"


async def test_a_half_made_session_goes_and_its_key_is_free(
    settings: Settings, session: str
) -> None:
    request = Request("local", "session_create", "key", "digest")
    async with the_ledger(settings) as ledger:
        made = await ledger.sessions.get(session)
        half = await ledger.session(
            request,
            state=SessionState.PREPARING,
            repository_id=made.repository_id,
            instance=DEAD,
        )
        folder = Layout(settings.data_dir).sessions / half.id
        (folder / "tree").mkdir(parents=True)
    async with a_server(settings):
        assert not folder.exists()
    async with the_ledger(settings) as ledger:
        assert (await ledger.sessions.get(half.id)).state is SessionState.FAILED
        assert await ledger.count("idempotency_keys") == 0


async def test_a_half_closed_session_is_open_again_with_its_work(
    settings: Settings, session: str
) -> None:
    async with a_server(settings) as house:
        await house.run(session, "echo work > work")
    async with the_ledger(settings) as ledger:
        assert await ledger.sessions.advance(session, SessionState.CLOSING, instance=DEAD)
    async with a_server(settings) as house:
        assert text(await house.run(session, "cat work")) == "work\n"


async def test_a_session_that_a_living_server_closes_is_left_alone(
    settings: Settings, session: str
) -> None:
    async with a_server(settings) as house:
        instance = house.services.sessions._instance
        async with the_ledger(settings) as ledger:
            await ledger.sessions.advance(session, SessionState.CLOSING, instance=instance)
            async with a_server(settings):
                found = await ledger.sessions.get(session)
            assert (found.state, found.instance) == (SessionState.CLOSING, instance)
