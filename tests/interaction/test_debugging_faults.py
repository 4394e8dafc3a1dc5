"""Debug runs that go wrong: hostile programs, dead debuggers, dead servers. Nothing hangs."""

import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from debug_mcp.config import IsolationPolicy, Settings
from tests.clients import Agent, connect, launched_server
from tests.interaction.debugged import TOTAL, control, inspect, opened_with
from tests.upstream import Upstream

pytestmark = [pytest.mark.anyio, pytest.mark.bwrap]

REPLY_CHARACTERS = 6000


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        data_dir=tmp_path / "data", isolation=IsolationPolicy.REQUIRE_BWRAP, grace_seconds=1
    )


@pytest.fixture
async def agent(settings: Settings) -> AsyncIterator[Agent]:
    async with connect("memory-modern", settings) as agent:
        yield agent


async def begun(agent: Agent, upstream: Upstream, program: str, **how: Any) -> dict[str, Any]:
    session = await opened_with(agent, upstream, {"prog.py": program})
    return await agent.call(
        "debug_run",
        session_id=session,
        **{"command": "python prog.py", "wait_seconds": 50, **how},
    )


async def test_objects_that_lie_about_themselves_are_shown_as_what_they_are(
    agent: Agent, upstream: Upstream
) -> None:
    program = (
        "class Raises:\n    def __repr__(self): raise RuntimeError('no')\n"
        "class Prints:\n    def __repr__(self): print('printed'); return 'Prints()'\n"
        "class Long:\n    def __repr__(self): return 'x' * 10_000_000\n"
        "a, b, c = Raises(), Prints(), Long()\n"
        "d = 'y' * 1_000_000_000\n"
        "print('here')\n"
    )
    view = await begun(agent, upstream, program, breakpoints=["prog.py:/'here'/"])
    assert set(view["locals"]) == {"a", "b", "c", "d"}
    assert all(len(value) < 300 for value in view["locals"].values())
    assert len(json.dumps(view)) < REPLY_CHARACTERS
    ended = await control(agent, view, "continue")
    assert ended["exit_code"] == 0


async def test_an_expression_without_end_is_given_up_and_the_program_can_be_ended(
    agent: Agent, upstream: Upstream
) -> None:
    view = await begun(agent, upstream, "x = 1\nprint(x)\n", breakpoints=["prog.py:2"])
    looked = await inspect(agent, view, expressions=["[0 for _ in iter(int, 1)]"])
    assert "no value in 5 s" in looked["expressions"]["[0 for _ in iter(int, 1)]"]
    ended = await control(agent, view, "stop")
    assert ended["state"] == "exited"


async def test_a_deep_recursion_shows_its_ends(agent: Agent, upstream: Upstream) -> None:
    program = (
        "import sys\nsys.setrecursionlimit(20_000)\n"
        "def down(n):\n    return down(n - 1) if n else n\n"
        "down(10_000)\n"
    )
    where = [{"at": "prog.py:4", "condition": "n == 0"}]
    view = await begun(agent, upstream, program, breakpoints=where)
    assert view["locals"] == {"n": "0"}
    assert view["more_frames"] > 1000
    assert len(json.dumps(view)) < REPLY_CHARACTERS


async def test_much_output_is_all_there_and_the_view_is_short(
    agent: Agent, upstream: Upstream
) -> None:
    program = "for _ in range(100):\n    print('z' * 1_000_000)\nprint('end')\n"
    view = await begun(agent, upstream, program, breakpoints=["prog.py:3"])
    assert view["at"] == "prog.py:3"
    assert len(json.dumps(view)) < REPLY_CHARACTERS
    ended = await control(agent, view, "continue")
    assert ended["output"]["text"].endswith("end\n")
    assert ended["output"]["total_bytes"] == 100 * 1_000_001 + len("end\n")
    assert len(json.dumps(ended)) < REPLY_CHARACTERS


async def test_a_place_without_code_is_moved_or_said_to_be_none(
    agent: Agent, upstream: Upstream
) -> None:
    program = "x = 1\n\n# only words\n\ny = 2\nprint(y)\n"
    view = await begun(agent, upstream, program, breakpoints=["prog.py:3"])
    [point] = view["breakpoints"]
    assert view["state"] == "stopped" or point["why"], view


