"""Programs under a debugger, as a client sees them: each answer is all that one would ask next."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from debug_mcp.config import IsolationPolicy, Settings
from tests.clients import WAYS, Agent, connect, opened
from tests.interaction.debugged import TOTAL, control, inspect, opened_with
from tests.upstream import Upstream

pytestmark = pytest.mark.anyio

TEST = "test_calculator.py::test_add"


@pytest.mark.parametrize("way", WAYS)
async def test_one_call_leads_from_a_failing_test_to_its_paused_frame(
    way: str, settings: Settings, upstream: Upstream
) -> None:
    async with connect(way, settings) as agent:
        session = await opened(agent, upstream)
        stopped = await agent.call("debug_run", session_id=session, test=TEST, wait_seconds=50)
        assert stopped["state"] == "stopped"
        assert stopped["reason"] == "test_failed"
        assert stopped["test"] == TEST
        assert stopped["at"] == "test_calculator.py:5"
        assert stopped["function"] == "test_add"
        assert stopped["exception"].startswith("AssertionError: assert -1 == 3")
        assert "5 >     assert add(1, 2) == 3" in stopped["source"]
        assert stopped["stack"] == ["0 test_calculator.py:5 test_add"]
        assert stopped["can_step"] is False

        again = await agent.follow(stopped)
        assert (again["reason"], again["at"]) == ("breakpoint", "test_calculator.py:5")
        assert again["can_step"] is True
        assert again["debug_id"] == stopped["debug_id"]
        assert again["command_id"] != stopped["command_id"]
        inside = await control(agent, again, "into")
        assert (inside["function"], inside["at"]) == ("add", "calculator.py:2")
        assert inside["locals"] == {"a": "1", "b": "2"}
        looked = await inspect(agent, inside, expressions=["a + b", "a - b"])
        assert looked["expressions"] == {"a + b": "3", "a - b": "-1"}

        failed = await control(agent, inside, "continue")
        assert failed["reason"] == "test_failed"
        ended = await control(agent, failed, "continue", wait_seconds=50)
        assert (ended["state"], ended["exit_code"]) == ("exited", 1)
        assert (ended["tests"]["failed"], ended["tests"]["complete"]) == (1, True)
        command = await agent.call("command_wait", command_id=ended["command_id"])
        assert (command["outcome"], command["exit_code"]) == ("failed", 1)


@pytest.fixture
async def agent(tmp_path: Path) -> AsyncIterator[Agent]:
    settings = Settings(
        data_dir=tmp_path / "data", isolation=IsolationPolicy.REQUIRE_BWRAP, grace_seconds=1
    )
    async with connect("memory-modern", settings) as agent:
        yield agent


@pytest.fixture
async def session(agent: Agent, upstream: Upstream) -> str:
    return await opened_with(agent, upstream, {"total.py": TOTAL})


async def debug(agent: Agent, session: str, **how: Any) -> dict[str, Any]:
    return await agent.call(
        "debug_run", session_id=session, **{"command": "python total.py", "wait_seconds": 50, **how}
    )


@pytest.mark.bwrap
async def test_breakpoints_are_named_by_line_by_text_and_by_function(
    agent: Agent, session: str
) -> None:
    wanted = ["total.py:7", "total.py:/print(/", {"at": "func:total.main"}]
    view = await debug(agent, session, breakpoints=wanted, capture=["values", "answer"])
    assert view["at"] == "total.py:12"
    assert view["breakpoints"] == [
        {"at": "total.py:7", "hits": 0},
        {"at": "total.py:/print(/", "line": 13, "hits": 0},
        {"at": "func:total.main", "line": 12, "hits": 1},
    ]
    view = await control(agent, view, "continue")
    assert view["locals"] == {"result": "0", "value": "1", "values": "[1, 2, 3]"}
    assert view["captures"]["values"] == "[1, 2, 3]"
    assert view["captures"]["answer"].startswith("error: NameError")
    assert view["stack"] == ["0 total.py:7 total", "1 total.py:12 main", "2 total.py:18 <module>"]
    view = await control(agent, view, "continue", breakpoints=["total.py:/print(/"], capture=[])
    assert (view["at"], "captures" in view) == ("total.py:13", False)
    assert view["breakpoints"] == [{"at": "total.py:/print(/", "line": 13, "hits": 1}]
    over = await control(agent, view, "over")
    ended = await control(agent, over, "continue")
    assert (ended["state"], ended["exit_code"]) == ("exited", 3)
    # What was printed a moment before a stop is in that view or in the next one, and never twice.
    texts = [view["output"]["text"] for view in (over, ended) if "output" in view]
    assert "".join(texts) == "answer 6\n"


@pytest.mark.bwrap
async def test_conditions_and_counts_of_hits_choose_when_to_stop(
    agent: Agent, session: str
) -> None:
    condition = {"at": "total.py:7", "condition": "value == 3"}
    view = await debug(agent, session, breakpoints=[condition])
    assert view["locals"]["value"] == "3"
    view = await control(agent, view, "restart", breakpoints=[{"at": "total.py:7", "hits": 2}])
    assert view["locals"]["value"] == "2"


@pytest.mark.bwrap
async def test_several_steps_are_one_call_and_a_line_each(agent: Agent, session: str) -> None:
    view = await debug(agent, session, breakpoints=["total.py:5"])
    view = await control(agent, view, "over", times=4)
    assert view["steps"] == [
        "total.py:6 total: result=0",
        "total.py:7 total: value=1",
        "total.py:6 total: result=1",
        "total.py:7 total: value=2",
    ]
    assert view["at"] == "total.py:7"
    view = await control(agent, view, "out")
    assert view["function"] == "main"


@pytest.mark.bwrap
async def test_a_program_runs_to_a_place_that_is_no_breakpoint_afterwards(
    agent: Agent, session: str
) -> None:
    view = await debug(agent, session, stop_on="entry")
    assert view["reason"] == "entry"
    view = await control(agent, view, "to", to="total.py:/return result/")
    assert (view["at"], view["locals"]["result"]) == ("total.py:8", "6")
    assert "breakpoints" not in view
    view = await control(agent, view, "continue")
    assert view["state"] == "exited"


@pytest.mark.bwrap
async def test_hits_are_recorded_in_a_table_without_stopping(agent: Agent, session: str) -> None:
    view = await debug(
        agent, session, breakpoints=["total.py:7"], capture=["result", "value"], stop=False
    )
    assert view["state"] == "exited"
    assert view["hits"] == [
        {"n": 1, "at": "total.py:7", "values": "result=0 value=1"},
        {"n": 2, "at": "total.py:7", "values": "result=1 value=2"},
        {"n": 3, "at": "total.py:7", "values": "result=3 value=3"},
    ]
    assert view["breakpoints"] == [{"at": "total.py:7", "hits": 3}]
    assert view["output"]["text"] == "answer 6\n"


@pytest.mark.bwrap
async def test_a_log_point_records_and_a_breakpoint_beside_it_stops(
    agent: Agent, session: str
) -> None:
    points = [{"at": "total.py:7", "log": "v={value}"}, {"at": "total.py:8"}]
    view = await debug(agent, session, breakpoints=points)
    assert view["at"] == "total.py:8"
    assert [hit["values"] for hit in view["hits"]] == ["v=1", "v=2", "v=3"]


@pytest.mark.bwrap
async def test_a_breakpoint_that_never_stops_anything_says_why(agent: Agent, session: str) -> None:
    never = {"at": "total.py:7", "condition": "value == 99"}
    view = await debug(agent, session, breakpoints=[never])
    assert view["state"] == "exited"
    assert view["breakpoints"] == [
        {"at": "total.py:7", "hits": 0, "why": "verified, never reached"}
    ]


@pytest.mark.bwrap
@pytest.mark.parametrize(
    ("code", "stop_on", "reason", "exception"),
    [
        ("{}['key']", "failure", "exception", "KeyError: 'key'"),
        ("try:\n  int('x')\nexcept ValueError: pass", "failure", None, None),
        (
            "try:\n  int('x')\nexcept ValueError: pass",
            "raised:ValueError",
            "exception",
            "ValueError",
        ),
        ("{}['key']", "none", None, None),
        ("raise SystemExit(4)", "failure", None, None),
        ("import sys\nsys.exit('message')", "failure", None, None),
    ],
)
async def test_an_exception_stops_a_program_when_that_was_asked_for(
    agent: Agent,
    upstream: Upstream,
    code: str,
    stop_on: str,
    reason: str | None,
    exception: str | None,
) -> None:
    session = await opened_with(agent, upstream, {"prog.py": code})
    view = await debug(agent, session, command="python prog.py", stop_on=stop_on)
    assert view.get("reason") == reason
    assert view["state"] == ("stopped" if reason else "exited")
    assert (view.get("exception") or "").startswith(exception or "")


@pytest.mark.bwrap
async def test_values_are_expanded_and_paged(agent: Agent, upstream: Upstream) -> None:
    program = "many = {f'k{n}': [n] for n in range(60)}\nlong = 'x' * 5000\nprint(many)\n"
    session = await opened_with(agent, upstream, {"prog.py": program})
    view = await debug(agent, session, command="python prog.py", breakpoints=["prog.py:3"])
    assert view["locals"]["long"].endswith(")")
    assert "…(+" in view["locals"]["long"]
    assert len(view["locals"]["long"]) < 250
    page = await inspect(agent, view, expand="many")
    assert page["members"][0] == {"name": "'k0'", "value": "[0]", "type": "list"}
    assert page["more_members"] > 0
    second = await inspect(agent, view, expand="many", offset=20)
    assert second["members"][0]["name"] == "'k20'"
    set_ = await inspect(agent, view, expressions=["many.clear()", "many"])
    assert set_["expressions"]["many"] == "{}"


@pytest.mark.bwrap
async def test_frames_and_threads_can_be_looked_at(agent: Agent, upstream: Upstream) -> None:
    program = (
        "import threading\n"
        "ready, done = threading.Event(), threading.Event()\n"
        "def other():\n"
        "    ready.set()\n"
        "    done.wait()\n"
        "worker = threading.Thread(target=other, name='worker')\n"
        "worker.start()\n"
        "ready.wait()\n"
        "def inner(depth):\n"
        "    return depth\n"
        "def outer():\n"
        "    mine = 'outer'\n"
        "    return inner(1)\n"
        "outer()\n"
        "done.set()\n"
    )
    session = await opened_with(agent, upstream, {"prog.py": program})
    view = await debug(agent, session, command="python prog.py", breakpoints=["prog.py:10"])
    assert view["other_threads"] == 1
    above = await inspect(agent, view, frame=1)
    assert (above["function"], above["locals"]) == ("outer", {"mine": "'outer'"})
    threads = (await inspect(agent, view, what="threads"))["threads"]
    worker = next(thread for thread in threads if thread["name"] == "worker")
    assert worker["at"] == "prog.py:5 other"
    there = await inspect(agent, view, thread=worker["thread"], what="stack")
    assert there["stack"][0].startswith("0 ")


@pytest.mark.bwrap
async def test_a_running_program_is_paused_looked_into_and_ended(
    agent: Agent, upstream: Upstream
) -> None:
    program = "import time\ncount = 0\nwhile True:\n    count += 1\n    time.sleep(0.001)\n"
    session = await opened_with(agent, upstream, {"prog.py": program})
    view = await debug(agent, session, command="python prog.py", wait_seconds=5)
    assert view["state"] in ("running", "starting")
    assert view["next"]["arguments"]["action"] == "continue"
    view = await control(agent, view, "pause")
    while view["state"] != "stopped":  # it may have been starting still
        view = await control(agent, view, "pause")
    assert view["reason"] == "pause"
    assert int(view["locals"]["count"]) > 0
    view = await control(agent, view, "stop")
    assert view["state"] == "exited"
    command = await agent.call("command_wait", command_id=view["command_id"])
    assert command["outcome"] == "cancelled"


@pytest.mark.bwrap
async def test_the_same_key_is_the_same_run(agent: Agent, session: str) -> None:
    how = {"breakpoints": ["total.py:7"], "idempotency_key": "once"}
    first = await debug(agent, session, **how)
    second = await debug(agent, session, **how)
    assert second["debug_id"] == first["debug_id"]
    assert second["at"] == first["at"] == "total.py:7"


@pytest.mark.bwrap
@pytest.mark.parametrize(
    ("asked", "code", "says"),
    [
        ({"command": None}, "invalid_input", "one of command and test"),
        ({"test": "x"}, "invalid_input", "one of command and test"),
        ({"command": "make && python total.py"}, "invalid_input", "needs a shell"),
        ({"command": "nothing-here"}, "invalid_input", "no program 'nothing-here'"),
        ({"breakpoints": ["nowhere.py:3"]}, "invalid_input", "no file 'nowhere.py'"),
        ({"breakpoints": ["total.py:99"]}, "invalid_input", "total.py has 18 lines"),
        ({"stop_on": "never"}, "invalid_input", "none of failure, entry, none"),
        ({"cwd": "../.."}, "invalid_input", "is not in the tree"),
    ],
)
async def test_what_cannot_be_run_is_refused_with_the_reason(
    agent: Agent, session: str, asked: dict[str, Any], code: str, says: str
) -> None:
    arguments = {"command": "python total.py", **asked}
    error = await agent.refused("debug_run", session_id=session, **arguments)
    assert error["error"]["code"] == code
    assert says in error["error"]["message"]


@pytest.mark.bwrap
async def test_what_cannot_be_done_where_a_program_stands_is_refused_with_a_way_out(
    agent: Agent, session: str, upstream: Upstream
) -> None:
    unknown = await agent.refused("debug_control", debug_id="d_none", action="continue")
    assert unknown["error"]["code"] == "not_found"
    failed = await agent.call("debug_run", session_id=session, test=TEST, wait_seconds=50)
    stuck = await agent.refused("debug_control", debug_id=failed["debug_id"], action="over")
    assert "unwound" in stuck["error"]["message"]
    assert stuck["next"]["arguments"]["action"] == "restart"
    frame = await agent.refused("debug_inspect", debug_id=failed["debug_id"], frame=40)
    assert "no frame 40" in frame["error"]["message"]
    nothing = await agent.refused("debug_inspect", debug_id=failed["debug_id"], expand="nope")
    assert "NameError" in nothing["error"]["message"]
    where = await agent.refused("debug_control", debug_id=failed["debug_id"], action="to")
    assert where["error"]["field"] == "to"
    ended = await control(agent, failed, "continue", wait_seconds=50)
    over = await agent.refused("debug_control", debug_id=ended["debug_id"], action="into")
    assert over["error"]["candidates"] == ["restart"]
    looked = await agent.refused("debug_inspect", debug_id=ended["debug_id"])
    assert "exited" in looked["error"]["message"]
    restarted = await agent.follow(over)
    assert restarted["reason"] == "test_failed"


@pytest.mark.bwrap
async def test_a_session_has_only_so_many_debug_runs_at_a_time(agent: Agent, session: str) -> None:
    views = [await debug(agent, session, stop_on="entry") for _ in range(4)]
    error = await agent.refused("debug_run", session_id=session, command="python total.py")
    assert error["error"]["code"] == "busy"
    assert set(error["error"]["candidates"]) == {view["debug_id"] for view in views}
    await control(agent, views[0], "stop")
    assert (await debug(agent, session, stop_on="entry"))["state"] == "stopped"


@pytest.mark.bwrap
async def test_a_program_on_the_path_is_found_whatever_its_folder_is_called(
    settings: Settings, upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "scripts" / "bin"
    folder.mkdir(parents=True)
    tool = folder / "greet"
    tool.write_text("#!/usr/bin/env python3\nprint('hello')\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    async with connect("memory-modern", settings) as agent:
        session = await opened(agent, upstream)
        view = await debug(agent, session, command="greet")
        assert (view["state"], view["exit_code"]) == ("exited", 0), view
        assert view["output"]["text"] == "hello\n"
