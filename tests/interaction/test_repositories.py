"""Repositories as an agent meets them: registered, configured, followed and removed."""

import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client

from debug_mcp.auth.principal import LOCAL, Principal, Scope
from debug_mcp.config import IsolationPolicy, Settings
from debug_mcp.interfaces.server import build_server
from debug_mcp.service.services import Services
from tests.clients import WAYS, Agent, connect, run
from tests.upstream import Upstream

pytestmark = pytest.mark.anyio

ways = pytest.mark.parametrize("way", WAYS)
# The boundary around commands makes no difference to what is tested here.
plain = pytest.mark.parametrize("settings", [IsolationPolicy.NONE], indirect=True)


@pytest.fixture
async def agent(settings: Settings) -> AsyncIterator[Agent]:
    async with connect("memory-modern", settings) as agent:
        yield agent


async def test_settings_stay_with_a_repository_until_they_are_given_again(
    services: Services, upstream: Upstream
) -> None:
    async with Client(build_server(services, lambda: LOCAL)) as client:
        agent = Agent(client)

        async def init(**settings: Any) -> None:
            await agent.call("repository_init", url=str(upstream.path), **settings)

        await init(setup="make deps", artifacts="build/*.xml", env={"N": 1})
        await init(setup=["one", "two"], default_ref="main", depth="2")
        await init()
    stored = await services.repositories.find(LOCAL, "calculator")
    assert stored.setup == ("one", "two")
    assert stored.artifacts == ("build/*.xml",)
    assert stored.env == {"N": "1"}
    assert (stored.default_ref, stored.depth) == ("main", 2)


@ways
@plain
async def test_repositories_are_listed_and_removed_once_no_session_is_open(
    way: str, settings: Settings, upstream: Upstream, tmp_path: Path
) -> None:
    other = Upstream(tmp_path / "other")
    other.commit("Other", {"other.txt": ""})
    async with connect(way, settings) as agent:
        assert await agent.call("repository_list") == {}
        await agent.call("repository_init", url=str(other.path), setup="true", env={"KEY": "value"})
        session = await agent.call("session_create", repository=str(upstream.path))
        listed = (await agent.call("repository_list"))["repositories"]
        assert [row["repository"] for row in listed] == ["calculator", "other"]
        assert listed[1]["url"] == str(other.path)
        assert (listed[1]["setup"], listed[1]["env"]) == (["true"], ["KEY"])
        assert listed[1]["synced_at"]
        [one] = (await agent.call("repository_list", name="calculator"))["repositories"]
        assert one["branches"] == ["main"]
        unknown = await agent.refused("repository_list", name="calculater")
        assert unknown["error"]["candidates"] == ["calculator", "other"]

        refused = await agent.refused("repository_remove", name="calculator")
        assert session["session_id"] in refused["error"]["message"]
        await run(agent, session["session_id"], "echo 1 > work")
        removed = await agent.follow(refused)
        assert removed["state"] == "removed"
        assert removed["closed"] == [session["session_id"]]
        assert removed["hint"] == "1 exported branches can still be fetched"
        closed = await agent.call("session_close", session_id=session["session_id"])
        await anyio.run_process(closed["exported"]["fetch"], cwd=upstream.path)
        assert upstream.git("show", f"{closed['exported']['branch']}:work") == "1"

        assert (await agent.call("repository_remove", name="other"))["state"] == "removed"
        assert await agent.call("repository_list") == {}
        assert len(list(settings.data_dir.glob("repositories/r_????"))) == 1
        again = await agent.call("session_create", repository=str(upstream.path))
        assert again["repository"] == "calculator"


async def test_somebody_elses_session_keeps_a_repository(
    services: Services, upstream: Upstream
) -> None:
    other = Principal("other", frozenset(Scope))
    async with (
        Client(build_server(services, lambda: LOCAL)) as mine,
        Client(build_server(services, lambda: other)) as theirs,
    ):
        await Agent(mine).call("repository_init", url=str(upstream.path))
        session = await Agent(theirs).call("session_create", repository="calculator")
        refused = await Agent(mine).refused("repository_remove", name="calculator", force=True)
        assert "1 of others" in refused["error"]["message"]
        assert session["session_id"] not in refused["text"]


