"""Programs that misbehave, and whether their output, their end and the next command are right."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from debug_mcp.config import IsolationPolicy, Settings
from tests.clients import Agent, connect
from tests.upstream import Upstream

pytestmark = [pytest.mark.anyio, pytest.mark.bwrap]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", isolation=IsolationPolicy.REQUIRE_BWRAP)


@pytest.fixture(params=["memory-modern", "stdio-modern", "http-modern"])
async def agent(request: pytest.FixtureRequest, settings: Settings) -> AsyncIterator[Agent]:
    async with connect(request.param, settings) as agent:
        yield agent


@pytest.fixture
async def session(agent: Agent, upstream: Upstream) -> str:
    session: str = (await agent.call("session_create", repository=str(upstream.path)))["session_id"]
    return session


async def test_bytes_that_are_no_text_are_kept_and_shown_with_marks(
    agent: Agent, session: str
) -> None:
    view = await agent.call("command_run", session_id=session, command=r"printf 'a\377\200b\n'")
    assert view["outcome"] == "succeeded"
    assert view["output"] == {"text": "a\ufffd\ufffdb\n", "total_bytes": 5}


async def test_a_line_of_ten_megabytes_is_cut_and_its_end_can_be_read(
    agent: Agent, session: str, settings: Settings
) -> None:
    command = "head -c 10000000 /dev/zero | tr '\\0' x; echo end"
    view = await agent.call("command_run", session_id=session, command=command, wait_seconds=50)
    assert view["output"]["total_bytes"] == 10_000_004
    assert len(view["output"]["text"]) < 8000
    assert view["output"]["text"].endswith("xend\n")
    kept = (settings.data_dir / "commands" / view["command_id"] / "output").read_bytes()
    assert hashlib.sha256(kept).digest() == hashlib.sha256(b"x" * 10_000_000 + b"end\n").digest()


async def test_a_program_that_opens_its_stderr_anew_loses_nothing(
    agent: Agent, session: str
) -> None:
    command = "echo one; echo two > /dev/stderr; echo three"
    view = await agent.call("command_run", session_id=session, command=command)
    assert view["output"]["text"] == "one\ntwo\nthree\n"


async def test_stdout_and_stderr_stand_in_the_order_of_writing(agent: Agent, session: str) -> None:
    command = "for n in $(seq 500); do echo out $n; echo err $n >&2; done"
    view = await agent.call("command_run", session_id=session, command=command)
    whole = "".join(f"out {n}\nerr {n}\n" for n in range(1, 501))
    start, end = view["output"]["omitted"]
    page = await agent.follow(view)
    assert page["output"]["text"].startswith(whole[start:end])
    assert view["output"]["total_bytes"] == len(whole)


async def test_a_program_that_closes_its_output_is_followed_to_its_end(
    agent: Agent, session: str
) -> None:
    command = "echo before; exec >&- 2>&-; until [ -e go ]; do sleep 0.01; done; exit 7"
    run = {"session_id": session, "wait_seconds": 0}
    begun = await agent.call("command_run", **run, command=command)
    found = await agent.call("command_wait", command_id=begun["command_id"], until="before")
    assert found["state"] == "running"
    await agent.call("command_run", session_id=session, command="touch go", parallel=True)
    assert (await agent.follow(found))["exit_code"] == 7


async def test_what_ignores_sigterm_is_killed_and_the_next_command_runs(
    agent: Agent, session: str
) -> None:
    stubborn = "trap '' TERM; echo armed; while :; do sleep 0.05; done"
    view = await agent.call("command_run", session_id=session, command=stubborn, timeout_seconds=1)
    assert (view["outcome"], view["output"]["text"]) == ("timed_out", "armed\n")
    after = await agent.call("command_run", session_id=session, command="echo next")
    assert after["output"]["text"] == "next\n"


async def test_a_daemon_does_not_outlive_its_command(agent: Agent, session: str) -> None:
    daemon = "(setsid sh -c 'exec 9> held; flock 9; touch up; exec sleep 600' &)"
    command = f"{daemon}; until [ -e up ]; do sleep 0.01; done; flock -n held true || echo held"
    view = await agent.call("command_run", session_id=session, command=command)
    assert (view["outcome"], view["output"]["text"]) == ("succeeded", "held\n")
    # A lock is seen from every namespace of processes: it is free when its holder is gone.
    after = await agent.call("command_run", session_id=session, command="flock -n held true")
    assert after["outcome"] == "succeeded"
