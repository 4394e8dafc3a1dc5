"""Repositories and sessions as git sees them: fresh, private, hostile, and given back whole."""

import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from debug_mcp.config import IsolationPolicy, Settings
from tests.clients import Agent, connect, opened, run
from tests.upstream import Upstream

pytestmark = pytest.mark.anyio


@pytest.fixture
async def agent(settings: Settings) -> AsyncIterator[Agent]:
    async with connect("memory-modern", settings) as agent:
        yield agent


def mirror(settings: Settings) -> Path:
    return next(settings.data_dir.glob("repositories/r_????"))


async def refs(repository: Path) -> str:
    done = await anyio.run_process(["git", "for-each-ref"], cwd=repository)
    return done.stdout.decode()


async def test_a_session_starts_at_what_the_upstream_has_now(
    agent: Agent, upstream: Upstream
) -> None:
    await opened(agent, upstream)
    newest = upstream.commit("Another", {"new.txt": "new\n"})
    view = await agent.call("session_create")
    assert view["commit"] == newest


async def test_the_head_follows_the_upstreams_default_branch(
    agent: Agent, upstream: Upstream
) -> None:
    await opened(agent, upstream)
    upstream.git("checkout", "-q", "-b", "trunk")
    newest = upstream.commit("On the trunk", {"new.txt": "new\n"})
    upstream.git("branch", "-D", "main")
    view = await agent.call("repository_init", url=str(upstream.path))
    assert view["head"] == {"ref": "trunk", "commit": newest}
    assert view["branches"] == ["trunk"]


async def test_an_upstream_that_stands_on_no_branch_is_followed_too(
    agent: Agent, upstream: Upstream
) -> None:
    upstream.git("checkout", "-q", "--detach")
    alone = upstream.commit("On no branch", {"new.txt": "new\n"})
    view = await agent.call("session_create", repository=str(upstream.path))
    assert (view["ref"], view["commit"]) == ("HEAD", alone)


async def test_branches_tags_and_short_commits_are_refs(agent: Agent, upstream: Upstream) -> None:
    first = upstream.git("rev-parse", "HEAD")
    upstream.git("tag", "-a", "v1", "-m", "one")
    upstream.git("branch", "feature/one")
    upstream.commit("Second", {"second.txt": ""})
    for ref in ("v1", "feature/one", first, first[:8], first[:12]):
        view = await agent.call("session_create", repository=str(upstream.path), ref=ref)
        assert view["commit"] == first


async def test_an_empty_repository_is_refused(agent: Agent, tmp_path: Path) -> None:
    empty = Upstream(tmp_path / "empty")
    refused = await agent.refused("repository_init", url=str(empty.path))
    assert "no commit" in refused["error"]["message"]


@pytest.mark.parametrize("place", ["with space", "bare.git", "linked", "inside/a/folder"])
async def test_wherever_a_repository_is_it_can_be_registered(
    agent: Agent, upstream: Upstream, tmp_path: Path, place: str
) -> None:
    path = tmp_path / place
    match place:
        case "with space":
            upstream.path.rename(path)
        case "bare.git":
            upstream.git("clone", "-q", "--bare", ".", str(path))
        case "linked":
            upstream.git("worktree", "add", "-q", str(path), "-b", "linked")
        case _:
            path = upstream.path / "inside/a/folder"
            path.mkdir(parents=True)
    view = await agent.call("repository_init", url=f"file://{path}".replace(" ", "%20"))
    assert view["state"] == "ready"


async def test_two_repositories_of_one_name_need_two_names(
    agent: Agent, upstream: Upstream, tmp_path: Path
) -> None:
    await agent.call("repository_init", url=str(upstream.path))
    other = Upstream(tmp_path / "elsewhere" / "calculator")
    other.commit("Other", {"other.txt": ""})
    refused = await agent.refused("repository_init", url=str(other.path))
    assert refused["error"]["code"] == "conflict"
    assert (await agent.follow(refused))["repository"] == "calculator-2"


async def test_git_works_in_a_session_and_touches_nothing_else(
    agent: Agent, upstream: Upstream, settings: Settings
) -> None:
    upstream.git("tag", "-a", "v1", "-m", "one")
    one, two = await opened(agent, upstream), await opened(agent, upstream)
    before = await refs(mirror(settings))
    work = (
        "git describe && git branch other && git tag mine && echo x > new && git add new && "
        "git commit -qm 'Add new' && echo y >> new && git stash -q && git stash list && "
        "git log --format='%an <%ae> %s' -1 && git branch -r && git fsck --no-progress"
    )
    output = await run(agent, one, work)
    assert output.startswith("v1\n")
    assert "Ada Example <ada@example.org> Add new" in output
    assert "origin/main" in output
    assert await refs(mirror(settings)) == before
    assert "new" not in await run(agent, two, "ls; git branch; git tag; git stash list")
    assert upstream.git("branch", "--list", "other") == ""


