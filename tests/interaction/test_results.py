"""Test results as an agent meets them: causes instead of dots, and how far a run is."""

import pytest

from debug_mcp.config import Settings
from tests.clients import WAYS, Agent, connect, opened
from tests.upstream import Upstream

pytestmark = pytest.mark.anyio

SUITE = {
    "test_prices.py": """\
import pytest

@pytest.mark.parametrize("price", [1, 2, 3, 4, 5, 6, 7])
def test_discount(price):
    assert price - price // 10 == price // 2

def test_total():
    raise KeyError("total")

@pytest.mark.parametrize("n", range(300))
def test_each(n): pass
""",
}


@pytest.mark.parametrize("way", WAYS)
async def test_failures_come_by_cause_and_their_ids_can_be_sent_back(
    way: str, settings: Settings, upstream: Upstream
) -> None:
    upstream.commit("A suite", SUITE)
    async with connect(way, settings) as agent:
        session = (await agent.call("session_create", repository=str(upstream.path)))["session_id"]
        view = await agent.call(
            "command_run", session_id=session, command="python -m pytest -q test_prices.py"
        )
        assert (view["outcome"], view["exit_code"]) == ("failed", 1)
        tests = view["tests"]
        assert (tests["from"], tests["complete"]) == ("pytest", True)
        assert (tests["passed"], tests["failed"]) == (300, 8)
        discount, total = tests["failures"]
        assert discount["at"] == "test_prices.py:5"
        assert discount["code"] == "assert price - price // 10 == price // 2"
        assert discount["error"].startswith("AssertionError: assert (1 - (1 // 10)) == (1 // 2)")
        assert (len(discount["tests"]), discount["more"]) == (5, 2)
        assert total["error"] == "KeyError: 'total'"
        # What the results say is not said twice.
        assert view["output"]["text"].startswith("8 failed, 300 passed")
        assert view["output"]["omitted"][0] == 0

        again = await agent.call(
            "command_run",
            session_id=session,
            command=["python", "-m", "pytest", "-q", *discount["tests"]],
        )
        assert again["tests"]["failed"] == 5


async def test_a_command_that_does_more_shows_its_output_too(
    settings: Settings, upstream: Upstream
) -> None:
    async with connect("memory-modern", settings) as agent:
        session = (await agent.call("session_create", repository=str(upstream.path)))["session_id"]
        view = await agent.call(
            "command_run",
            session_id=session,
            command="echo before; python -m pytest -q; python -m pytest -q --co; echo after",
        )
        assert view["tests"]["failed"] == 1
        assert view["output"]["text"].startswith("before\n")
        assert view["output"]["text"].endswith("after\n")
        assert "assert -1 == 3" in view["output"]["text"]


async def test_a_run_that_goes_on_tells_how_far_it_is_and_one_that_is_stuck_where(
    settings: Settings, upstream: Upstream
) -> None:
    stuck = "import signal\ndef test_a(): pass\ndef test_b(): signal.pause()\ndef test_c(): pass\n"
    upstream.commit("A stuck test", {"test_stuck.py": stuck})
    async with connect("memory-modern", settings) as agent:
        session = (await agent.call("session_create", repository=str(upstream.path)))["session_id"]
        view = await agent.call(
            "command_run",
            session_id=session,
            command="python -m pytest -q test_stuck.py",
            timeout_seconds=12,
            wait_seconds=0,
        )
        while view.get("tests", {}).get("current") is None:
            view = await agent.call("command_wait", command_id=view["command_id"], wait_seconds=0.2)
        assert view["state"] == "running"
        tests = view["tests"]
        assert (tests["complete"], tests["done"], tests["collected"]) == (False, 1, 3)
        assert tests["current"] == "test_stuck.py::test_b"

        ended = await agent.call("command_wait", command_id=view["command_id"])
        assert ended["outcome"] == "timed_out"
        assert ended["hint"].startswith("stuck in test_stuck.py::test_b for ")
        assert ended["hint"].endswith("; 1 of 3 tests in 12 s")


async def test_results_stay_when_the_session_is_gone(
    settings: Settings, upstream: Upstream
) -> None:
    async with connect("memory-modern", settings) as agent:
        session = (await agent.call("session_create", repository=str(upstream.path)))["session_id"]
        view = await agent.call("command_run", session_id=session, command="python -m pytest -q")
        await agent.call("session_close", session_id=session)
    async with connect("memory-modern", settings) as agent:
        later = await agent.call("command_wait", command_id=view["command_id"])
        assert later["tests"] == view["tests"]


async def test_a_report_can_be_turned_off_and_a_callers_own_path_stays(
    settings: Settings, upstream: Upstream
) -> None:
    async with connect("memory-modern", settings) as agent:
        session = (await agent.call("session_create", repository=str(upstream.path)))["session_id"]
        off = await agent.call(
            "command_run", session_id=session, command="python -m pytest -q", report=False
        )
        assert "tests" not in off
        assert "assert -1 == 3" in off["output"]["text"]
        overridden = await agent.call(
            "command_run", session_id=session, command="PYTHONPATH=. python -m pytest -q"
        )
        assert "tests" not in overridden
        assert overridden["exit_code"] == 1
        kept = await agent.call(
            "command_run",
            session_id=session,
            command="echo $PYTHONPATH; python -m pytest -q",
            env={"PYTHONPATH": "/workspace/own"},
        )
        assert kept["output"]["text"].startswith("/workspace/own:")
        assert kept["tests"]["failed"] == 1


async def test_whatever_stands_in_the_folder_for_results_does_no_harm(
    settings: Settings, upstream: Upstream
) -> None:
    async with connect("memory-modern", settings) as agent:
        session = (await agent.call("session_create", repository=str(upstream.path)))["session_id"]
        view = await agent.call(
            "command_run",
            session_id=session,
            command="cd $DEBUG_MCP_REPORT && ln -s /etc/passwd link && mkfifo pipe && mkdir folder"
            " && truncate -s 1T huge && echo '[[[' > noise"
            " && touch -d @99999999999 -- '-x' && cd - &&"
            " python -m pytest -q",
        )
        assert view["tests"]["failed"] == 1


JUNIT = """\
<testsuite name="js" tests="2">
  <testcase classname="sum" name="adds" time="0.25"/>
  <testcase classname="sum" name="carries"><failure message="expected 3, got 4"/></testcase>
</testsuite>
"""


async def test_what_other_test_runners_write_as_junit_is_read_at_the_end(
    settings: Settings, upstream: Upstream
) -> None:
    upstream.commit("Add a report", {"report.txt": JUNIT, "old.xml": JUNIT})
    async with connect("memory-modern", settings) as agent:
        await _reads_junit(agent, await opened(agent, upstream))


async def _reads_junit(agent: Agent, session: str) -> None:
    view = await agent.call(
        "command_run",
        session_id=session,
        command="mkdir out && cp report.txt out/junit.xml; exit 1",
        artifacts=["out/*.xml", "old.xml"],
    )
    assert view["tests"]["from"] == "junit"
    assert (view["tests"]["passed"], view["tests"]["failed"]) == (1, 1)
    assert view["tests"]["failures"][0]["tests"] == ["sum::carries"]
    assert len(view["artifacts"]) == 2
    stale = await agent.call(
        "command_run", session_id=session, command="true", artifacts=["old.xml"]
    )
    assert "tests" not in stale
    again = await agent.call("command_wait", command_id=view["command_id"])
    assert again["tests"] == view["tests"]
