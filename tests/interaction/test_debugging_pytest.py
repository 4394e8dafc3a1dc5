"""Failing tests under a debugger: one stop for each failure, in the frame that failed."""

import os
import pwd
import shutil
import subprocess
import sysconfig
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from debug_mcp.config import IsolationPolicy, Settings
from tests.clients import Agent, connect
from tests.interaction.debugged import control, opened_with
from tests.upstream import Upstream

pytestmark = [pytest.mark.anyio, pytest.mark.bwrap]

SUITE = {
    "pytest.ini": "[pytest]\n",
    "helpers.py": "def same(a, b):\n    assert a == b, 'not the same'\n",
    "test_all.py": """\
import pytest
from helpers import same

def test_passes():
    pass

def test_expects_an_error():
    with pytest.raises(ValueError):
        int("x")

def test_catches():
    try:
        int("x")
    except ValueError:
        pass

@pytest.mark.xfail
def test_known_to_fail():
    assert False

@pytest.mark.skip
def test_skipped():
    assert False

@pytest.mark.parametrize("value", [1, 2], ids=["one, [1]", "two"])
def test_parametrised(value):
    doubled = value * 2
    assert doubled == 2

@pytest.fixture
def broken():
    settings = {}
    return settings["port"]

def test_with_a_broken_fixture(broken):
    pass

class TestGroup:
    def test_in_a_class(self):
        mine = [1, 2]
        same(mine, [1])

@pytest.fixture
def left():
    yield
    raise OSError("teardown")

def test_fails_after_its_end(left):
    pass

@pytest.mark.anyio
async def test_asynchronous():
    awaited = 1
    assert awaited == 2

@pytest.fixture
def anyio_backend():
    return "asyncio"
""",
}

# Another Python has our pytest, which is plain Python, and not what was compiled for ours.
OTHERS = {"PYTHONPATH": sysconfig.get_path("purelib"), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


@pytest.fixture
async def agent(tmp_path: Path) -> AsyncIterator[Agent]:
    settings = Settings(
        data_dir=tmp_path / "data", isolation=IsolationPolicy.REQUIRE_BWRAP, grace_seconds=1
    )
    async with connect("memory-modern", settings) as agent:
        yield agent


@pytest.fixture
async def session(agent: Agent, upstream: Upstream) -> str:
    return await opened_with(agent, upstream, SUITE)


async def stops(agent: Agent, session: str, **how: Any) -> tuple[list[dict[str, Any]], Any]:
    """Run to the end; return every stop on the way, and the last view."""
    view = await agent.call("debug_run", session_id=session, wait_seconds=50, **how)
    found = []
    while view["state"] == "stopped":
        found.append(view)
        view = await control(agent, view, "continue", wait_seconds=50)
    assert view["state"] == "exited", view
    return found, view


def another_python(version: str) -> str:
    """Return a Python of a version that can run our pytest, or skip."""
    managed = sorted(
        Path("~" + pwd.getpwuid(os.getuid()).pw_name)
        .expanduser()
        .glob(f".pyenv/versions/{version}.*/bin/python{version}")
    )
    for program in filter(None, (shutil.which(f"python{version}"), *map(str, managed))):
        asked = [program, "-c", "import pytest"]
        if not subprocess.run(asked, env=OTHERS, capture_output=True).returncode:
            return program
    pytest.skip(f"no Python {version} here: install it, by pyenv for example")


@pytest.mark.parametrize("version", ["ours", "3.12", "3.13"])
async def test_each_failure_stops_once_in_its_own_frame_and_nothing_else_does(
    agent: Agent, session: str, version: str
) -> None:
    how: dict[str, Any] = {"command": "pytest test_all.py"}
    if version != "ours":
        program = await anyio.to_thread.run_sync(another_python, version)
        how = {
            "command": [program, "-m", "pytest", "-p", "anyio.pytest_plugin", "test_all.py"],
            "env": OTHERS,
        }
    found, end = await stops(agent, session, **how)
    assert [(view["test"].partition("::")[2], view["at"]) for view in found] == [
        ("test_parametrised[two]", "test_all.py:28"),
        ("test_with_a_broken_fixture", "test_all.py:33"),
        ("TestGroup::test_in_a_class", "helpers.py:2"),
        ("test_fails_after_its_end", "test_all.py:46"),
        ("test_asynchronous", "test_all.py:54"),
    ]
    assert {view["reason"] for view in found} == {"test_failed"}
    assert [view["exception"].partition(":")[0] for view in found] == [
        "AssertionError",
        "KeyError",
        "AssertionError",
        "OSError",
        "AssertionError",
    ]
    assert found[0]["locals"] == {"doubled": "4", "value": "2"}
    assert found[4]["locals"] == {"awaited": "1"}
    assert (end["exit_code"], end["tests"]["failed"], end["tests"]["errors"]) == (1, 3, 2)


async def test_an_id_with_blanks_commas_and_brackets_is_one_argument(
    agent: Agent, session: str
) -> None:
    found, end = await stops(agent, session, test="test_all.py::test_parametrised[one, [1]]")
    assert found == []
    assert (end["tests"]["passed"], end["hint"]) == (1, "the test passed: nothing to stop at")


async def test_a_file_that_cannot_be_collected_says_so(agent: Agent, upstream: Upstream) -> None:
    files = {"test_bad.py": "import os\nwanted = os.nothing_like_that\n"}
    session = await opened_with(agent, upstream, files)
    found, end = await stops(agent, session, command=["pytest", "test_bad.py"])
    assert [(view["reason"], view["at"]) for view in found] == [
        ("collection_error", "test_bad.py:2")
    ]
    assert found[0]["exception"].startswith("AttributeError")
    assert end["tests"]["collection_errors"] == 1


async def test_a_test_that_is_not_there_is_no_stop(agent: Agent, session: str) -> None:
    found, end = await stops(agent, session, test="test_all.py::test_nowhere")
    assert found == []
    assert end["exit_code"] == 4
    assert "not found" in end["output"]["text"]


async def test_it_ends_after_the_first_failure_where_that_is_asked(
    agent: Agent, session: str
) -> None:
    found, _ = await stops(agent, session, command="pytest -x")
    assert len(found) == 1


async def test_workers_of_xdist_are_left_out_of_the_way(agent: Agent, session: str) -> None:
    found, end = await stops(agent, session, command="pytest -n 2 -k parametrised")
    assert [view["at"] for view in found] == ["test_all.py:28"]
    assert end["tests"]["passed"] == 1


async def test_a_breakpoint_stops_inside_a_test_where_one_can_step(
    agent: Agent, session: str
) -> None:
    view = await agent.call(
        "debug_run",
        session_id=session,
        test="test_all.py::test_parametrised[two]",
        breakpoints=["test_all.py:27"],
        stop_on="none",
        wait_seconds=50,
    )
    assert (view["reason"], view["can_step"]) == ("breakpoint", True)
    view = await control(agent, view, "over")
    assert view["locals"]["doubled"] == "4"
    view = await control(agent, view, "continue", wait_seconds=50)
    assert (view["state"], view["tests"]["failed"]) == ("exited", 1)