async def test_what_is_exported_is_everything_that_is_not_ignored(
    agent: Agent, upstream: Upstream
) -> None:
    session = await opened(agent, upstream)
    await run(
        agent,
        session,
        "mkdir build && touch build/ignored && echo 1 > added && rm pytest.ini && "
        "git mv calculator.py sums.py && mkdir __pycache__ && touch __pycache__/x.pyc",
    )
    view = await agent.call("session_export", session_id=session)
    assert sorted(view["files"]) == ["added", "calculator.py", "pytest.ini", "sums.py"]
    assert view["branch"] == f"debug-mcp/{session}"


async def test_the_fetch_line_works_again_after_more_work_and_closing_adds_nothing(
    agent: Agent, upstream: Upstream
) -> None:
    session = await opened(agent, upstream)
    await run(agent, session, "echo 1 > one")
    first = await agent.call("session_export", session_id=session, branch="work")
    await anyio.run_process(first["fetch"], cwd=upstream.path)
    await run(agent, session, "echo 2 > two")
    second = await agent.call("session_export", session_id=session, branch="work")
    assert second["fetch"] == first["fetch"]
    await anyio.run_process(second["fetch"], cwd=upstream.path)
    assert upstream.git("rev-parse", "work") == second["commit"]
    assert upstream.git("rev-parse", "work~1") == first["commit"]
    closed = await agent.call("session_close", session_id=session)
    assert (closed["exported"]["branch"], closed["exported"]["commit"]) == (
        "work",
        second["commit"],
    )
    patch = await agent.call("artifact_list", session_id=session)
    assert [(found["name"], found["kind"]) for found in patch["artifacts"]] == [
        ("final.patch", "patch")
    ]
    again = await agent.call("session_close", session_id=session)
    assert again["state"] == "closed"


async def test_two_sessions_may_export_under_one_name_and_neither_takes_the_others_place(
    agent: Agent, upstream: Upstream, settings: Settings
) -> None:
    one, two = await opened(agent, upstream), await opened(agent, upstream)
    await run(agent, one, "echo one > file")
    await run(agent, two, "echo two > file")
    first = await agent.call("session_export", session_id=one, branch="same")
    second = await agent.call("session_export", session_id=two, branch="same")
    await anyio.run_process(first["fetch"], cwd=upstream.path)
    assert upstream.git("show", "same:file") == "one"
    with pytest.raises(subprocess.CalledProcessError, match="non-zero"):
        await anyio.run_process(second["fetch"], cwd=upstream.path)
    assert upstream.git("show", "same:file") == "one"


async def test_a_report_that_was_collected_is_pointed_at_when_it_is_exported(
    agent: Agent, upstream: Upstream
) -> None:
    session = await opened(agent, upstream)
    await run(agent, session, "echo '<testsuites/>' > report.xml; echo 1 > work")
    await agent.call("artifact_list", session_id=session, collect="*.xml")
    view = await agent.call("session_export", session_id=session)
    assert view["hint"].startswith("report.xml in the branch was also kept as an artifact")


async def test_exports_survive_the_pruning_fetch(
    agent: Agent, upstream: Upstream, settings: Settings
) -> None:
    session = await opened(agent, upstream)
    await run(agent, session, "echo 1 > one")
    view = await agent.call("session_export", session_id=session)
    upstream.git("branch", "gone")
    await agent.call("repository_init", url=str(upstream.path))
    upstream.git("branch", "-D", "gone")
    await agent.call("repository_init", url=str(upstream.path))
    assert "gone" not in await refs(mirror(settings))
    await anyio.run_process(view["fetch"], cwd=upstream.path)


PLANTS = {
    "a file system monitor": "git config core.fsmonitor '{code}'",
    "a hook": "mkdir hooks; printf '#!/bin/sh\\n{code}\\n' > hooks/pre-commit; "
    "chmod +x hooks/*; git config core.hooksPath hooks",
    "a filter": "git config filter.x.clean '{code}; cat'; echo '* filter=x' > .gitattributes",
    "a converter": "git config diff.x.textconv '{code}; cat'; echo '* diff=x' > .gitattributes",
    "an external diff": "git config diff.external '{code}'",
    "another git directory": "mv .git hidden; echo 'gitdir: hidden' > .git; "
    "git config core.fsmonitor '{code}'",
}


# Without a sandbox it would run with the rights that the command had anyway.
@pytest.mark.parametrize(
    "settings",
    [pytest.param(IsolationPolicy.REQUIRE_BWRAP, marks=pytest.mark.bwrap, id="bwrap")],
    indirect=True,
)
@pytest.mark.parametrize("plant", PLANTS)
async def test_what_a_command_plants_in_its_git_directory_never_runs_outside_of_the_sandbox(
    agent: Agent, upstream: Upstream, settings: Settings, tmp_path: Path, plant: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    session = await opened(agent, upstream)
    code = f"touch {outside}/ran /workspace/ran-inside"
    await agent.call(
        "command_run", session_id=session, command=f"{PLANTS[plant].format(code=code)}; echo 1 > f"
    )
    result = await agent.client.call_tool("session_close", {"session_id": session})
    assert list(outside.iterdir()) == []
    # It ends: with the work saved, or with an error that leaves the session as it was.
    content: dict[str, Any] = result.structured_content
    assert ("exported" in content) or ("error" in content), content
