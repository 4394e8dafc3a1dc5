"""Base against head through a client: which tests flip, and nothing that was not shown."""

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
from tests.upstream import FIX, Upstream

pytestmark = pytest.mark.anyio

SUITE = {
    "shapes.py": "def area(w, h):\n    return w + h\n\n\ndef name(n):\n    return n.upper()\n",
    "test_shapes.py": """\
import pytest
from shapes import area, name

@pytest.mark.parametrize("w, h, expected", [(2, 2, 4), (2, 3, 6), (3, 3, 9)])
def test_area(w, h, expected):
    assert area(w, h) == expected

def test_name():
    assert name("a") == "A"

def test_lower():
    assert name("a") == "a"
""",
}
PATCH = """\
--- a/shapes.py
+++ b/shapes.py
@@ -1,6 +1,6 @@
 def area(w, h):
-    return w + h
+    return w * h


 def name(n):
-    return n.upper()
+    return n.title() + "!"
"""


@pytest.mark.parametrize("way", WAYS)
async def test_a_patch_is_shown_to_mend_what_it_claims(
    way: str, settings: Settings, upstream: Upstream
) -> None:
    async with connect(way, settings) as agent:
        await agent.call("repository_init", url=str(upstream.path))
        view = await agent.call("compare_run", patch=FIX, command="python -m pytest -q")
        while view["state"] == "running":
            view = await agent.follow(view)
        assert view["verdict"] == "improved"
        assert view["newly_passing"] == ["test_calculator.py::test_add"]
        assert (view["base"]["failed"], view["head"]["failed"]) == (1, 0)
        assert view["base"]["commit"] == upstream.git("rev-parse", "HEAD")[:12]
        assert view["head"]["patch"]
        again = await agent.call("compare_run", compare_id=view["compare_id"])
        assert again == view


@pytest.fixture
def settings_bwrap(tmp_path: Path) -> Settings:
    return Settings(
        data_dir=tmp_path / "data", isolation=IsolationPolicy.REQUIRE_BWRAP, grace_seconds=1
    )


@pytest.fixture
async def agent(settings_bwrap: Settings, upstream: Upstream) -> AsyncIterator[Agent]:
    upstream.commit("Add shapes", SUITE)
    async with connect("memory-modern", settings_bwrap) as agent:
        await agent.call("repository_init", url=str(upstream.path))
        yield agent


async def compared(agent: Agent, **how: Any) -> dict[str, Any]:
    asked = {"command": "pytest -q test_shapes.py", **how}
    view = await agent.call("compare_run", **asked)
    while view["state"] == "running":
        view = await agent.follow(view)
    return view


@pytest.mark.bwrap
async def test_what_a_patch_breaks_stands_first_with_its_error_and_the_next_call(
    agent: Agent,
) -> None:
    view = await compared(agent, patch=PATCH)
    assert view["verdict"] == "regressed"
    [broken] = view["newly_failing"]
    assert broken["tests"] == ["test_shapes.py::test_name"]
    assert "assert 'A!' == 'A'" in broken["error"]
    assert view["newly_passing"] == [
        "test_shapes.py::test_area[2-3-6]",
        "test_shapes.py::test_area[3-3-9]",
    ]
    assert view["still_passing"] == 1
    [changed] = view["still_failing"]["error_changed"]
    assert changed["test"] == "test_shapes.py::test_lower"
    assert ("'A' == 'a'" in changed["base"], "'A!' == 'a'" in changed["head"]) == (True, True)
    stopped = await agent.follow(view)
    assert (stopped["reason"], stopped["test"]) == ("test_failed", "test_shapes.py::test_name")
    base = view["base"]["session_id"]
    with anyio.fail_after(20):
        while (await agent.call("session_get", session_id=base))["state"] != "closed":
            await anyio.sleep(0.02)


@pytest.mark.bwrap
async def test_a_session_s_own_work_is_compared_with_where_it_started(
    agent: Agent, upstream: Upstream
) -> None:
    session = await opened(agent, upstream)
    edit = [{"path": "shapes.py", "old": "w + h", "new": "w * h"}]
    await agent.call("file_edit", session_id=session, edits=edit)
    view = await compared(agent, head=session)
    assert (view["verdict"], view["head"]["session_id"]) == ("improved", session)
    assert view["base"]["session_id"] != session
    still = await agent.call("session_get", session_id=session)
    assert still["state"] == "ready"


@pytest.mark.bwrap
async def test_two_commits_are_compared(agent: Agent, upstream: Upstream) -> None:
    new = "def test_new():\n    pass\n"
    before = upstream.git("rev-parse", "HEAD")
    upstream.commit("Add a test", {"test_new.py": new})
    view = await compared(agent, base=before[:12], head="main", command="pytest -q")
    assert view["verdict"] == "unchanged"
    assert view["only_in_head"] == ["test_new.py::test_new"]


