"""The story of the demo: from a failing test to a fix in the person's checkout."""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import anyio
from mcp import Client
from mcp.client.stdio import StdioServerParameters

from debug_mcp.demo import project
from debug_mcp.demo.stage import DemoFailed, Stage

_PYTEST_MISSING = (
    "the demo's own repository is tested with pytest, and there is none on PATH: install "
    "'debug-mcp[demo]', or show your own with --repo PATH --command '...'"
)


async def run_demo(repo: Path | None, command: str | None) -> int:
    """Run the demo and return its exit code: 1 when any step is not as it should be."""
    began = time.perf_counter()
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    if repo is None and shutil.which("pytest", path=path) is None:
        print(f"debug-mcp demo: {_PYTEST_MISSING}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="debug-mcp-demo-data-") as data:
        async with Client(_server(data, path)) as client:
            print(f"A debug-mcp server is running; the client speaks {client.protocol_version}.")
            try:
                await _story(Stage(client), repo, command)
            except DemoFailed as failure:
                print(f"\ndebug-mcp demo: not as it should be: {failure}", file=sys.stderr)
                return 1
    print(f"\nDone in {time.perf_counter() - began:.1f} s.")
    return 0


async def _story(stage: Stage, repo: Path | None, command: str | None) -> None:
    if repo is None:
        await _own_story(stage, command or project.TEST_COMMAND)
    else:
        await _your_story(stage, repo, command)


async def _own_story(stage: Stage, command: str) -> None:
    """Break, find, mend and deliver, in a repository made for it."""
    upstream = Path(tempfile.mkdtemp(prefix="debug-mcp-demo-")) / "durations"
    upstream.mkdir()
    await anyio.to_thread.run_sync(project.build, upstream)

    stage.step(f"A repository with history, in {upstream}")
    stage.note(project.git(upstream, "log", "--oneline"))
    await stage.call("repository_init", url=str(upstream))

    stage.step("A session at its newest commit: the tests fail")
    broken = await stage.call("session_create", repository="durations")
    failed = await stage.follow(
        await stage.call("command_run", session_id=broken["session_id"], command=command)
    )
    stage.expect(failed["outcome"] == "failed", "the tests should fail before the fix")

    stage.step("The call that the answer names: the first of them, stopped where it failed")
    stopped = await stage.call(failed["next"]["tool"], **failed["next"]["arguments"])
    stage.expect(stopped["reason"] == "test_failed", "the debugger should stop at the failure")
    inside = await stage.call(
        "debug_control",
        debug_id=stopped["debug_id"],
        action="restart",
        breakpoints=[project.RESULT],
    )
    stage.expect("90" in inside["locals"]["counts"], "the locals should show the cause")
    await stage.call("session_close", session_id=broken["session_id"])

    stage.step("A second session, with a patch: the tests pass")
    mended = await stage.call("session_create", repository="durations", patch=project.FIX)
    session = mended["session_id"]
    passed = await stage.follow(
        await stage.call("command_run", session_id=session, command=command)
    )
    stage.expect(passed["outcome"] == "succeeded", "the tests should pass with the fix")

    stage.step("The test report, kept as an artifact and read as an MCP resource")
    listing = await stage.call("artifact_list", session_id=session, collect=[project.REPORT])
    stage.expect(len(listing.get("artifacts", ())) == 1, "one report should be collected")
    report = await stage.read(listing["artifacts"][0]["uri"])
    stage.expect('failures="0"' in report, "the report should count no failure")

    stage.step("The fix becomes a branch, and the person fetches it")
    exported = await stage.call(
        "session_export", session_id=session, branch="fix-show", message="Carry the remainder on"
    )
    fetched = subprocess.run(  # noqa: ASYNC221, S603
        shlex.split(exported["fetch"]), cwd=upstream, check=False, capture_output=True, text=True
    )
    stage.expect(fetched.returncode == 0, f"the fetch should work: {fetched.stderr}")
    stage.note(f"$ cd {upstream} && {exported['fetch']}")
    stage.note(project.git(upstream, "log", "--oneline", "--graph", "--all"))
    arrived = project.git(upstream, "rev-parse", "fix-show")
    stage.expect(arrived == exported["commit"], "the branch should be in the checkout")
    stage.expect(not project.git(upstream, "status", "--porcelain"), "nothing else may change")
    await stage.call("session_close", session_id=session)
    print(f"\nThe branch fix-show is in {upstream}; delete the folder when you have looked at it.")


async def _your_story(stage: Stage, repo: Path, command: str | None) -> None:
    """Run one command in a session on the person's own repository."""
    stage.step(f"A session on {repo}")
    session = await stage.call("session_create", repository=str(repo))
    asked = command or session.get("project", {}).get("tests")
    if asked is None:
        raise DemoFailed("it does not say how it is tested: give --command '...'")
    stage.step("Your command in it")
    ended = await stage.follow(
        await stage.call("command_run", session_id=session["session_id"], command=asked)
    )
    stage.expect("exit_code" in ended, f"the command should end by itself: {ended['outcome']}")
    stage.step("The session is closed; your checkout was never touched")
    await stage.call("session_close", session_id=session["session_id"])


def _server(data: str, path: str) -> StdioServerParameters:
    return StdioServerParameters(
        command=sys.executable,
        args=["-m", "debug_mcp", "stdio", "--data-dir", data],
        env={"PATH": path},
    )