async def test_a_file_that_was_edited_after_the_start_is_said_to_be_another(
    agent: Agent, upstream: Upstream
) -> None:
    view = await begun(agent, upstream, TOTAL, breakpoints=["prog.py:7"])
    command = await agent.call("command_wait", command_id=view["command_id"], wait_seconds=0)
    assert command["state"] == "running"
    session = (await agent.call("command_list"))["commands"][0]["session_id"]
    await agent.call(
        "file_edit",
        session_id=session,
        edits=[{"path": "prog.py", "old": "import sys\n", "new": "import sys\n\n\n\n"}],
    )
    view = await control(agent, view, "continue")
    assert view["locals"]["value"] == "2"
    assert "changed since" in view["hint"]


async def test_a_debugger_that_is_killed_is_said_to_be_dead(
    agent: Agent, upstream: Upstream
) -> None:
    program = "import os\nx = 1\ny = 2\nprint(x)\n"
    view = await begun(agent, upstream, program, breakpoints=["prog.py:4"])
    error = await agent.refused(
        "debug_inspect",
        debug_id=view["debug_id"],
        expressions=["os.system('kill -9 $(pgrep -f debugpy_adapter)')"],
    )
    assert "the debugger ended" in error["error"]["message"]
    command = await agent.call("command_wait", command_id=view["command_id"], wait_seconds=20)
    assert command["outcome"] == "lost"
    error = await agent.refused("debug_control", debug_id=view["debug_id"], action="over")
    assert error["error"]["candidates"] == ["restart"]


async def test_a_program_that_kills_itself_ends_with_its_signal(
    agent: Agent, upstream: Upstream
) -> None:
    program = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n"
    view = await begun(agent, upstream, program)
    assert (view["state"], view["exit_code"]) == ("exited", 128 + signal.SIGKILL)


async def test_cancelling_its_command_ends_a_paused_program(
    agent: Agent, upstream: Upstream
) -> None:
    view = await begun(agent, upstream, TOTAL, breakpoints=["prog.py:7"])
    command = await agent.call("command_cancel", command_id=view["command_id"])
    assert command["outcome"] == "cancelled"
    error = await agent.refused("debug_inspect", debug_id=view["debug_id"])
    assert error["error"]["code"] == "conflict"


async def test_closing_the_session_ends_a_paused_program(agent: Agent, upstream: Upstream) -> None:
    view = await begun(agent, upstream, TOTAL, breakpoints=["prog.py:7"])
    session = (await agent.call("command_list"))["commands"][0]["session_id"]
    await agent.call("session_close", session_id=session)
    command = await agent.call("command_wait", command_id=view["command_id"])
    assert command["outcome"] == "cancelled"


async def test_a_run_of_another_server_is_refused_with_the_way_to_end_it(
    agent: Agent, upstream: Upstream, settings: Settings
) -> None:
    view = await begun(agent, upstream, TOTAL, breakpoints=["prog.py:7"])
    async with connect("memory-modern", settings) as other:
        error = await other.refused("debug_control", debug_id=view["debug_id"], action="over")
        assert "another server" in error["error"]["message"]
        cancelled = await other.follow(error)
        assert cancelled["outcome"] == "cancelled"


async def test_a_killed_server_leaves_no_process_and_the_last_view(
    settings: Settings, upstream: Upstream
) -> None:
    program = "import os\nopen('pid', 'w').write(str(os.getpid()))\nx = 1\nprint(x)\n"
    with anyio.move_on_after(30):
        async with connect("stdio-modern", settings) as agent:
            view = await begun(agent, upstream, program, breakpoints=["prog.py:4"])
            os.kill(launched_server(), signal.SIGKILL)
    async with connect("memory-modern", settings) as agent:
        command = await agent.call("command_wait", command_id=view["command_id"], wait_seconds=20)
        assert command["outcome"] == "lost"
        assert "debug_run again" in command["hint"]
        error = await agent.refused("debug_control", debug_id=view["debug_id"], action="continue")
        assert error["error"]["candidates"] == ["restart"]
        past = await agent.call("debug_control", debug_id=view["debug_id"], action="stop")
        assert (past["state"], past["at"]) == ("lost", "prog.py:4")
        assert past["locals"]["x"] == "1"
        again = await agent.follow(error)
        assert again["at"] == "prog.py:4"
