"""The queue and the ledger of commands."""

from dataclasses import replace
from datetime import timedelta

import anyio
import pytest

from debug_mcp.errors import Busy, Conflict
from debug_mcp.models.base import Owner, now
from debug_mcp.models.commands import Command, CommandRun, CommandState, Outcome
from debug_mcp.models.sessions import SessionState
from debug_mcp.store.commands import End, Wanted
from debug_mcp.store.idempotency import Request
from tests.store.ledger import MIDDAY, Ledger

pytestmark = pytest.mark.anyio

REQUEST = Request("local", "command_run", "key", "digest")


async def test_a_command_comes_back_as_it_was_accepted(ledger: Ledger) -> None:
    session = await ledger.session()
    asked = CommandRun(
        session_id=session.id, command="echo 'é\t' | cat", env={"A": "1"}, timeout_seconds=3
    )
    accepted, new = await ledger.accept(session, request=None, accepted_at=MIDDAY)
    assert new
    assert await ledger.commands.get(accepted.id) == accepted
    assert accepted.accepted_at == MIDDAY
    other = await ledger.commands.accept(replace(accepted, request=asked), None, 20)
    assert (await ledger.commands.get(other[0].id)).request == asked


async def test_the_whole_life_of_a_command_is_kept(ledger: Ledger) -> None:
    command = await ledger.command(await ledger.session())
    assert await ledger.claimed("one") == command.id
    assert await ledger.commands.started(command.id, MIDDAY)
    end = End(
        outcome=Outcome.FAILED,
        ended_at=MIDDAY + timedelta(seconds=2),
        exit_code=3,
        elapsed_seconds=2.5,
        cpu_seconds=0.5,
        memory_bytes=1024,
        stragglers=1,
        output_bytes=10,
        output_dropped=5,
        message="said so",
    )
    assert await ledger.commands.finish(command.id, end)
    assert await ledger.commands.get(command.id) == replace(
        command,
        state=CommandState.FINISHED,
        instance="one",
        started_at=MIDDAY,
        outcome=Outcome.FAILED,
        ended_at=MIDDAY + timedelta(seconds=2),
        exit_code=3,
        elapsed_seconds=2.5,
        cpu_seconds=0.5,
        memory_bytes=1024,
        stragglers=1,
        output_bytes=10,
        output_dropped=5,
        message="said so",
    )


async def test_a_session_runs_one_command_at_a_time_in_the_order_of_acceptance(
    ledger: Ledger,
) -> None:
    session = await ledger.session()
    commands = [await ledger.command(session) for _ in range(3)]
    for command in commands:
        assert await ledger.claimed() == command.id
        assert await ledger.claimed() is None
        await ledger.commands.started(command.id, now())
        assert await ledger.claimed() is None
        await ledger.finish(command)
    assert await ledger.claimed() is None


async def test_the_order_of_acceptance_holds_when_the_clock_is_set_back(ledger: Ledger) -> None:
    session = await ledger.session()
    first = await ledger.command(session, accepted_at=MIDDAY)
    second = await ledger.command(session, accepted_at=MIDDAY - timedelta(hours=1))
    third = await ledger.command(session, accepted_at=MIDDAY)
    assert first.accepted_at < second.accepted_at < third.accepted_at
    ids = [command.id for command in await ledger.commands.unfinished(session.id)]
    assert ids == [first.id, second.id, third.id]
    assert await ledger.claimed() == first.id


async def test_of_several_sessions_the_one_that_waits_longest_is_next(ledger: Ledger) -> None:
    sessions = [await ledger.session() for _ in range(3)]
    # One session asked for a lot before the others came.
    many = [await ledger.command(sessions[0]) for _ in range(5)]
    one, other = [await ledger.command(session) for session in sessions[1:]]
    assert [await ledger.claimed() for _ in range(4)] == [many[0].id, one.id, other.id, None]


async def test_a_parallel_command_waits_for_none_of_its_session_and_none_for_it(
    ledger: Ledger,
) -> None:
    session = await ledger.session()
    asked = CommandRun(session_id=session.id, command="true", parallel=True)
    first, behind = [await ledger.command(session) for _ in range(2)]
    beside = replace(first, request=asked)
    one, other = [(await ledger.commands.accept(beside, None, 20))[0] for _ in range(2)]
    assert [await ledger.claimed() for _ in range(4)] == [first.id, one.id, other.id, None]
    assert await ledger.commands.ahead(behind) == [first.id]
    assert await ledger.commands.ahead(one) == []
    await ledger.finish(first)
    assert await ledger.claimed() == behind.id


