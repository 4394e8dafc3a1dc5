"""Work on its way to the person: branches, patches, bundles, pushes, and what closing saves."""

import shlex
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from debug_mcp.config import IsolationPolicy, Settings
from tests.clients import Agent, connect, opened, run
from tests.upstream import FIX, Upstream

pytestmark = pytest.mark.anyio


@pytest.fixture
async def near(settings: Settings) -> AsyncIterator[Agent]:
    """One way in is enough for what no way in can change."""
    async with connect("memory-modern", settings) as agent:
        yield agent


@pytest.fixture
async def plain(settings: Settings) -> AsyncIterator[Agent]:
    """And one level of isolation for what no level can change."""
    settings = settings.model_copy(update={"isolation": IsolationPolicy.NONE})
    async with connect("memory-modern", settings) as agent:
        yield agent


def by_hand(folder: Path, line: str) -> str:
    """Run a command line as the person beside the agent would."""
    done = subprocess.run(shlex.split(line), cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout


async def test_work_leaves_as_a_patch_a_bundle_and_a_branch_of_the_upstream(
    agent: Agent, upstream: Upstream, tmp_path: Path
) -> None:
    session = await opened(agent, upstream, patch=FIX)
    await run(agent, session, "echo new > new.txt; printf '\\0' > odd.bin")

    patch = await agent.call("session_export", session_id=session, **{"as": "patch"})
    assert patch["files"] == ["calculator.py", "new.txt", "odd.bin"]
    assert patch["lines"] == "+2 -1"
    by_hand(upstream.path, patch["apply"])
    assert upstream.git("status", "--short") == "M calculator.py\n?? new.txt\n?? odd.bin"
    upstream.git("reset", "--hard", "--quiet")
    upstream.git("clean", "--force", "--quiet")

    bundle = await agent.call("session_export", session_id=session, **{"as": "bundle"})
    by_hand(upstream.path, bundle["apply"])
    assert upstream.git("show", f"{bundle['branch']}:new.txt") == "new"

    pushed = await agent.call("session_export", session_id=session, branch="fix/add", push=True)
    assert pushed["pushed"] == f"fix/add of {upstream.path}"
    assert upstream.git("rev-parse", "fix/add") == pushed["commit"] == bundle["commit"]


async def test_a_push_is_repeated_without_harm_and_never_moves_a_branch(
    plain: Agent, upstream: Upstream
) -> None:
    session = await opened(plain, upstream, patch=FIX)
    push = {"session_id": session, "branch": "fix", "push": True}
    first = await plain.call("session_export", **push)
    again = await plain.call("session_export", **push)
    assert (again["commit"], again["pushed"]) == (first["commit"], first["pushed"])

    await run(plain, session, "echo more > more.txt")
    refused = await plain.refused("session_export", **push)
    assert refused["error"]["code"] == "conflict"
    assert "has a branch 'fix' already" in refused["error"]["message"]
    assert upstream.git("rev-parse", "fix") == first["commit"]
    main = await plain.refused("session_export", **{**push, "branch": "main"})
    assert main["error"]["field"] == "branch"


async def test_an_upstream_that_refuses_a_push_is_quoted(plain: Agent, upstream: Upstream) -> None:
    hook = upstream.path / ".git" / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho no branches on Mondays >&2\nexit 1\n")
    hook.chmod(0o755)
    session = await opened(plain, upstream, patch=FIX)
    refused = await plain.refused("session_export", session_id=session, push=True)
    assert refused["error"]["code"] == "tool_failed"
    assert "no branches on Mondays" in refused["error"]["message"]


async def test_a_patch_is_not_pushed_and_nothing_is_not_exported(
    plain: Agent, upstream: Upstream
) -> None:
    session = await opened(plain, upstream)
    for kind in ("branch", "patch", "bundle"):
        nothing = await plain.refused("session_export", session_id=session, **{"as": kind})
        assert nothing["error"]["code"] == "conflict"
    refused = await plain.refused(
        "session_export", session_id=session, push=True, **{"as": "patch"}
    )
    assert refused["next"]["arguments"]["as"] == "branch"


async def test_a_patch_leaves_the_session_as_it_was(near: Agent, upstream: Upstream) -> None:
    session = await opened(near, upstream, patch=FIX)
    before = await run(near, session, "git status --short; git rev-parse HEAD")
    await near.call("session_export", session_id=session, **{"as": "patch"})
    assert await run(near, session, "git status --short; git rev-parse HEAD") == before


async def test_names_for_what_the_upstream_has_and_notes_are_saved_too(
    near: Agent, upstream: Upstream
) -> None:
    session = await opened(near, upstream)
    await run(
        near,
        session,
        "git tag light && git branch here && git notes add -m 'looked at' && "
        "git update-ref refs/tags/unknown $(git commit-tree -m x HEAD^{tree})",
    )
    closed = await near.call("session_close", session_id=session)
    exported = closed["exported"]
    assert exported["others"] == ["heads/here", "notes/commits", "tags/light", "tags/unknown"]
    by_hand(upstream.path, exported["fetch_others"])
    assert upstream.git("rev-parse", f"{session}/light") == upstream.git("rev-parse", "HEAD")
    noted = upstream.git("notes", f"--ref={session}/commits", "show", "HEAD")
    assert noted == "looked at"


async def test_closing_saves_other_branches_tags_and_stashes(
    near: Agent, upstream: Upstream
) -> None:
    session = await opened(near, upstream)
    await run(
        near,
        session,
        "git switch -qc aside && echo aside > aside.txt && git add . && git commit -qm aside && "
        "git tag -a kept -m kept && git switch -q - && "
        "echo one >> calculator.py && git stash -q && echo two > two.txt && git stash -qu && "
        "echo main > main.txt",
    )
    closed = await near.call("session_close", session_id=session)
    exported = closed["exported"]
    assert exported["others"] == ["heads/aside", "stashes/0", "stashes/1", "tags/kept"]
    again = await near.call("session_get", session_id=session)
    assert again["exported"]["others"] == exported["others"]

    by_hand(upstream.path, exported["fetch"])
    assert upstream.git("show", f"{exported['branch']}:main.txt") == "main"
    by_hand(upstream.path, exported["fetch_others"])
    assert upstream.git("show", f"{session}/aside:aside.txt") == "aside"
    assert upstream.git("tag", "--list") == f"{session}/kept"
    upstream.git("stash", "apply", "--quiet", f"stashes/{session}/1")
    assert (upstream.path / "calculator.py").read_text().endswith("one\n")


async def test_closing_saves_a_branch_although_the_tree_itself_has_no_work(
    near: Agent, upstream: Upstream
) -> None:
    session = await opened(near, upstream)
    await run(
        near,
        session,
        "git switch -qc aside && echo x > x && git add . && git commit -qm x && git switch -q -",
    )
    closed = await near.call("session_close", session_id=session)
    assert closed["exported"]["others"] == ["heads/aside"]
    assert "branch" not in closed["exported"]


async def test_more_work_than_memory_should_hold_is_exported_and_closed(
    plain: Agent, upstream: Upstream
) -> None:
    session = await opened(plain, upstream)
    await run(plain, session, "head -c 100M /dev/urandom > large.bin")
    closed = await plain.call("session_close", session_id=session)
    by_hand(upstream.path, closed["exported"]["fetch"])
    size = upstream.git("cat-file", "-s", f"{closed['exported']['branch']}:large.bin")
    assert int(size) == 100 * 1024 * 1024
    kept = (await plain.call("artifact_list", session_id=session))["artifacts"]
    assert [found["name"] for found in kept if found["size"] > 100 * 1024 * 1024] == ["final.patch"]


async def test_a_lock_that_a_killed_server_left_does_not_stop_an_export(
    near: Agent, settings: Settings, upstream: Upstream
) -> None:
    session = await opened(near, upstream, patch=FIX)
    lock = settings.data_dir / "sessions" / session / "tree" / ".git" / "index.lock"
    lock.touch()
    exported = await near.call("session_export", session_id=session)
    assert exported["files"] == ["calculator.py"]
    assert not lock.exists()


async def test_a_lock_that_a_command_may_hold_stays(
    near: Agent, settings: Settings, upstream: Upstream
) -> None:
    session = await opened(near, upstream, patch=FIX)
    held = await near.call(
        "command_run", session_id=session, wait_seconds=0,
        command="touch .git/index.lock; until [ -e go ]; do sleep 0.01; done",
    )  # fmt: skip
    waited = await near.call(
        "command_run",
        session_id=session,
        parallel=True,
        command="until [ -e .git/index.lock ]; do sleep 0.01; done",
    )
    assert waited["outcome"] == "succeeded"
    refused = await near.refused("session_export", session_id=session)
    assert "index.lock" in refused["error"]["message"]
    assert (settings.data_dir / "sessions" / session / "tree" / ".git" / "index.lock").exists()
    await near.call("command_cancel", command_id=held["command_id"])


async def test_all_branches_are_saved_and_the_first_are_named(
    plain: Agent, upstream: Upstream
) -> None:
    session = await opened(plain, upstream)
    await run(
        plain,
        session,
        "for n in $(seq 260); do echo create refs/heads/b$n "
        "$(git commit-tree -p HEAD -m $n HEAD^{tree}); done | git update-ref --stdin",
    )
    closed = await plain.call("session_close", session_id=session)
    exported = closed["exported"]
    assert len(exported["others"]) + exported["more_others"] == 260
    by_hand(upstream.path, exported["fetch_others"])
    assert len(upstream.git("branch", "--list", f"{session}/*").splitlines()) == 260


async def test_a_filter_that_fails_keeps_no_session_open(near: Agent, upstream: Upstream) -> None:
    session = await opened(near, upstream)
    await run(
        near,
        session,
        "git config filter.x.clean 'exit 1' && git config filter.x.required true && "
        "echo '*.txt filter=x' > .gitattributes && echo as it is > work.txt",
    )
    refused = await near.refused("session_export", session_id=session)
    assert refused["error"]["code"] == "tool_failed"
    closed = await near.call("session_close", session_id=session)
    assert "filters failed" in closed["exported"]["hint"]
    by_hand(upstream.path, closed["exported"]["fetch"])
    assert upstream.git("show", f"{closed['exported']['branch']}:work.txt") == "as it is"


@pytest.mark.parametrize("name", ["index", "HEAD", "config"])
async def test_a_pipe_where_git_expects_a_file_makes_nothing_wait(
    near: Agent, upstream: Upstream, name: str
) -> None:
    session = await opened(near, upstream)
    await run(near, session, f"echo work > work.txt; rm .git/{name}; mkfifo .git/{name}")
    for tool in ("session_diff", "session_export"):
        refused = await near.refused(tool, session_id=session)
        assert f".git/{name} is no file" in refused["error"]["message"]
    closed = await near.call("session_close", session_id=session)
    by_hand(upstream.path, closed["exported"]["fetch"])
    assert upstream.git("show", f"{closed['exported']['branch']}:work.txt") == "work"