@pytest.mark.bwrap
async def test_a_flip_by_chance_is_unstable_and_no_flip(agent: Agent, upstream: Upstream) -> None:
    # It fails the second time in each session, and in the first on head alone.
    chance = (
        "import os\n"
        "def test_chance():\n"
        "    first = not os.path.exists('ran')\n"
        "    open('ran', 'w').close()\n"
        "    assert first == os.path.exists('even')\n"
    )
    upstream.commit("Add chance", {"test_chance.py": chance, "even": ""})
    patch = "--- a/even\n+++ /dev/null\n"
    upstream.git("rm", "--quiet", "even")
    patch = upstream.git("diff", "HEAD", "--", "even") + "\n"
    upstream.git("reset", "--quiet", "--hard")
    view = await compared(agent, patch=patch, command="pytest -q test_chance.py")
    assert view["unstable"] == ["test_chance.py::test_chance"]
    assert (view["verdict"], "newly_failing" in view) == ("unchanged", False)


@pytest.mark.bwrap
async def test_only_what_flipped_is_run_again(agent: Agent) -> None:
    view = await compared(agent, patch=PATCH)
    commands = (await agent.call("command_list", session_id=view["head"]["session_id"]))["commands"]
    assert len(commands) == 2
    again = await agent.call("command_wait", command_id=commands[0]["command_id"])
    assert (again["tests"]["passed"], again["tests"]["failed"]) == (2, 1)
    first = await agent.call("command_wait", command_id=commands[1]["command_id"])
    assert first["tests"]["passed"] == 3


@pytest.mark.bwrap
async def test_programs_without_test_results_are_compared_by_exit_code_and_output(
    agent: Agent,
) -> None:
    program = "python -c 'import shapes, time; print(time.time_ns() * 0, shapes.area(2, 3))'"
    view = await compared(agent, patch=PATCH, command=program)
    assert view["verdict"] == "inconclusive"
    assert "-0 5\n+0 6" in view["output_differs"]
    same = await compared(agent, patch=PATCH, command="echo took 1.5 s; date +%FT%TZ")
    assert (same["verdict"], "output_differs" in same) == ("unchanged", False)
    check = "python -c 'import shapes, sys; sys.exit(shapes.area(2, 3) != 6)'"
    assert (await compared(agent, patch=PATCH, command=check))["verdict"] == "improved"


@pytest.mark.bwrap
async def test_a_side_that_does_not_end_by_itself_proves_nothing(agent: Agent) -> None:
    view = await compared(agent, patch=PATCH, command="sleep 600", timeout_seconds=0.5)
    assert view["verdict"] == "inconclusive"
    assert "timed_out" in view["hint"]


@pytest.mark.bwrap
@pytest.mark.parametrize(
    ("asked", "code", "says"),
    [
        ({"patch": "x", "command": None}, "invalid_input", "command is missing"),
        ({}, "invalid_input", "one of head and patch"),
        ({"patch": PATCH, "head": "main"}, "invalid_input", "one of head and patch"),
        ({"patch": PATCH.replace("w + h", "w - h")}, "conflict", "does not apply"),
        ({"head": "no-such-branch"}, "not_found", "no-such-branch"),
        ({"head": "s_none"}, "not_found", "no session"),
        ({"compare_id": "x_none"}, "not_found", "no comparison"),
    ],
)
async def test_what_cannot_be_compared_is_refused_with_the_reason(
    agent: Agent, asked: dict[str, Any], code: str, says: str
) -> None:
    error = await agent.refused("compare_run", **{"command": "pytest", **asked})
    assert error["error"]["code"] == code, error
    assert says in error["error"]["message"]


@pytest.mark.bwrap
async def test_the_same_key_is_the_same_comparison(agent: Agent) -> None:
    first = await compared(agent, patch=PATCH, idempotency_key="once")
    second = await compared(agent, patch=PATCH, idempotency_key="once")
    assert second == first


@pytest.mark.bwrap
async def test_what_was_refused_leaves_its_key_to_the_corrected_call(agent: Agent) -> None:
    asked = {"command": "pytest", "patch": PATCH, "idempotency_key": "once"}
    error = await agent.refused("compare_run", **asked, base="none-such")
    assert error["error"]["code"] == "not_found"
    assert (await compared(agent, patch=PATCH, idempotency_key="once"))["compare_id"]


@pytest.mark.bwrap
async def test_a_comparison_goes_on_after_its_server_was_killed(
    settings_bwrap: Settings, upstream: Upstream, tmp_path: Path
) -> None:
    slow = {"test_slow.py": "import time\ndef test_slow():\n    time.sleep(3)\n"}
    upstream.commit("Add a slow test", slow)
    with anyio.move_on_after(30):
        async with connect("stdio-modern", settings_bwrap) as agent:
            await agent.call("repository_init", url=str(upstream.path))
            asked = {"patch": FIX, "command": "pytest -q", "wait_seconds": 0}
            view = await agent.call("compare_run", **asked)
            reports = settings_bwrap.data_dir / "commands"
            for folder in await _two(reports):
                await appears(folder / "state")
            os.kill(launched_server(), signal.SIGKILL)
    async with connect("memory-modern", settings_bwrap) as agent:
        while view["state"] == "running":
            view = await agent.call("compare_run", compare_id=view["compare_id"])
        assert view["verdict"] == "improved"
        assert view["newly_passing"] == ["test_calculator.py::test_add"]
        commands = (await agent.call("command_list"))["commands"]
        assert len(commands) == 4  # two sides, and the test that flipped once more on each


async def _two(folder: Path) -> list[Path]:
    with anyio.fail_after(30):
        while not folder.exists() or len(list(folder.glob("c_*"))) < 2:
            await anyio.sleep(0.02)
    return list(folder.glob("c_*"))
