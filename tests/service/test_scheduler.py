"""The queue at work, with real processes."""

import contextlib
import logging
import sqlite3

import anyio
import pytest

from debug_mcp.app import open_services
from debug_mcp.config import Settings
from debug_mcp.errors import Busy, Conflict, DebugMcpError
from debug_mcp.runner.supervisor import is_held
from debug_mcp.service import scheduler
from debug_mcp.store import database
from tests.files import appears
from tests.service.house import GATED, House, text
from tests.upstream import FIX, Upstream

pytestmark = pytest.mark.anyio


async def test_the_commands_of_a_session_run_in_the_order_in_which_they_were_accepted(
    house: House, upstream: Upstream
) -> None:
    session = await house.open(upstream)
    first = await house.begin(session, f"{GATED}; true")
    waiting = [await house.queue(session, f"echo {number} >> order") for number in range(5)]
    assert {(await house.wait(command, 0)).state for command in waiting} == {"queued"}
    house.file(session, "go").touch()
    last = await house.run(session, "cat order")
    assert text(last).split() == ["0", "1", "2", "3", "4"]
    assert (await house.wait(first, 0)).state == "finished"


async def test_sessions_run_beside_one_another(house: House, upstream: Upstream) -> None:
    one, other = await house.open(upstream), await house.open(upstream)
    commands = [await house.begin(one), await house.begin(other)]
    # Both have started and neither has ended: each waits for its own file.
    for session in (one, other):
        house.file(session, "go").touch()
    assert [(await house.wait(command)).exit_code for command in commands] == [5, 5]


async def test_a_parallel_command_runs_beside_the_queue_of_its_session(
    house: House, upstream: Upstream
) -> None:
    session = await house.open(upstream)
    first = await house.begin(session)
    behind = await house.queue(session, "true")
    beside = await house.run(session, "touch go; echo beside", parallel=True)
    assert (beside.outcome, text(beside)) == ("succeeded", "beside\n")
    assert (await house.wait(first)).exit_code == 5
    assert (await house.wait(behind)).outcome == "succeeded"


async def test_no_more_run_at_once_than_the_limit_over_all_sessions(
    settings: Settings, upstream: Upstream
) -> None:
    settings = settings.model_copy(update={"running_commands": 1})
    async with open_services(settings) as services:
        house = House(services, settings)
        one, other = await house.open(upstream), await house.open(upstream)
        first = await house.begin(one)
        second = await house.queue(other, "touch ran")
        waits = await house.wait(second, 0)
        assert (waits.state, waits.next and waits.next["tool"]) == ("queued", "command_wait")
        # Something else happens, and it is still not its turn.
        with pytest.raises(DebugMcpError):
            await house.run("s_none", "true")
        assert (await house.wait(second, 0.3)).state == "queued"
        assert not house.file(other, "ran").exists()
        house.file(one, "go").touch()
        assert (await house.wait(second)).outcome == "succeeded"
        assert (await house.wait(first, 0)).exit_code == 5


async def test_a_full_queue_refuses_until_there_is_room(
    settings: Settings, upstream: Upstream
) -> None:
    settings = settings.model_copy(update={"queued_commands": 1})
    async with open_services(settings) as services:
        house = House(services, settings)
        session = await house.open(upstream)
        await house.begin(session)
        waiting = await house.queue(session, "true")
        with pytest.raises(Busy, match="1 commands are queued in this session"):
            await house.queue(session, "true")
        await house.cancel(waiting)
        await house.queue(session, "true")
        house.file(session, "go").touch()


async def test_ten_simultaneous_calls_with_one_key_run_one_command(
    house: House, upstream: Upstream
) -> None:
    session = await house.open(upstream)
    answers: list[tuple[str, str]] = []

    async def call(number: int) -> None:
        # How long a caller waits is no part of what it asks for.
        view = await house.run(
            session, "echo run | tee -a runs", idempotency_key="k", wait_seconds=20 + number
        )
        answers.append((view.command_id, text(view)))

    async with anyio.create_task_group() as tasks:
        for number in range(10):
            tasks.start_soon(call, number)
    assert len(answers) == 10
    [(_, said)] = set(answers)
    assert said == "run\n"
    assert house.file(session, "runs").read_text() == "run\n"


async def test_a_key_with_other_arguments_is_a_conflict(house: House, upstream: Upstream) -> None:
    session = await house.open(upstream)
    done = await house.run(session, "echo one", idempotency_key="k")
    with pytest.raises(Conflict, match=f"was used for {done.command_id} with other arguments"):
        await house.run(session, "echo two", idempotency_key="k")


async def test_a_queued_command_that_is_cancelled_never_runs(
    house: House, upstream: Upstream
) -> None:
    session = await house.open(upstream)
    first = await house.begin(session)
    queued = await house.queue(session, "touch ran")
    cancelled = await house.cancel(queued)
    assert (cancelled.state, cancelled.outcome) == ("finished", "cancelled")
    house.file(session, "go").touch()
    assert (await house.wait(first)).exit_code == 5
    assert (await house.run(session, "ls ran")).outcome == "failed"


