"""The commit that broke a test, found through a client."""

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from debug_mcp.config import IsolationPolicy, Settings
from tests.clients import WAYS, Agent, connect, launched_server
from tests.files import appears
from tests.upstream import Upstream

pytestmark = pytest.mark.anyio

CHECK = {"check.sh": 'test "$(cat value)" -lt 5\n'}
TEST = "def test_value():\n    assert int(open('value').read()) < 5\n"
# Fails for what is more than nothing.
GREATER = 'test "$(cat value)" -lt 1'


@pytest.fixture
def settings_none(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", isolation=IsolationPolicy.NONE, grace_seconds=1)


@pytest.fixture
async def agent(settings_none: Settings, upstream: Upstream) -> AsyncIterator[Agent]:
    async with connect("memory-modern", settings_none) as agent:
        await agent.call("repository_init", url=str(upstream.path))
        yield agent


def grown(upstream: Upstream, values: list[str], **more: str) -> list[str]:
    """Commit one value after the other; return the commits, shortened."""
    commits = []
    for number, value in enumerate(values):
        upstream.commit(f"Step {number}", {**CHECK, "value": value, "n": str(number), **more})
        commits.append(upstream.git("rev-parse", "HEAD")[:12])
    return commits


def added(name: str, text: str) -> str:
    """Return a patch that adds a file."""
    lines = text.splitlines()
    head = f"--- /dev/null\n+++ b/{name}\n@@ -0,0 +1,{len(lines)} @@\n"
    return head + "".join(f"+{line}\n" for line in lines)


async def bisected(agent: Agent, **how: Any) -> dict[str, Any]:
    view = await agent.call("bisect_run", **how)
    while view["state"] == "running":
        view = await agent.follow(view)
    return view


def judgements(view: dict[str, Any]) -> dict[str, str]:
    return {step["commit"]: step["judgement"] for step in view["log"]}


@pytest.mark.parametrize("way", WAYS)
async def test_the_commit_that_broke_it_is_found_with_what_it_changed(
    way: str, settings_none: Settings, upstream: Upstream
) -> None:
    commits = grown(upstream, [str(n) for n in range(8)])
    async with connect(way, settings_none) as agent:
        await agent.call("repository_init", url=str(upstream.path))
        view = await bisected(agent, good=commits[0], command="sh check.sh")
        assert view["verdict"] == "found"
        first = view["first_bad"]
        assert (first["commit"], first["subject"]) == (commits[5], "Step 5")
        assert "value" in first["stat"]
        told = judgements(view)
        assert (told[commits[0]], told[commits[7]]) == ("good", "bad")
        assert (told[commits[4]], told[commits[5]]) == ("good", "bad")
        assert len(told) <= 5
        patch = await agent.follow(view)
        assert "-4\n" in patch["text"]
        assert "+5\n" in patch["text"]
        again = await agent.call("bisect_run", bisect_id=view["bisect_id"])
        assert again == view


async def test_one_of_200_commits_with_merges_is_found_in_few_steps(
    agent: Agent, upstream: Upstream
) -> None:
    commits = grown(upstream, ["0"])
    start = commits[0]
    # Sides of three commits, merged one after the other; the 131st commit breaks it.
    script = ["set -e"]
    for number in range(50):
        script.append(f"git checkout -q -b side{number} main~0")
        script += [
            f"echo {number}.{part} > side; "
            + ("echo 9 > value; " if (number, part) == (32, 1) else "")
            + f"git add -A; git commit -qm 'Side {number}.{part}'"
            for part in range(3)
        ]
        script.append(
            f"git checkout -q main; git merge -q --no-ff -m 'Merge {number}' side{number}"
        )
    await anyio.run_process(["sh", "-c", "\n".join(script)], cwd=upstream.path)
    assert int(upstream.git("rev-list", "--count", f"{start}..main")) == 200
    view = await bisected(agent, good=start, bad="main", command="sh check.sh")
    assert view["first_bad"]["subject"] == "Side 32.1"
    assert len(view["log"]) <= 11


async def test_commits_that_cannot_be_tested_are_skipped(agent: Agent, upstream: Upstream) -> None:
    commits = grown(upstream, ["0", "0", "x", "x", "1", "9", "9"])
    command = 'grep -q x value && exit 125; test "$(cat value)" -lt 5'
    view = await bisected(agent, good=commits[0], command=command)
    assert view["first_bad"]["commit"] == commits[5]
    skipped = [step for step in view["log"] if step["judgement"] == "skipped"]
    assert {step["why"] for step in skipped} == {"exit code 125"}
    hidden = await bisected(
        agent, good=commits[1], bad=commits[4], command=command.replace("-lt 5", "-lt 1")
    )
    assert hidden["verdict"] == "among"
    assert set(hidden["suspects"]) == set(commits[2:5])


async def test_a_test_decides_by_its_id_and_what_cannot_be_collected_is_skipped(
    agent: Agent, upstream: Upstream
) -> None:
    commits = []
    for number, text in enumerate([TEST, "import nothing_like_it\n", TEST, TEST, TEST]):
        files = {"test_value.py": text, "value": str(number * 2)}
        upstream.commit(f"Step {number}", files)
        commits.append(upstream.git("rev-parse", "HEAD")[:12])
    view = await bisected(agent, good=commits[0], test="test_value.py::test_value")
    assert view["first_bad"]["commit"] == commits[3]
    assert all("< 5" in step["why"] for step in view["log"] if step["judgement"] == "bad")
    among = await bisected(
        agent, good=commits[0], bad=commits[3], command="python -m pytest -q test_value.py",
        test="test_value.py::test_value",
    )  # fmt: skip
    assert among["first_bad"]["commit"] == commits[3]


@pytest.mark.bwrap
async def test_in_the_sandbox_a_test_and_its_patch_find_the_same(
    tmp_path: Path, upstream: Upstream
) -> None:
    commits = grown(upstream, ["0", "1", "6", "7"])
    required = IsolationPolicy.REQUIRE_BWRAP
    settings = Settings(data_dir=tmp_path / "data", isolation=required, grace_seconds=1)
    async with connect("memory-modern", settings) as agent:
        await agent.call("repository_init", url=str(upstream.path))
        how = {"good": commits[0], "patch": added("test_value.py", TEST)}
        view = await bisected(agent, **how, test="test_value.py::test_value")
        assert view["first_bad"]["commit"] == commits[2]


async def test_a_patch_is_carried_along(agent: Agent, upstream: Upstream) -> None:
    commits = grown(upstream, ["0", "1", "2", "6", "7"])
    patch = added("again.sh", CHECK["check.sh"])
    view = await bisected(agent, good=commits[0], patch=patch, command="sh again.sh")
    assert view["first_bad"]["commit"] == commits[3]


async def test_where_the_patch_does_not_apply_is_skipped_with_the_reason(
    agent: Agent, upstream: Upstream
) -> None:
    stricter = CHECK["check.sh"].replace("5", "6")
    patch = f"--- a/check.sh\n+++ b/check.sh\n@@ -1 +1 @@\n-{CHECK['check.sh']}+{stricter}"
    commits = []
    for number, value in enumerate(["0", "1", "2", "3", "6", "7"]):
        script = "exit 3\n" if value in "123" else CHECK["check.sh"]
        files = {"check.sh": script, "value": value, "n": str(number)}
        commits.append(upstream.commit(f"Step {number}", files)[:12])
    view = await bisected(agent, good=commits[0], patch=patch, command="sh check.sh")
    assert view["verdict"] == "among"
    assert set(view["suspects"]) == set(commits[1:5])
    skipped = [step for step in view["log"] if step["judgement"] == "skipped"]
    assert {step["commit"] for step in skipped} == set(commits[1:4])
    assert all("check.sh does not apply" in step["why"] for step in skipped)
    assert not any("command_id" in step for step in skipped)


async def test_where_the_set_up_fails_is_skipped(agent: Agent, upstream: Upstream) -> None:
    commits = grown(upstream, ["0", "x", "1", "9", "9"])
    setup = ["! grep -q x value"]
    await agent.call("repository_init", url=str(upstream.path), name="set-up", setup=setup)
    how = {"repository": "set-up", "command": "sh check.sh"}
    view = await bisected(agent, good=commits[0], bad=commits[2], **how)
    assert view["verdict"] == "inconclusive"  # nothing is bad
    view = await bisected(agent, good=commits[0], bad=commits[3], **how)
    assert view["first_bad"]["commit"] == commits[3]
    among = await bisected(agent, good=commits[0], bad=commits[2], **{**how, "command": GREATER})
    assert (among["verdict"], set(among["suspects"])) == ("among", set(commits[1:3]))
    [skipped] = [step for step in among["log"] if step["judgement"] == "skipped"]
    assert (skipped["commit"], skipped["why"]) == (commits[1], "set-up: failed")


async def test_a_commit_that_does_not_end_is_skipped(agent: Agent, upstream: Upstream) -> None:
    commits = grown(upstream, ["0", "x", "9"])
    command = "grep -q x value && sleep 600; sh check.sh"
    view = await bisected(agent, good=commits[0], command=command, timeout_seconds=10)
    assert (view["verdict"], set(view["suspects"])) == ("among", set(commits[1:]))
    [skipped] = [step for step in view["log"] if step["judgement"] == "skipped"]
    assert (skipped["commit"], skipped["why"]) == (commits[1], "timed_out")


async def test_a_good_commit_on_another_branch_leads_to_where_both_part(
    agent: Agent, upstream: Upstream
) -> None:
    parting = grown(upstream, ["0", "1"])[1]
    upstream.git("checkout", "-q", "-b", "release")
    [good] = grown(upstream, ["2"])
    upstream.git("checkout", "-q", "main")
    commits = grown(upstream, ["3", "6", "7"])
    view = await bisected(agent, good="release", bad="main", command="sh check.sh")
    assert view["first_bad"]["commit"] == commits[1]
    told = judgements(view)
    assert (told[good], told[parting]) == ("good", "good")


async def test_what_only_another_branch_mended_is_no_break_of_this_one(
    agent: Agent, upstream: Upstream
) -> None:
    [parting] = grown(upstream, ["9"])
    upstream.git("checkout", "-q", "-b", "release")
    grown(upstream, ["2"])
    upstream.git("checkout", "-q", "main")
    grown(upstream, ["8", "7"])
    view = await bisected(agent, good="release", bad="main", command="sh check.sh")
    assert view["verdict"] == "inconclusive"
    assert f"where good and bad part, {parting}, is bad" in view["hint"]


@pytest.mark.parametrize(
    ("good", "bad", "says"),
    [(6, 7, "good"), (0, 3, "bad"), (3, 3, "same commit")],
)
async def test_ends_that_are_not_what_they_are_said_to_be_are_told(
    agent: Agent, upstream: Upstream, good: int, bad: int, says: str
) -> None:
    commits = grown(upstream, [str(n) for n in range(8)])
    view = await bisected(agent, good=commits[good], bad=commits[bad], command="sh check.sh")
    assert view["verdict"] == "inconclusive"
    assert says in view["hint"]
    assert len(view.get("log", [])) <= 2


@pytest.mark.parametrize(
    ("asked", "code", "says"),
    [
        ({"command": "true"}, "invalid_input", "good is missing"),
        ({"good": "main"}, "invalid_input", "command"),
        ({"good": "none-such", "command": "true"}, "not_found", "none-such"),
        ({"good": "main", "command": "true", "patch": "x"}, "invalid_input", "patch"),
        ({"bisect_id": "x_none"}, "not_found", "no bisection"),
    ],
)
async def test_what_cannot_be_bisected_is_refused_with_the_reason(
    agent: Agent, asked: dict[str, Any], code: str, says: str
) -> None:
    error = await agent.refused("bisect_run", **asked)
    assert error["error"]["code"] == code, error
    assert says in error["error"]["message"]


async def test_a_bisection_goes_on_after_its_server_was_killed(
    settings_none: Settings, upstream: Upstream, tmp_path: Path
) -> None:
    commits = grown(upstream, [str(n) for n in range(8)])
    tested = tmp_path / "tested"
    tested.mkdir()
    command = f"sleep 1; mkdir {tested}/$(cat value) && sh check.sh"
    with anyio.move_on_after(30):
        async with connect("stdio-modern", settings_none) as agent:
            await agent.call("repository_init", url=str(upstream.path))
            asked = {"good": commits[0], "command": command, "wait_seconds": 0}
            view = await agent.call("bisect_run", **asked)
            await appears(tested / "0")
            os.kill(launched_server(), signal.SIGKILL)
    async with connect("memory-modern", settings_none) as agent:
        while view["state"] == "running":
            view = await agent.call("bisect_run", bisect_id=view["bisect_id"])
        assert view["first_bad"]["commit"] == commits[5]
        assert len(view["log"]) == len(list(tested.iterdir()))  # none ran twice


async def test_a_commit_to_which_the_patch_does_not_apply_is_skipped(
    agent: Agent, upstream: Upstream
) -> None:
    commits = []
    for number, shown in enumerate(["one", "one", "two", "two", "one"]):
        files = {**CHECK, "value": str(number * 2), "shown": f"{shown}\n"}
        upstream.commit(f"Step {number}", files)
        commits.append(upstream.git("rev-parse", "HEAD")[:12])
    patch = "--- a/shown\n+++ b/shown\n@@ -1 +1 @@\n-one\n+patched\n"
    view = await bisected(
        agent, good=commits[0], patch=patch, command="grep -q patched shown && sh check.sh"
    )
    assert view["verdict"] == "among"
    assert set(view["suspects"]) == set(commits[2:])
    told = judgements(view)
    assert {told[commit] for commit in commits[2:4]} == {"skipped"}
    assert all("shown" in step["why"] for step in view["log"] if step["judgement"] == "skipped")


async def test_a_commit_whose_command_runs_out_of_time_is_skipped(
    agent: Agent, upstream: Upstream
) -> None:
    commits = grown(upstream, ["0", "1", "hangs", "6", "7"])
    view = await bisected(
        agent,
        good=commits[0],
        command="grep -q hangs value && sleep 60; sh check.sh",
        timeout_seconds=5,
    )
    assert set(view["suspects"]) == set(commits[2:4])
    [hung] = [step for step in view["log"] if step["commit"] == commits[2]]
    assert (hung["judgement"], hung["why"]) == ("skipped", "timed_out")


async def test_a_commit_whose_set_up_fails_is_skipped(agent: Agent, upstream: Upstream) -> None:
    commits = grown(upstream, ["0", "1", "broken", "6", "7"])
    await agent.call("repository_init", url=str(upstream.path), setup=["! grep -q broken value"])
    view = await bisected(agent, good=commits[0], command="sh check.sh")
    assert set(view["suspects"]) == set(commits[2:4])
    [broken] = [step for step in view["log"] if step["commit"] == commits[2]]
    assert (broken["judgement"], "set-up" in broken["why"]) == ("skipped", True), broken


async def test_a_good_commit_of_another_branch_leads_back_to_where_they_part(
    agent: Agent, upstream: Upstream
) -> None:
    [root] = grown(upstream, ["0"])
    upstream.git("checkout", "-q", "-b", "maintained")
    upstream.commit("Fix an old version", {"fix": "yes\n"})
    maintained = upstream.git("rev-parse", "HEAD")[:12]
    upstream.git("checkout", "-q", "main")
    commits = grown(upstream, ["1", "2", "6", "7"])
    view = await bisected(agent, good=maintained, bad=commits[-1], command="sh check.sh")
    assert view["first_bad"]["commit"] == commits[2]
    assert judgements(view)[root] == "good"
