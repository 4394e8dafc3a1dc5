"""The project's own tests, run in a session on the project's own repository."""

import sys
from pathlib import Path

import pytest

from debug_mcp.config import Settings
from tests.clients import connect

pytestmark = pytest.mark.anyio

PROJECT = Path(__file__).parents[2]
# Of each kind one: pure rules, real SQLite, real git, hostile files.
PART = "tests/test_lifecycle.py tests/store tests/worktrees/test_patches.py tests/artifacts"


@pytest.mark.skipif(not (PROJECT / ".git").exists(), reason="needs the project's git checkout")
async def test_a_part_of_our_own_tests_passes_in_a_session(settings: Settings) -> None:
    async with connect("memory-modern", settings) as agent:
        session = await agent.call("session_create", repository=str(PROJECT))
        view = await agent.call(
            "command_run",
            session_id=session["session_id"],
            command=f"{sys.executable} -m pytest -q -p no:cacheprovider {PART}",
            wait_seconds=50,
        )
        assert view["outcome"] == "succeeded", view["output"]["text"]