async def test_a_path_of_the_machine_is_nothing_for_others(
    services: Services, upstream: Upstream
) -> None:
    other = Principal("other", frozenset(Scope))
    async with (
        Client(build_server(services, lambda: LOCAL)) as mine,
        Client(build_server(services, lambda: other)) as theirs,
    ):
        for url in (str(upstream.path), f"file://{upstream.path}", "~/x", "/etc"):
            for tool, key in (("repository_init", "url"), ("session_create", "repository")):
                refused = await Agent(theirs).refused(tool, **{key: url})
                assert refused["error"]["code"] == "invalid_input"
                assert "not yours to name" in refused["error"]["message"]
        await Agent(mine).call("repository_init", url=str(upstream.path))
        listed = await Agent(theirs).call("repository_list")
        assert str(upstream.path) not in str(listed)
        assert (await Agent(theirs).call("session_create", repository="calculator"))["commit"]


@plain
async def test_sessions_start_at_the_repositorys_own_ref(agent: Agent, upstream: Upstream) -> None:
    upstream.git("checkout", "-q", "-b", "next")
    newest = upstream.commit("Next", {"next.txt": ""})
    upstream.git("checkout", "-q", "main")
    await agent.call("repository_init", url=str(upstream.path), default_ref="next")
    view = await agent.call("session_create")
    assert (view["ref"], view["commit"]) == ("next", newest)
    assert (await agent.call("session_create", ref="main"))["ref"] == "main"
    refused = await agent.refused("repository_init", url=str(upstream.path), default_ref="a..b")
    assert refused["error"]["field"] == "default_ref"


@plain
async def test_a_shallow_repository_has_as_much_history_as_was_asked_for(
    agent: Agent, upstream: Upstream
) -> None:
    for number in range(5):
        upstream.commit(f"Change {number}", {"number": f"{number}"})

    async def commits() -> str:
        session = (await agent.call("session_create"))["session_id"]
        return await run(agent, session, "git rev-list --count HEAD; git fsck 2>&1; git status -s")

    await agent.call("repository_init", url=str(upstream.path), depth=2)
    assert await commits() == "2\n"
    newest = upstream.commit("Newest", {"newest": ""})
    assert (await agent.call("session_create"))["commit"] == newest
    await agent.call("repository_init", url=str(upstream.path), depth=4)
    assert await commits() == "4\n"
    await agent.call("repository_init", url=str(upstream.path), depth=0)
    assert await commits() == "7\n"


@plain
async def test_work_in_a_shallow_session_is_exported_and_fetched(
    agent: Agent, upstream: Upstream
) -> None:
    upstream.commit("Second", {"second": ""})
    await agent.call("repository_init", url=str(upstream.path), depth=1)
    session = (await agent.call("session_create"))["session_id"]
    await run(agent, session, "echo 1 > work")
    view = await agent.call("session_export", session_id=session)
    await anyio.run_process(view["fetch"], cwd=upstream.path)
    assert upstream.git("show", f"{view['branch']}:work") == "1"


def raw_object(upstream: Upstream, kind: str, content: bytes) -> str:
    done = subprocess.run(
        ["git", "hash-object", "-t", kind, "-w", "--stdin", "--literally"],
        input=content, cwd=upstream.path, capture_output=True, check=True,
    )  # fmt: skip
    return done.stdout.decode().strip()


@plain
async def test_a_history_with_old_faults_is_taken(agent: Agent, upstream: Upstream) -> None:
    blob = raw_object(upstream, "blob", b"old\n")
    tree = raw_object(upstream, "tree", b"0100644 old.txt\0" + bytes.fromhex(blob))
    person = b"Ada <ada@example.org>"
    commit = raw_object(
        upstream,
        "commit",
        b"tree %b\nauthor %b 1234567890 +051800\ncommitter %b> 1234567890 +051800\n\nOld\n"
        % (tree.encode(), person, person.removesuffix(b">")),
    )
    upstream.git("update-ref", "refs/heads/old", commit)
    await agent.call("repository_init", url=str(upstream.path))
    view = await agent.call("session_create", ref="old")
    assert await run(agent, view["session_id"], "cat old.txt") == "old\n"
    # What is dangerous is not.
    bad = raw_object(upstream, "tree", b"100644 .git\0" + bytes.fromhex(blob))
    worse = raw_object(
        upstream,
        "commit",
        b"tree %b\nauthor %b 1 +0000\ncommitter %b 1 +0000\n\nBad\n"
        % (bad.encode(), person, person),
    )
    upstream.git("update-ref", "refs/heads/bad", worse)
    hint = (await agent.call("repository_init", url=str(upstream.path)))["hint"]
    assert "git fetch failed" in hint


