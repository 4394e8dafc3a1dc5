"""The main job as a client lives it, over every way in: from a failing test to a fetched branch."""

import platform

import anyio
import pytest

from debug_mcp.config import Settings
from tests.clients import WAYS, connect
from tests.upstream import FIX, Upstream

pytestmark = pytest.mark.anyio

RUN_TESTS = "python -m pytest -q --junit-xml=build/junit.xml"


@pytest.mark.parametrize("way", WAYS)
async def test_an_agent_mends_a_failing_test_and_the_person_fetches_the_branch(
    way: str, settings: Settings, upstream: Upstream
) -> None:
    async with connect(way, settings) as agent:
        repository = await agent.call("repository_init", url=str(upstream.path))
        assert repository["state"] == "ready"
        assert repository["head"] == {"ref": "main", "commit": upstream.git("rev-parse", "HEAD")}

        broken = await agent.follow(repository)
        assert broken["project"] == {"python": platform.python_version(), "tests": "pytest -q"}
        failing = await agent.call(
            "command_run", session_id=broken["session_id"], command=RUN_TESTS
        )
        assert (failing["outcome"], failing["exit_code"]) == ("failed", 1)
        [cause] = failing["tests"]["failures"]
        assert cause["error"].startswith("AssertionError: assert -1 == 3")

        mended = await agent.call("session_create", patch=FIX)
        assert mended["patch"]["files"] == ["calculator.py"]
        assert mended["patch"]["lines"] == "+1 -1"
        session = mended["session_id"]
        started = await agent.call(
            "command_run", session_id=session, command=RUN_TESTS, wait_seconds=0
        )
        passing = started if "outcome" in started else await agent.follow(started)
        assert (passing["outcome"], passing["exit_code"]) == ("succeeded", 0)
        page = await agent.call("command_output", command_id=passing["command_id"])
        assert page["output"]["text"].startswith(".")
        assert "1 passed" in page["output"]["text"]

        listing = await agent.call("artifact_list", session_id=session, collect=["build/*.xml"])
        [report] = listing["artifacts"]
        assert (report["name"], report["kind"]) == ("build/junit.xml", "junit")
        resource = await agent.client.read_resource(report["uri"])
        twin = await agent.call("artifact_read", artifact_id=report["artifact_id"])
        assert resource.contents[0].text == twin["text"]  # type: ignore[union-attr]
        assert 'tests="1"' in twin["text"]

        exported = await agent.call(
            "session_export", session_id=session, branch="fix-add", message="Add, do not subtract"
        )
        assert exported["files"] == ["calculator.py"]
        await anyio.run_process(exported["fetch"], cwd=upstream.path)
        assert upstream.git("rev-parse", "fix-add") == exported["commit"]
        assert upstream.git("log", "-1", "--format=%s%n%an", "fix-add") == (
            "Add, do not subtract\nAda Example"
        )
        assert upstream.git("status", "--porcelain") == ""
        assert "a + b" in upstream.git("show", "fix-add:calculator.py")

        closed = await agent.call("session_close", session_id=session)
        assert closed["state"] == "closed"
        gone = await agent.refused("command_run", session_id=session, command="ls")
        assert gone["error"]["code"] == "conflict"
        assert gone["next"]["tool"] == "session_create"
        # What a session left behind outlives it.
        assert (await agent.call("command_output", command_id=passing["command_id"]))["output"]
        assert (await agent.call("artifact_list", session_id=session))["artifacts"]