async def test_where_places_are_few_principals_and_sessions_take_turns(ledger: Ledger) -> None:
    alice = [await ledger.session(principal="alice") for _ in range(2)]
    bob = await ledger.session(principal="bob")
    # Alice asked for everything before Bob came.
    first, second = [[await ledger.command(session) for _ in range(3)] for session in alice]
    his = [await ledger.command(bob) for _ in range(2)]
    order = []
    for turn in range(8):
        [command_id] = [await ledger.claimed(running_limit=1)]
        assert command_id is not None
        command = await ledger.commands.get(command_id)
        await ledger.commands.started(command.id, MIDDAY + timedelta(seconds=turn))
        await ledger.finish(command)
        order.append(command.id)
    turns = [first[0], his[0], second[0], his[1], first[1], second[1], first[2], second[2]]
    assert order == [command.id for command in turns]


async def test_of_the_waiting_the_principal_with_the_fewest_running_is_next(
    ledger: Ledger,
) -> None:
    many = [await ledger.command(await ledger.session(principal="alice")) for _ in range(4)]
    his = await ledger.command(await ledger.session(principal="bob"))
    assert [await ledger.claimed(running_limit=3) for _ in range(4)] == [
        many[0].id,
        his.id,
        many[1].id,
        None,
    ]


async def test_commands_are_listed_newest_first_page_by_page(ledger: Ledger) -> None:
    session, other = await ledger.session(), await ledger.session()
    ids = [(await ledger.command(session)).id for _ in range(5)]
    apart = await ledger.command(other)
    await ledger.finish(await ledger.commands.get(ids[0]), Outcome.FAILED)
    everything = Wanted()
    page = await ledger.commands.page(Owner("local"), everything, None, 4)
    assert [command.id for command in page] == [apart.id, *ids[:1:-1]]
    rest = await ledger.commands.page(Owner("local"), everything, page[-1], 4)
    assert [command.id for command in rest] == [ids[1], ids[0]]
    for wanted, found in (
        (Wanted(session_id=session.id), ids[::-1]),
        (Wanted(state=CommandState.FINISHED), ids[:1]),
        (Wanted(outcome=Outcome.FAILED), ids[:1]),
        (Wanted(session_id=other.id, outcome=Outcome.FAILED), []),
    ):
        page = await ledger.commands.page(Owner("local"), wanted, None, 10)
        assert [command.id for command in page] == found
    assert await ledger.commands.page(Owner("bob"), everything, None, 10) == []


async def test_the_running_limit_holds_over_all_sessions_and_servers(ledger: Ledger) -> None:
    commands = [await ledger.command(await ledger.session()) for _ in range(3)]
    assert await ledger.claimed("one", running_limit=2) == commands[0].id
    await ledger.commands.started(commands[0].id, now())
    assert await ledger.claimed("other", running_limit=2) == commands[1].id
    assert await ledger.claimed("other", running_limit=2) is None
    await ledger.finish(commands[0])
    assert await ledger.claimed("one", running_limit=2) == commands[2].id


async def test_of_servers_that_claim_at_once_one_gets_the_command(ledger: Ledger) -> None:
    command = await ledger.command(await ledger.session())
    got: list[str | None] = []

    async def claim(instance: str) -> None:
        got.append(await ledger.claimed(instance))

    async with anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(claim, str(number))
    assert sorted(got, key=str) == [None] * 4 + [command.id]


async def test_the_first_end_stands(ledger: Ledger) -> None:
    command = await ledger.command(await ledger.session())
    assert await ledger.finish(command, Outcome.LOST)
    assert not await ledger.finish(command, Outcome.FAILED)
    assert not await ledger.commands.started(command.id, now())
    assert (await ledger.commands.get(command.id)).outcome is Outcome.LOST


async def test_only_a_queued_command_is_ended_without_its_process(ledger: Ledger) -> None:
    session = await ledger.session()
    queued, behind = [await ledger.command(session) for _ in range(2)]
    cancelled = End(Outcome.CANCELLED, now())
    assert await ledger.claimed() == queued.id
    assert not await ledger.commands.finish(queued.id, cancelled, only_queued=True)
    assert await ledger.commands.finish(behind.id, cancelled, only_queued=True)


async def test_a_cancel_is_noted_until_the_end_and_not_after(ledger: Ledger) -> None:
    session = await ledger.session()
    wanted, ended = [await ledger.command(session) for _ in range(2)]
    await ledger.finish(ended)
    for command in (wanted, ended):
        await ledger.commands.request_cancel(command.id)
    assert (await ledger.commands.get(wanted.id)).cancel_requested
    assert not (await ledger.commands.get(ended.id)).cancel_requested


