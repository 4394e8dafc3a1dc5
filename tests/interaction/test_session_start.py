"""Where a session starts, what it is called, and which variables its commands have."""

from collections.abc import AsyncIterator

import anyio
import pytest

from debug_mcp.auth.principal import LOCAL, Principal, Scope
from debug_mcp.config import Settings
from debug_mcp.models.sessions import SessionCreate
from debug_mcp.service.services import Services
from tests.clients import WAYS, Agent, connect, run
from tests.files import appears
from tests.upstream import Upstream

pytestmark = pytest.mark.anyio
ways = pytest.mark.parametrize("way", WAYS)


@pytest.fixture
async def agent(settings: Settings) -> AsyncIterator[Agent]:
    async with connect("memory-modern", settings) as agent:
        yield agent


@ways
async def test_a_session_has_a_name_and_variables_of_its_own(
    way: str, settings: Settings, upstream: Upstream
) -> None:
    async with connect(way, settings) as agent:
        await agent.call(
            "repository_init", url=str(upstream.path), env={"A": "repository", "B": "repository"}
        )
        asked = {"name": " the bug ", "env": {"B": "session", "C": 1}}
        view = await agent.call("session_create", **asked)
        assert (view["name"], view["env"]) == ("the bug", ["B", "C"])
        session = view["session_id"]
        seen = await agent.call("session_get", session_id=session)
        assert (seen["name"], seen["env"]) == ("the bug", ["B", "C"])
        assert seen["expires_at"] >= view["expires_at"]
        assert await run(agent, session, "echo $A $B $C") == "repository session 1\n"
        ended = await agent.call(
            "command_run", session_id=session, command="echo $B $C", env={"C": "command"}
        )
        assert ended["output"]["text"] == "session command\n"

        refused = await agent.refused("session_create", **asked)
        assert (refused["error"]["code"], refused["error"]["field"]) == ("conflict", "name")
        assert refused["error"]["candidates"] == [session]
        await agent.call("session_close", session_id=session)
        assert (await agent.call("session_create", **asked))["name"] == "the bug"


@ways
async def test_without_sync_a_session_starts_from_what_is_there(
    way: str, settings: Settings, upstream: Upstream
) -> None:
    async with connect(way, settings) as agent:
        first = await agent.call("session_create", repository=str(upstream.path))
        head = upstream.commit("Second", {"second": ""})
        old = await agent.call("session_create", sync=False)
        assert (old["commit"], old["synced_at"]) == (first["commit"], first["synced_at"])
        refused = await agent.refused("session_create", sync=False, ref=head)
        assert refused["error"]["code"] == "not_found"
        assert (await agent.follow(refused))["commit"] == head


@ways
async def test_every_way_to_name_a_commit(way: str, settings: Settings, upstream: Upstream) -> None:
    first = upstream.git("rev-parse", "HEAD")
    upstream.git("tag", "--annotate", "--message=x", "v1.0")
    upstream.git("branch", "topic/one")
    request = upstream.commit("A request", {"request": ""})
    for ref in ("refs/pull/7/head", "refs/merge-requests/3/head", "refs/changes/01/1/2"):
        upstream.git("update-ref", ref, request)
    upstream.git("reset", "-q", "--hard", first)
    head = upstream.commit("Second", {"second": ""})
    async with connect(way, settings) as agent:
        for ref, commit in (
            ("HEAD", head), ("main", head), ("origin/main", head), ("refs/heads/main", head),
            (head[:7], head), (first[:12], first), (first, first), ("v1.0", first),
            ("refs/tags/v1.0", first), ("topic/one", first), ("pull/7/head", request),
            ("refs/pull/7/head", request), ("merge-requests/3/head", request),
            ("refs/merge-requests/3/head", request), ("refs/changes/01/1/2", request),
        ):  # fmt: skip
            view = await agent.call("session_create", repository=str(upstream.path), ref=ref)
            assert (ref, view["commit"]) == (ref, commit)
        for ref, candidates in (("topic", ["topic/one"]), ("v1", ["v1.0"]), ("pull/8/head", None)):
            refused = await agent.refused("session_create", ref=ref)
            assert refused["error"]["code"] == "not_found"
            assert candidates is None or refused["error"]["candidates"] == candidates


async def test_a_pull_request_that_moved_is_asked_for_again(
    agent: Agent, upstream: Upstream
) -> None:
    asked = {"repository": str(upstream.path), "ref": "pull/7/head"}
    upstream.git("update-ref", "refs/pull/7/head", "HEAD")
    first = await agent.call("session_create", **asked)
    second = upstream.commit("Another", {"another": ""})
    upstream.git("update-ref", "refs/pull/7/head", second)
    assert (await agent.call("session_create", sync=False, **asked))["commit"] == first["commit"]
    assert (await agent.call("session_create", **asked))["commit"] == second
    upstream.git("update-ref", "-d", "refs/pull/7/head")
    gone = await agent.call("session_create", **asked)
    assert gone["commit"] == second
    assert "the upstream did not give pull/7/head" in gone["hint"]


async def test_variables_of_a_session_reach_its_set_up_and_no_list_of_processes(
    agent: Agent, settings: Settings, upstream: Upstream
) -> None:
    await agent.call("repository_init", url=str(upstream.path), setup="echo $KEY > made")
    view = await agent.call("session_create", env={"KEY": "secret-of-the-session"})
    session = view["session_id"]
    assert view["setup"]["outcome"] == "succeeded"
    assert await run(agent, session, "cat made") == "secret-of-the-session\n"
    started = await agent.call(
        "command_run", session_id=session, command="touch begun; sleep 600", wait_seconds=0
    )
    await appears(settings.data_dir / "sessions" / session / "tree" / "begun")
    listed = await anyio.run_process(["ps", "-eww", "-o", "args"])
    assert b"secret-of-the-session" not in listed.stdout
    await agent.call("command_cancel", command_id=started["command_id"])


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"env": {"A B": "x"}}, "env"),
        ({"env": {"A": "x\0"}}, "env"),
        ({"env": {f"A{n}": "" for n in range(201)}}, "env"),
        ({"name": ""}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"ref": "--upload-pack=x"}, "ref"),
        ({"ref": "HEAD~1"}, "ref"),
    ],
)
async def test_what_no_session_can_have_is_refused(
    agent: Agent, settings: Settings, upstream: Upstream, arguments: dict[str, object], field: str
) -> None:
    refused = await agent.refused("session_create", repository=str(upstream.path), **arguments)
    assert refused["error"]["code"] == "invalid_input"
    assert refused["error"]["field"].partition(".")[0] == field
    assert not any((settings.data_dir / "sessions").iterdir())


async def test_too_many_variables_together_are_refused_when_the_session_is_opened(
    agent: Agent, upstream: Upstream
) -> None:
    await agent.call(
        "repository_init", url=str(upstream.path), env={f"A{n}": "" for n in range(150)}
    )
    refused = await agent.refused("session_create", env={f"B{n}": "" for n in range(51)})
    assert "201 variables" in refused["error"]["message"]


async def test_a_name_is_unique_among_the_sessions_of_one_principal_only(
    services: Services, upstream: Upstream
) -> None:
    other = Principal("other", frozenset(Scope))
    asked = SessionCreate(repository=str(upstream.path), name="mine")
    await services.sessions.create(LOCAL, asked)
    view = await services.sessions.create(
        other, SessionCreate(repository="calculator", name="mine")
    )
    assert view.name == "mine"
