"""What a person has not committed yet: agents start from it, and it stays as it is."""

from pathlib import Path

import pytest

from debug_mcp.auth.principal import LOCAL, Principal, Scope
from debug_mcp.config import Settings
from debug_mcp.errors import PermissionDenied
from debug_mcp.models.sessions import SessionCreate
from debug_mcp.service.services import Services
from debug_mcp.worktrees import uncommitted
from tests.clients import WAYS, connect, run
from tests.upstream import Upstream, everything

pytestmark = pytest.mark.anyio

FIXED = "def add(a, b):\n    return a + b\n"


@pytest.mark.parametrize("way", WAYS)
async def test_an_agent_is_told_of_uncommitted_work_and_goes_on_from_it(
    way: str, settings: Settings, upstream: Upstream
) -> None:
    (upstream.path / "calculator.py").write_text(FIXED)
    (upstream.path / "test_new.py").write_text("def test_new():\n    assert True\n")
    (upstream.path / "pytest.ini").unlink()
    before = everything(upstream.path)
    async with connect(way, settings) as agent:
        clean = await agent.call("session_create", repository=str(upstream.path))
        assert clean["hint"].startswith(
            "the person's uncommitted changes are not in this session "
            "(calculator.py, pytest.ini, test_new.py)"
        )
        assert await run(agent, clean["session_id"], "git status --porcelain") == ""
        view = await agent.follow(clean)
        assert view["uncommitted"] == {
            "files": ["calculator.py", "pytest.ini", "test_new.py"], "lines": "+3 -2"
        }  # fmt: skip
        assert view["commit"] == clean["commit"]
        session = view["session_id"]
        output = await run(agent, session, "git status --porcelain; python -m pytest -q")
        assert output.startswith(" M calculator.py\n D pytest.ini\n A test_new.py\n")
        assert "2 passed" in output
        closed = await agent.call("session_close", session_id=session)
        assert closed["exported"]["files"] == ["calculator.py", "pytest.ini", "test_new.py"]
    assert everything(upstream.path) == before


@pytest.mark.parametrize("way", WAYS)
async def test_uncommitted_work_at_another_commit_is_refused_with_the_call_that_works(
    way: str, settings: Settings, upstream: Upstream
) -> None:
    first = upstream.git("rev-parse", "HEAD")
    head = upstream.commit("Second", {"second": ""})
    (upstream.path / "second").write_text("changed\n")
    async with connect(way, settings) as agent:
        refused = await agent.refused(
            "session_create", repository=str(upstream.path), ref=first, include_uncommitted=True
        )
        assert (refused["error"]["code"], refused["error"]["field"]) == ("conflict", "ref")
        assert head[:12] in refused["error"]["message"]
        view = await agent.follow(refused)
        assert (view["commit"], view["uncommitted"]["files"]) == (head, ["second"])


@pytest.mark.parametrize("way", WAYS)
async def test_a_patch_goes_on_top_of_uncommitted_work(
    way: str, settings: Settings, upstream: Upstream
) -> None:
    (upstream.path / "new.py").write_text("x = 1\n")
    patch = "--- a/new.py\n+++ b/new.py\n@@ -1 +1 @@\n-x = 1\n+x = 2\n"
    asked = {"repository": str(upstream.path), "patch": patch, "include_uncommitted": True}
    async with connect(way, settings) as agent:
        view = await agent.call("session_create", **asked)
        assert view["uncommitted"]["files"] == view["patch"]["files"] == ["new.py"]
        assert await run(agent, view["session_id"], "cat new.py") == "x = 2\n"
        (upstream.path / "new.py").write_text("x = 3\n")
        refused = await agent.refused("session_create", **asked)
        assert (refused["error"]["file"], refused["error"]["found"]) == ("new.py", "x = 3")


async def test_uncommitted_work_starts_at_the_persons_head_whatever_the_default_is(
    settings: Settings, upstream: Upstream
) -> None:
    upstream.git("switch", "-q", "-c", "topic")
    head = upstream.commit("On a branch", {"topic": ""})
    (upstream.path / "more").write_text("")
    async with connect("memory-modern", settings) as agent:
        await agent.call("repository_init", url=str(upstream.path), default_ref="main")
        view = await agent.call("session_create", include_uncommitted=True)
        assert (view["commit"], view["ref"]) == (head, "topic")
        other = await agent.call("session_create")
        assert other["commit"] != head
        assert other["next"]["tool"] == "command_run"


async def test_a_clean_checkout_is_said_to_be_clean(settings: Settings, upstream: Upstream) -> None:
    asked = {"repository": str(upstream.path)}
    async with connect("memory-modern", settings) as agent:
        view = await agent.call("session_create", include_uncommitted=True, **asked)
        assert "there was no uncommitted work" in view["hint"]
        assert "uncommitted" not in view
        view = await agent.call("session_create", **asked)
        assert "uncommitted" not in view.get("hint", "")
        assert view["next"]["tool"] == "command_run"


async def test_what_stays_out_is_said(
    settings: Settings, upstream: Upstream, tmp_path: Path
) -> None:
    other = Upstream(tmp_path / "other")
    other.commit("First", {"x": ""})
    upstream.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(other.path), "m")
    upstream.commit("Submodule", {".gitattributes": "*.bin filter=lfs\n"})
    Upstream(upstream.path / "nested").commit("First", {"x": ""})
    (upstream.path / "data.bin").write_text("data")
    async with connect("memory-modern", settings) as agent:
        view = await agent.call(
            "session_create", repository=str(upstream.path), include_uncommitted=True
        )
    assert view["uncommitted"]["files"] == ["data.bin"]
    assert "stayed out, as repositories of their own: nested/" in view["hint"]
    assert "what is changed inside of submodules stayed out" in view["hint"]
    assert "without the filter that is set: data.bin" in view["hint"]


async def test_a_file_that_is_too_large_leaves_no_session_behind(
    settings: Settings, upstream: Upstream
) -> None:
    with (upstream.path / "data").open("wb") as file:
        file.truncate(uncommitted.LIMIT_BYTES + 1)
    async with connect("memory-modern", settings) as agent:
        refused = await agent.refused(
            "session_create", repository=str(upstream.path), include_uncommitted=True
        )
    assert refused["error"]["field"] == "include_uncommitted"
    assert "the largest: data" in refused["error"]["message"]
    assert not any((settings.data_dir / "sessions").iterdir())


async def test_a_bare_repository_has_no_uncommitted_work(
    settings: Settings, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.git("clone", "-q", "--bare", ".", str(tmp_path / "bare.git"))
    async with connect("memory-modern", settings) as agent:
        view = await agent.call("session_create", repository=str(tmp_path / "bare.git"))
        assert view["next"]["tool"] == "command_run"
        refused = await agent.refused("session_create", include_uncommitted=True)
    assert "no working tree" in refused["error"]["message"]


async def test_the_checkout_of_who_runs_the_server_is_nobody_elses_to_read(
    services: Services, upstream: Upstream
) -> None:
    (upstream.path / "calculator.py").write_text(FIXED)
    local = SessionCreate(repository=str(upstream.path))
    stranger = Principal("stranger", frozenset(Scope))
    await services.sessions.create(LOCAL, local)
    asked = SessionCreate(repository="calculator", include_uncommitted=True)
    with pytest.raises(PermissionDenied, match="theirs alone"):
        await services.sessions.create(stranger, asked)
    view = await services.sessions.create(stranger, SessionCreate(repository="calculator"))
    assert "uncommitted" not in (view.hint or "")
