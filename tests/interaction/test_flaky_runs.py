"""Tests that pass at times only, found through a client."""

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from debug_mcp.config import IsolationPolicy, Settings
from tests.clients import WAYS, Agent, connect, launched_server, opened
from tests.files import appears
from tests.upstream import Upstream

pytestmark = pytest.mark.anyio

# A run fails by its number, which stands in the folder that all runs share through the command.
COUNTED = """\
import os, pathlib
import pytest

def number():
    folder = pathlib.Path(os.environ["COUNTS"])
    for n in range(1000):
        try:
            (folder / str(n)).mkdir()
        except FileExistsError:
            continue
        return n

def test_planted():
    assert number() % 5 != 4, "every fifth"

def test_broken():
    assert 1 == 2

def test_sound():
    pass
"""
SEEDED = """\
import os

def test_planted():
    assert NUMBER % 5 != 4, "every fifth"

def test_sound():
    pass
"""
TESTS = {"test_some.py": COUNTED}


@pytest.fixture
def settings_none(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", isolation=IsolationPolicy.NONE, grace_seconds=1)


@pytest.fixture
def counts(tmp_path: Path) -> Path:
    folder = tmp_path / "counts"
    folder.mkdir()
    return folder


async def repeated(agent: Agent, **how: Any) -> dict[str, Any]:
    view = await agent.call("flaky_run", **how)
    while view["state"] == "running":
        view = await agent.follow(view)
    return view


@pytest.mark.parametrize("way", WAYS)
async def test_a_planted_flake_of_20_percent_is_found(
    way: str, settings_none: Settings, upstream: Upstream, counts: Path
) -> None:
    upstream.commit("Add tests", TESTS)
    async with connect(way, settings_none) as agent:
        session = await opened(agent, upstream)
        command = f"COUNTS={counts} python -m pytest -q test_some.py"
        view = await repeated(agent, session_id=session, command=command, repeats=10)
        assert view["verdict"] == "flaky"
        [flaky] = view["unstable"]
        assert flaky["test"] == "test_some.py::test_planted"
        assert (flaky["passed"], flaky["failed"], flaky["pass_rate"]) == (8, 2, 0.8)
        assert flaky["interval"] == [0.49, 0.943]
        assert "every fifth" in flaky["error"]
        [broken] = view["always_failing"]
        assert broken["tests"] == ["test_some.py::test_broken"]
        assert (view["always_passing"], view["runs"]["done"]) == (1, 10)
        output = await agent.follow(view)
        assert output["command_id"] == flaky["command_id"]
        again = await agent.call("flaky_run", flaky_id=view["flaky_id"])
        assert again == view


@pytest.mark.bwrap
@pytest.mark.timeout(120)  # five runs of pytest, of which a busy machine takes seconds each
async def test_in_the_sandbox_a_planted_flake_is_found_too(
    tmp_path: Path, upstream: Upstream
) -> None:
    # The seed of a run ends with its number: nothing else of one copy can be seen in another.
    number = 'int(os.environ["DEBUG_MCP_SHUFFLE"].rpartition("-")[2])'
    upstream.commit("Add tests", {"test_some.py": SEEDED.replace("NUMBER", number)})
    required = IsolationPolicy.REQUIRE_BWRAP
    settings = Settings(data_dir=tmp_path / "data", isolation=required, grace_seconds=1)
    async with connect("memory-modern", settings) as agent:
        session = await opened(agent, upstream)
        command = "python -m pytest -q test_some.py"
        how = {"session_id": session, "command": command, "repeats": 5, "random_order": True}
        view = await repeated(agent, **how)
        [flaky] = view["unstable"]
        assert flaky["test"] == "test_some.py::test_planted"
        assert (flaky["passed"], flaky["failed"], flaky["pass_rate"]) == (4, 1, 0.8)
        assert flaky["seed"] == f"{view['flaky_id']}-4"


@pytest.fixture
async def agent(settings_none: Settings, upstream: Upstream) -> AsyncIterator[Agent]:
    async with connect("memory-modern", settings_none) as agent:
        yield agent


async def test_the_session_s_own_work_is_repeated_and_left_alone(
    agent: Agent, upstream: Upstream
) -> None:
    session = await opened(agent, upstream)
    new = "import pathlib\ndef test_new():\n    pathlib.Path('trace').touch()\n"
    await agent.call(
        "file_edit", session_id=session, edits=[{"path": "test_new.py", "content": new}]
    )
    how = {"session_id": session, "command": "python -m pytest -q test_new.py", "repeats": 2}
    view = await repeated(agent, **how)
    assert (view["verdict"], view["always_passing"]) == ("stable", 1)
    assert "nothing failed in 2 runs" in view["hint"]
    listed = await agent.call("session_diff", session_id=session, stat_only=True)
    assert [each["path"] for each in listed["files"]] == ["test_new.py"]


async def test_each_run_begins_in_a_clean_copy(agent: Agent, upstream: Upstream) -> None:
    trace = "import pathlib\ndef test_once():\n    pathlib.Path('trace').touch(exist_ok=False)\n"
    upstream.commit("Add a test", {"test_once.py": trace})
    session = await opened(agent, upstream)
    command = "python -m pytest -q test_once.py"
    view = await repeated(agent, session_id=session, command=command, repeats=3)
    assert view["verdict"] == "stable"
    sessions = (await agent.call("session_get"))["sessions"]
    assert [each["session_id"] for each in sessions if each["state"] == "ready"] == [session]


async def test_without_a_command_the_last_that_failed_is_repeated(
    agent: Agent, upstream: Upstream
) -> None:
    session = await opened(agent, upstream)
    refused = await agent.refused("flaky_run", session_id=session)
    assert "none failed" in refused["error"]["message"]
    failing = {"command": ["python", "-m", "pytest", "-q"], "wait_seconds": 20}
    ran = await agent.call("command_run", session_id=session, env={"A": "b"}, **failing)
    assert ran["outcome"] == "failed"
    await agent.call("command_run", session_id=session, command="true")
    view = await repeated(agent, session_id=session, repeats=2)
    assert view["verdict"] == "failing"
    assert view["always_failing"][0]["tests"] == ["test_calculator.py::test_add"]
    assert view["next"]["tool"] == "debug_run"


async def test_what_depends_on_the_order_is_found_in_random_order(
    agent: Agent, upstream: Upstream
) -> None:
    # Of ten pairs one at least is not in the same order three times.
    pairs = "".join(
        f"def test_a{n}():\n    seen.append({n})\ndef test_b{n}():\n    assert {n} in seen\n"
        for n in range(10)
    )
    upstream.commit("Add tests", {"test_order.py": f"seen = []\n{pairs}"})
    session = await opened(agent, upstream)
    how = {"session_id": session, "command": "python -m pytest -q test_order.py"}
    view = await repeated(agent, **how, repeats=3, random_order=True)
    flaky = view["unstable"][0]
    again = await agent.call(
        "command_run", **how, env={"DEBUG_MCP_SHUFFLE": flaky["seed"]}, wait_seconds=20
    )
    failed = [name for group in again["tests"]["failures"] for name in group["tests"]]
    assert flaky["test"] in failed
    in_order = await agent.call("command_run", **how, wait_seconds=20)
    assert in_order["tests"]["failed"] == 0


async def test_programs_without_test_results_have_a_rate_too(
    agent: Agent, upstream: Upstream, counts: Path
) -> None:
    session = await opened(agent, upstream)
    view = await repeated(
        agent, session_id=session, command=f"mkdir {counts}/once && exit 0", repeats=4
    )
    assert view["verdict"] == "flaky"
    assert (view["runs"]["succeeded"], view["runs"]["failed"]) == (1, 3)
    assert "no test results" in view["hint"]


async def test_a_test_that_takes_its_run_with_it_at_times_is_unstable(
    agent: Agent, upstream: Upstream, counts: Path
) -> None:
    crash = (
        "import os\n"
        "def test_crashes():\n"
        "    try:\n"
        f"        os.mkdir({str(counts / 'once')!r})\n"
        "    except FileExistsError:\n"
        "        os._exit(3)\n"
    )
    upstream.commit("Add a test", {"test_crash.py": crash})
    session = await opened(agent, upstream)
    command = "python -m pytest -q test_crash.py"
    view = await repeated(agent, session_id=session, command=command, repeats=2)
    [flaky] = view["unstable"]
    assert flaky["test"] == "test_crash.py::test_crashes"
    assert flaky["error"].startswith("did not end")


@pytest.mark.parametrize(
    ("asked", "code", "says"),
    [
        ({}, "invalid_input", "session_id is missing"),
        ({"session_id": "s_none", "command": "true"}, "not_found", "no session"),
        ({"flaky_id": "x_none"}, "not_found", "no flaky run"),
        ({"session_id": "s_x", "repeats": 1}, "invalid_input", "repeats"),
    ],
)
async def test_what_cannot_be_repeated_is_refused_with_the_reason(
    agent: Agent, asked: dict[str, Any], code: str, says: str
) -> None:
    error = await agent.refused("flaky_run", **asked)
    assert error["error"]["code"] == code, error
    assert says in error["error"]["message"]


async def test_the_same_key_is_the_same_flaky_run_also_when_its_session_is_closed(
    agent: Agent, upstream: Upstream
) -> None:
    session = await opened(agent, upstream)
    how = {"session_id": session, "command": "true", "repeats": 2, "idempotency_key": "once"}
    first = await repeated(agent, **how)
    await agent.call("session_close", session_id=session)
    assert await repeated(agent, **how) == first


async def test_a_flaky_run_goes_on_after_its_server_was_killed(
    settings_none: Settings, upstream: Upstream, counts: Path
) -> None:
    upstream.commit("Add tests", TESTS)
    command = f"sleep 1; COUNTS={counts} python -m pytest -q test_some.py"
    with anyio.move_on_after(30):
        async with connect("stdio-modern", settings_none) as agent:
            session = await opened(agent, upstream)
            asked = {"session_id": session, "command": command, "repeats": 5, "wait_seconds": 0}
            view = await agent.call("flaky_run", **asked)
            await appears(counts / "0")
            os.kill(launched_server(), signal.SIGKILL)
    async with connect("memory-modern", settings_none) as agent:
        while view["state"] == "running":
            view = await agent.call("flaky_run", flaky_id=view["flaky_id"])
        assert [each["failed"] for each in view["unstable"]] == [1]
        assert view["runs"]["done"] == 5
        assert len(list(counts.iterdir())) == 5  # none ran twice