async def test_the_commands_of_a_dead_server_are_adopted_once(ledger: Ledger) -> None:
    first, second, behind = [await ledger.command(await ledger.session()) for _ in range(3)]
    for _ in (first, second):
        await ledger.claimed("dead")
    assert await ledger.commands.owners() == {"dead"}

    adopted = await ledger.commands.adopt("dead", "two")

    assert [(each.id, each.instance) for each in adopted] == [(first.id, "two"), (second.id, "two")]
    assert await ledger.commands.adopt("dead", "three") == []
    await ledger.finish(first)
    assert [each.id for each in await ledger.commands.adopt("two", "three")] == [second.id]
    assert (await ledger.commands.get(behind.id)).state is CommandState.QUEUED


async def test_a_full_queue_takes_no_more_until_something_begins(ledger: Ledger) -> None:
    session = await ledger.session()
    for _ in range(2):
        await ledger.accept(session, queue_limit=2)
    with pytest.raises(Busy) as refused:
        await ledger.accept(session, queue_limit=2)
    assert refused.value.message == "2 commands are queued in this session; the limit is 2"
    assert refused.value.details == {"retry_after_seconds": 5}
    assert refused.value.next_call == {
        "tool": "command_list",
        "arguments": {"session_id": session.id, "state": "queued"},
    }
    await ledger.accept(await ledger.session(), queue_limit=2)  # each session has its own
    await ledger.claimed()
    await ledger.accept(session, queue_limit=2)


@pytest.mark.parametrize("state", [SessionState.CLOSING, SessionState.FAILED])
async def test_a_session_that_is_not_ready_any_more_takes_no_command(
    ledger: Ledger, state: SessionState
) -> None:
    session = await ledger.session(state=state)
    with pytest.raises(Conflict, match=f"session {session.id} is {state}"):
        await ledger.command(session)
    assert await ledger.count("commands") == 0


async def test_the_same_key_means_the_same_command_however_many_ask_at_once(
    ledger: Ledger,
) -> None:
    session = await ledger.session()
    made: list[tuple[Command, bool]] = []

    async def accept() -> None:
        made.append(await ledger.accept(session, REQUEST))

    async with anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(accept)
    assert len({command.id for command, _ in made}) == 1
    assert [new for _, new in made].count(True) == 1
    assert await ledger.count("commands") == 1


async def test_a_key_with_other_arguments_is_a_conflict_that_names_what_it_stands_for(
    ledger: Ledger,
) -> None:
    session = await ledger.session()
    command, _ = await ledger.accept(session, REQUEST)
    with pytest.raises(Conflict, match=f"'key' was used for {command.id} with other arguments"):
        await ledger.accept(session, replace(REQUEST, digest="another"))


@pytest.mark.parametrize("change", [{"principal": "bob"}, {"operation": "session_create"}])
async def test_a_key_belongs_to_one_principal_and_one_operation(
    ledger: Ledger, change: dict[str, str]
) -> None:
    session = await ledger.session()
    await ledger.accept(session, REQUEST)
    _, new = await ledger.accept(session, replace(REQUEST, **change))
    assert new


async def test_a_command_that_was_refused_leaves_its_key_free(ledger: Ledger) -> None:
    session = await ledger.session()
    with pytest.raises(Busy):
        await ledger.accept(session, REQUEST, queue_limit=0)
    assert await ledger.count("idempotency_keys") == 0
    _, new = await ledger.accept(session, REQUEST)
    assert new


async def test_another_principal_does_not_see_a_command(ledger: Ledger) -> None:
    command = await ledger.command(await ledger.session())
    assert await ledger.commands.owned(command.id, Owner("local")) == command
    assert await ledger.commands.owned(command.id, Owner("bob")) is None
    assert await ledger.commands.recent_ids(Owner("bob")) == []


async def test_the_newest_commands_are_named_first_and_twenty_at_most(ledger: Ledger) -> None:
    session = await ledger.session()
    ids = [(await ledger.accept(session, queue_limit=99))[0].id for _ in range(22)]
    assert await ledger.commands.recent_ids(Owner("local")) == ids[:1:-1]


async def test_what_is_going_on_is_counted(ledger: Ledger) -> None:
    assert await ledger.commands.count_unfinished() == (0, 0)
    session = await ledger.session()
    commands = [await ledger.command(session) for _ in range(3)]
    await ledger.finish(commands[0])
    await ledger.claimed()
    assert await ledger.commands.count_unfinished() == (1, 1)