async def test_a_running_command_that_is_cancelled_leaves_no_process(
    house: House, upstream: Upstream
) -> None:
    session = await house.open(upstream)
    # One child does not listen to SIGTERM, and has left the process group.
    command = await house.begin(session, f"setsid sh -c 'trap \"\" TERM; sleep 600' & {GATED}")
    cancelled = await house.cancel(command)
    assert (cancelled.state, cancelled.outcome) == ("finished", "cancelled")
    assert not is_held(house.layout.commands / command)
    # The session goes on.
    assert (await house.run(session, "true")).outcome == "succeeded"


async def test_cancelling_again_changes_nothing(house: House, upstream: Upstream) -> None:
    session = await house.open(upstream)
    done = await house.run(session, "exit 3")
    again = await house.cancel(done.command_id)
    assert (again.outcome, again.exit_code) == ("failed", 3)


@pytest.mark.parametrize(
    ("limit", "outcome"),
    [("timeout_seconds", "timed_out"), ("idle_timeout_seconds", "idle_timed_out")],
)
async def test_a_command_that_takes_too_long_is_ended_and_says_which_limit_it_met(
    house: House, upstream: Upstream, limit: str, outcome: str
) -> None:
    session = await house.open(upstream)
    view = await house.run(session, "sleep 600", **{limit: 0.2})
    assert (view.outcome, view.limit and view.limit.name) == (outcome, limit)


async def test_a_command_that_cannot_start_does_not_hold_up_the_next(
    house: House, upstream: Upstream
) -> None:
    session = await house.open(upstream)
    failed = await house.run(session, ["no-such-program"])
    assert failed.outcome == "spawn_failed"
    assert (await house.run(session, "true")).outcome == "succeeded"


async def test_closing_a_session_ends_its_commands(house: House, upstream: Upstream) -> None:
    session = await house.open(upstream)
    running = await house.begin(session)
    queued = await house.queue(session, "touch ran")
    await house.close(session)
    for command in (running, queued):
        assert (await house.wait(command, 0)).outcome == "cancelled"
    assert not (house.layout.sessions / session).exists()
    with pytest.raises(Conflict, match=f"session {session} is closed"):
        await house.run(session, "true")


async def test_a_session_that_cannot_be_made_leaves_no_folder_and_frees_its_key(
    house: House, upstream: Upstream
) -> None:
    wrong = FIX.replace("a - b", "a * b")
    with pytest.raises(DebugMcpError):
        await house.open(upstream, patch=wrong, idempotency_key="k")
    assert list(house.layout.sessions.iterdir()) == []
    view = await house.opened(upstream, patch=FIX, idempotency_key="k")
    assert view.patch is not None
    assert view.patch.files == ["calculator.py"]


async def test_every_waiter_is_woken_by_the_end_and_nothing_is_kept_of_them(
    house: House, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nobody looks at the ledger by the clock: who is not woken waits for too long.
    monkeypatch.setattr(scheduler, "LOOK_SECONDS", 1000)
    session = await house.open(upstream)
    command = await house.begin(session)
    codes: list[int | None] = []

    async def wait() -> None:
        codes.append((await house.wait(command)).exit_code)

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(wait)
            assert (await house.wait(command, 0.1)).state == "running"
            house.file(session, "go").touch()
    assert codes == [5] * 5
    assert house.services.commands._scheduler._waiting == {}


async def test_a_waiter_that_gives_up_leaves_nothing_behind(
    house: House, upstream: Upstream
) -> None:
    session = await house.open(upstream)
    command = await house.begin(session)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(house.wait, command)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    assert house.services.commands._scheduler._waiting == {}
    house.file(session, "go").touch()
    assert (await house.wait(command)).exit_code == 5


async def test_an_end_that_the_ledger_cannot_be_told_is_shown_and_is_stored_later(
    settings: Settings,
    upstream: Upstream,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(scheduler, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(database, "BUSY_MILLISECONDS", 20)
    caplog.set_level(logging.WARNING, scheduler.__name__)
    async with open_services(settings) as services:
        house = House(services, settings)
        session = await house.open(upstream)
        command = await house.begin(session)
        with contextlib.closing(
            sqlite3.connect(house.layout.database, isolation_level=None)
        ) as other:
            other.execute("BEGIN IMMEDIATE")
            house.file(session, "go").touch()
            await appears(house.layout.commands / command / "exit")
            with anyio.fail_after(20):
                while f"command {command} cannot be followed" not in caplog.text:
                    await anyio.sleep(0.01)
            unstored = await house.wait(command, 0)
            assert (unstored.state, unstored.exit_code) == ("finished", 5)
            with pytest.raises(Busy):
                await house.run(session, "true")
            other.execute("ROLLBACK")
        ended = await house.wait(command)
        assert (ended.outcome, ended.exit_code) == ("failed", 5)
        assert (await house.run(session, "true")).outcome == "succeeded"


async def test_a_command_waits_for_a_place_only_where_all_are_taken(
    settings: Settings, upstream: Upstream
) -> None:
    async with open_services(settings.model_copy(update={"running_commands": 1})) as services:
        house = House(services, settings)
        first, second = await house.open(upstream), await house.open(upstream)
        at_once = await house.run(first, "true", wait_seconds=0)
        assert at_once.queue is None
        await house.wait(at_once.command_id)
        await house.begin(first)
        waiting = await house.run(second, "true", wait_seconds=0)
        assert waiting.queue is not None
        assert (waiting.queue.ahead, waiting.queue.places) == (0, 1)
        house.file(first, "go").touch()
        assert (await house.wait(waiting.command_id)).outcome == "succeeded"