@plain
async def test_thousands_of_odd_names_are_followed_and_few_are_shown(
    agent: Agent, upstream: Upstream
) -> None:
    commit = upstream.git("rev-parse", "HEAD")
    odd = ["größe", "a'b\"c", "$(x)", "-dash", "x" * 200, "a/b/c", "ends.lockx"]
    names = [*odd, *(f"many/{number}" for number in range(3000))]
    lines = b"".join(f"create refs/heads/{name} {commit}\n".encode() for name in names)
    latin = b"create refs/heads/caf\xe9 %b\n" % commit.encode()
    command = ["git", "update-ref", "--stdin"]
    await anyio.run_process(command, input=lines + latin, cwd=upstream.path)
    view = await agent.call("repository_init", url=str(upstream.path))
    assert len(view["branches"]) == 20
    assert view["branches"][0] == "main"
    assert view["more_branches"] == len(names) + 2 - 20
    for ref in ("größe", "a'b\"c", "$(x)", "many/2999"):
        assert (await agent.call("session_create", ref=ref))["commit"] == commit
    refused = await agent.refused("session_create", ref="many/299x")
    assert "many/299" in refused["error"]["candidates"]


@plain
async def test_a_head_without_a_commit_needs_a_ref_and_an_empty_repository_a_commit(
    agent: Agent, upstream: Upstream, tmp_path: Path
) -> None:
    commit = upstream.git("rev-parse", "HEAD")
    upstream.git("symbolic-ref", "HEAD", "refs/heads/unborn")
    view = await agent.call("repository_init", url=str(upstream.path))
    assert "head" not in view
    refused = await agent.refused("session_create")
    assert refused["error"]["candidates"] == ["main"]
    assert (await agent.call("session_create", ref="main"))["commit"] == commit
    upstream.git("symbolic-ref", "HEAD", "refs/heads/main")
    assert (await agent.call("session_create"))["commit"] == commit
    upstream.git("symbolic-ref", "HEAD", "refs/heads/unborn")
    assert (await agent.call("session_create", ref="main"))["commit"] == commit

    empty = Upstream(tmp_path / "empty")
    refused = await agent.refused("repository_init", url=str(empty.path))
    assert "no commit" in refused["error"]["message"]
    empty.commit("First", {"first": ""})
    assert (await agent.call("repository_init", url=str(empty.path)))["state"] == "ready"


@plain
async def test_an_upstream_on_this_machine_that_is_gone_is_a_hint(
    agent: Agent, upstream: Upstream
) -> None:
    first = await agent.call("session_create", repository=str(upstream.path))
    upstream.path.rename(upstream.path.with_name("moved"))
    second = await agent.call("session_create", repository="calculator")
    assert second["commit"] == first["commit"]
    assert "starts from the mirror as it was" in second["hint"]


@plain
async def test_files_that_git_lfs_keeps_are_pointed_at(agent: Agent, upstream: Upstream) -> None:
    upstream.commit("Big", {".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n"})
    view = await agent.call("session_create", repository=str(upstream.path))
    assert "Git LFS" in view["hint"]


@plain
async def test_calls_on_several_servers_at_once_fetch_one_after_the_other(
    settings: Settings, upstream: Upstream
) -> None:
    heads: list[str] = []
    async with (
        connect("memory-modern", settings) as one,
        connect("memory-modern", settings) as two,
    ):
        await one.call("repository_init", url=str(upstream.path))
        newest = upstream.commit("Newest", {"newest": ""})
        async with anyio.create_task_group() as tasks:

            async def create(agent: Agent) -> None:
                view = await agent.call("session_create", repository="calculator")
                assert "hint" not in view or "mirror" not in view["hint"], view
                heads.append(view["commit"])

            for agent in (one, two, one, two, one, two):
                tasks.start_soon(create, agent)
    assert heads == [newest] * 6
