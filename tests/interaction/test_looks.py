"""Looking at a session: where it stands, and what its work is."""

from collections.abc import AsyncIterator

import anyio
import pytest

from debug_mcp.config import IsolationPolicy, Settings
from debug_mcp.service import statuses
from tests.clients import WAYS, Agent, connect, opened, run
from tests.upstream import FIX, Upstream

pytestmark = pytest.mark.anyio


@pytest.fixture(params=WAYS)
async def agent(
    request: pytest.FixtureRequest, settings: Settings, upstream: Upstream
) -> AsyncIterator[Agent]:
    async with connect(request.param, settings) as agent:
        yield agent


@pytest.fixture
async def near(settings: Settings, upstream: Upstream) -> AsyncIterator[Agent]:
    """One way in is enough for what no way in can change."""
    async with connect("memory-modern", settings) as agent:
        yield agent


async def test_an_agent_looks_at_its_work_and_at_where_it_went(
    agent: Agent, upstream: Upstream
) -> None:
    session = await opened(agent, upstream, patch=FIX)
    ran = await agent.call("command_run", session_id=session, command="echo note > note.txt")

    seen = await agent.call("session_get", session_id=session)
    assert seen["state"] == "ready"
    assert seen["head"] == {"branch": f"debug-mcp/{session}", "commit": seen["commit"]}
    assert seen["changes"] == {
        "modified": 1,
        "untracked": 1,
        "files": ["M calculator.py", "? note.txt"],
    }
    assert [row["command_id"] for row in seen["commands"]] == [ran["command_id"]]

    diff = await agent.follow(seen)
    assert diff["base"] == seen["commit"]
    assert diff["lines"] == "+2 -1"
    assert diff["files"] == [
        {"path": "calculator.py", "status": "M", "lines": "+1 -1"},
        {"path": "note.txt", "status": "A", "lines": "+1 -0"},
    ]
    assert "+    return a + b\n" in diff["patch"]
    assert "+note\n" in diff["patch"]
    # Nothing was noted in the session's own index.
    assert await run(agent, session, "git status --short") == " M calculator.py\n?? note.txt\n"

    read = await agent.client.read_resource(f"session://{session}/diff")
    assert read.contents[0].text == diff["patch"]  # type: ignore[union-attr]

    await agent.call("session_close", session_id=session)
    closed = await agent.call("session_get", session_id=session)
    assert (closed["state"], closed["closed_why"]) == ("closed", "by caller")
    assert closed["exported"]["branch"] == f"debug-mcp/{session}"
    assert closed["exported"]["fetch"] in closed["person"]
    assert "final.patch" in [artifact["name"] for artifact in closed["artifacts"]]
    assert closed["next"]["tool"] == "session_create"

    listed = await agent.call("session_get")
    assert [row["session_id"] for row in listed["sessions"]] == [session]


async def test_a_clean_session_says_no_more_than_it_must(near: Agent, upstream: Upstream) -> None:
    session = await opened(near, upstream)
    seen = await near.call("session_get", session_id=session)
    assert "changes" not in seen
    assert "ahead" not in seen["head"]
    assert "queue" not in seen
    assert "next" not in seen
    diff = await near.call("session_diff", session_id=session)
    assert (diff["hint"], diff["lines"]) == ("nothing differs", "+0 -0")
    assert "patch" not in diff


async def test_commits_and_what_is_not_committed_are_both_told(
    near: Agent, upstream: Upstream
) -> None:
    session = await opened(near, upstream)
    await run(near, session, "echo one > one && git add one && git commit -qm one && echo 2 > two")
    seen = await near.call("session_get", session_id=session)
    assert seen["head"]["ahead"] == 1
    assert seen["head"]["commit"] != seen["commit"]
    assert seen["changes"]["files"] == ["? two"]
    whole = await near.call("session_diff", session_id=session)
    assert [file["path"] for file in whole["files"]] == ["one", "two"]
    since = await near.call("session_diff", session_id=session, base="HEAD")
    assert [file["path"] for file in since["files"]] == ["two"]
    some = await near.call("session_diff", session_id=session, paths=["one"], stat_only=True)
    assert [file["path"] for file in some["files"]] == ["one"]
    assert "patch" not in some


async def test_what_goes_on_is_told(near: Agent, upstream: Upstream) -> None:
    session = await opened(near, upstream)
    held = await near.call(
        "command_run", session_id=session, command="until [ -e go ]; do sleep 0.01; done",
        wait_seconds=0,
    )  # fmt: skip
    last = await near.call("command_run", session_id=session, command="true", wait_seconds=0)
    queue = (await near.call("session_get", session_id=session))["queue"]
    assert queue.get("queued", 0) + len(queue.get("running", [])) == 2
    await near.call(
        "command_run", session_id=session, command="touch go", parallel=True, wait_seconds=20
    )
    await near.call("command_wait", command_id=last["command_id"])
    assert "queue" not in await near.call("session_get", session_id=session)
    assert held["command_id"] != last["command_id"]


