"""Coverage files that a command leaves become a few numbers in its answer."""

import pytest

from debug_mcp.config import Settings
from tests.clients import WAYS, connect, opened
from tests.upstream import Upstream

pytestmark = pytest.mark.anyio

WRITES = """
mkdir -p build
printf 'SF:src/a.c\\nDA:1,1\\nDA:2,0\\nend_of_record\\n' > build/lcov.info
"""
SAID = {
    "percent": 50.0,
    "files": 1,
    "lines": 2,
    "missing": 1,
    "lowest": [{"path": "src/a.c", "percent": 50.0, "missing": 1}],
}


@pytest.mark.parametrize("way", WAYS)
async def test_the_coverage_of_a_run_stands_in_its_answer(
    way: str, settings: Settings, upstream: Upstream
) -> None:
    async with connect(way, settings) as agent:
        session = await opened(agent, upstream)
        asked = {"session_id": session, "artifacts": ["build/*.info"]}
        view = await agent.call("command_run", command=WRITES, **asked)
        assert view["coverage"] == SAID
        listing = await agent.call("artifact_list", session_id=session)
        assert [artifact["kind"] for artifact in listing["artifacts"]] == ["coverage"]
        later = await agent.call("command_wait", command_id=view["command_id"])
        assert later["coverage"] == SAID
        # It is there still, and says nothing of a command that keeps none.
        other = await agent.call("command_run", session_id=session, command="true")
        assert "coverage" not in other


async def test_a_file_that_says_nothing_is_an_artifact_and_no_more(
    settings: Settings, upstream: Upstream
) -> None:
    async with connect("memory-modern", settings) as agent:
        session = await opened(agent, upstream)
        bomb = '<!DOCTYPE c [<!ENTITY a "a">]><coverage ><class filename="&a;"/></coverage>'
        view = await agent.call(
            "command_run",
            session_id=session,
            command=f"echo '{bomb}' > coverage.xml",
            artifacts=["coverage.xml"],
        )
        assert view["outcome"] == "succeeded"
        assert "coverage" not in view
        assert len(view["artifacts"]) == 1