async def test_a_large_patch_is_cut_at_a_line_and_kept_whole(
    near: Agent, upstream: Upstream
) -> None:
    session = await opened(near, upstream)
    await run(near, session, "seq 1 20000 > many.txt; printf '\\0\\1' > odd.bin")
    diff = await near.call("session_diff", session_id=session)
    assert diff["patch"].endswith("\n")
    assert len(diff["patch"]) <= 12_000
    assert diff["omitted_bytes"] > 0
    rest = await near.follow(diff)
    assert rest["artifact_id"] == diff["artifact_id"]
    assert rest["offset"] == len(diff["patch"])
    # What was kept can be applied elsewhere, the binary file too.
    other = await opened(near, upstream)
    await run(near, other, "true")
    whole = ""
    page = {"next_offset": 0}
    while page.get("next_offset") is not None:
        page = await near.call(
            "artifact_read",
            artifact_id=diff["artifact_id"],
            offset=page["next_offset"],
            length=40_000,
        )
        whole += str(page["text"])
    applied = await near.call("file_edit", session_id=other, patch=whole)
    assert applied
    assert await run(near, other, "wc -l < many.txt; od -An -tx1 odd.bin") == "20000\n 00 01\n"


async def test_odd_names_and_hostile_directories_are_only_shown(
    near: Agent, upstream: Upstream
) -> None:
    session = await opened(near, upstream)
    await run(
        near,
        session,
        "printf x > \"$(printf 'new\\nline')\"; printf x > ':(glob)*'; git init -q own; "
        "echo '* filter=evil diff=evil' > .gitattributes; "
        "git config filter.evil.clean 'touch ../evil; cat'; "
        "git config diff.evil.textconv 'touch ../evil; cat'; "
        "git config core.fsmonitor 'touch ../evil'; echo more >> calculator.py",
    )
    diff = await near.call("session_diff", session_id=session)
    assert {"new\nline", ":(glob)*", ".gitattributes", "calculator.py"} == {
        file["path"] for file in diff["files"]
    }
    assert "+more\n" in diff["patch"]


async def test_names_that_are_no_text_are_in_the_patch_too(near: Agent, upstream: Upstream) -> None:
    session = await opened(near, upstream)
    await run(near, session, "echo content > \"$(printf 'bad\\377name')\"")
    diff = await near.call("session_diff", session_id=session)
    assert [file["path"] for file in diff["files"]] == ["bad\ufffdname"]
    assert "+content\n" in diff["patch"]
    patch = await near.call("session_export", session_id=session, **{"as": "patch"})
    assert patch["lines"] == "+1 -0"


async def test_a_look_that_git_never_ends_has_an_end(
    near: Agent, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statuses, "LOOK_SECONDS", 1)
    session = await opened(near, upstream)
    await run(near, session, "rm .git/packed-refs; mkfifo .git/packed-refs")
    with anyio.fail_after(30):
        seen = await near.call("session_get", session_id=session)
    assert (seen["state"], seen["hint"]) == ("ready", "git did not read its tree in 1 s")


@pytest.mark.parametrize("damage", ["rm -rf .git", "rm -rf .git && echo gitdir: /etc > .git"])
async def test_a_session_without_its_git_directory_is_still_told_of(
    near: Agent, upstream: Upstream, damage: str
) -> None:
    session = await opened(near, upstream)
    await run(near, session, damage)
    seen = await near.call("session_get", session_id=session)
    assert seen["state"] == "ready"
    assert "git directory" in seen["hint"]
    refused = await near.refused("session_diff", session_id=session)
    assert refused["error"]["code"] == "tool_failed"


async def test_wrong_arguments_get_what_is_valid(near: Agent, upstream: Upstream) -> None:
    session = await opened(near, upstream)
    base = await near.refused("session_diff", session_id=session, base="nowhere")
    assert base["error"]["candidates"][-1] == "HEAD"
    option = await near.refused("session_diff", session_id=session, base="--output=/tmp/x")
    assert option["error"]["field"] == "base"
    path = await near.refused("session_diff", session_id=session, paths=["../x"])
    assert path["error"]["field"] == "paths"
    cursor = await near.refused("session_get", cursor="s_none")
    assert cursor["error"]["field"] == "cursor"
    unknown = await near.refused("session_get", session_id="s_none")
    assert unknown["error"]["candidates"] == [session]


async def test_the_list_comes_in_pages(near: Agent, upstream: Upstream) -> None:
    sessions = [await opened(near, upstream) for _ in range(3)]
    first = await near.call("session_get", limit=2)
    second = await near.call("session_get", limit=2, cursor=first["next_cursor"])
    found = [row["session_id"] for row in (*first["sessions"], *second["sessions"])]
    assert found == sessions[::-1]
    assert "next_cursor" not in second


async def test_there_may_be_no_session_yet(settings: Settings) -> None:
    settings = settings.model_copy(update={"isolation": IsolationPolicy.NONE})
    async with connect("memory-modern", settings) as agent:
        assert "session_create" in (await agent.call("session_get"))["hint"]
