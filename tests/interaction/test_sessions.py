"""Sessions through their life: opened right, closed without losing anything, refused clearly."""

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from debug_mcp.auth.principal import LOCAL, Principal
from debug_mcp.config import Settings
from debug_mcp.errors import Conflict
from debug_mcp.folders import delete_tree
from debug_mcp.models.sessions import SessionClose, SessionCreate, SessionState
from debug_mcp.service.services import Services
from tests.clients import Agent, connect, run
from tests.upstream import FIX, Upstream

pytestmark = pytest.mark.anyio


@pytest.fixture
async def agent(settings: Settings) -> AsyncIterator[Agent]:
    async with connect("memory-modern", settings) as agent:
        yield agent


@pytest.fixture
async def session(agent: Agent, upstream: Upstream) -> str:
    view = await agent.call("session_create", repository=str(upstream.path))
    session: str = view["session_id"]
    return session


async def fetched(upstream: Upstream, view: dict[str, Any]) -> list[str]:
    """Fetch an exported branch; return what it changes."""
    await anyio.run_process(view["fetch"], cwd=upstream.path)
    changes = upstream.git("diff", "--name-status", "--no-renames", view["base"], view["branch"])
    return [line.replace("\t", " ") for line in changes.splitlines()]


async def test_a_patched_session_shows_the_patch_and_nothing_else_as_its_changes(
    agent: Agent, upstream: Upstream
) -> None:
    patch = f"{FIX}--- /dev/null\n+++ b/new.py\n@@ -0,0 +1 @@\n+x = 1\n"
    view = await agent.call("session_create", repository=str(upstream.path), patch=patch)
    assert view["patch"]["files"] == ["calculator.py", "new.py"]
    assert view["patch"]["lines"] == "+2 -1"
    output = await run(agent, view["session_id"], "git diff --name-status")
    assert output == "M\tcalculator.py\nA\tnew.py\n"


async def test_commits_are_made_in_the_name_that_the_person_has_in_that_repository(
    agent: Agent, upstream: Upstream
) -> None:
    upstream.git("config", "user.email", "ada@work.example.org")
    view = await agent.call("session_create", repository=str(upstream.path))
    command = "git commit -q --allow-empty -m x; git log -1 --format='%an %ae'"
    assert await run(agent, view["session_id"], command) == "Ada Example ada@work.example.org\n"


@pytest.mark.parametrize(
    ("repository", "said"),
    [
        ("relative/path", "is not an absolute path"),
        ("/no/such/place", "does not exist"),
        ("{upstream}/no-such-folder", "does not exist"),
        ("~nobody-of-this-name/x", "cannot be looked at"),
        ("{tmp}", "is not in a git repository"),
        ("file://example.org/x", "is not an absolute path"),
        ("https://ada:secret@example.org/x.git", "give https://example.org/x.git"),
        ("https://ghp_secret@example.org/x.git", "holds a password or token"),
        ("https://example.org/x.git?token=secret", "holds a password or token"),
        ("ssh://ada:secret@example.org/x.git", "holds a password or token"),
        ("git://example.org/x.git", "tells nobody who answers"),
        ("ftp://example.org/x.git", "is not supported"),
        ("ext::sh -c /x", "transport helpers"),
        ("--upload-pack=/bin/sh", "does not start with a dash"),
        ("git@example.org:-x/y", "does not start with a dash"),
        ("https://-x/y", "names no host"),
        ("https://example.org/", "names no repository"),
        ("http://[::1/x", "is not a URL"),
        ("/x\0y", "is not an absolute path"),
    ],
)
async def test_what_is_no_repository_here_is_refused_in_one_sentence(
    agent: Agent, upstream: Upstream, tmp_path: Path, repository: str, said: str
) -> None:
    place = repository.format(upstream=upstream.path, tmp=tmp_path)
    for tool, field in (("session_create", "repository"), ("repository_init", "url")):
        refused = await agent.refused(tool, **{field: place})
        assert refused["error"]["code"] == "invalid_input"
        assert refused["error"]["field"] == field
        assert said in refused["error"]["message"]
        assert "secret" not in refused["text"]


async def test_one_repository_is_one_however_its_place_is_written(
    agent: Agent, upstream: Upstream, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(upstream.path)
    (upstream.path / "inside").mkdir()
    first = await agent.call("repository_init", url=str(upstream.path), name="mine")
    for place in (upstream.path, f"{upstream.path}/", upstream.path / ".git", tmp_path / "link",
                  upstream.path / "inside", f"file://{upstream.path}"):  # fmt: skip
        view = await agent.call("session_create", repository=str(place))
        assert view["repository"] == first["repository"] == "mine"


async def test_a_home_is_written_with_a_tilde(
    agent: Agent, upstream: Upstream, own_home: Path, tmp_path: Path
) -> None:
    upstream.path.rename(own_home / tmp_path.name)
    view = await agent.call("session_create", repository=f"~/{tmp_path.name}")
    assert view["repository"] == tmp_path.name


async def test_the_name_of_what_could_not_be_cloned_is_free_again(
    agent: Agent, upstream: Upstream, tmp_path: Path
) -> None:
    empty = Upstream(tmp_path / "elsewhere" / "calculator")
    refused = await agent.refused("session_create", repository=str(empty.path))
    assert "no commit" in refused["error"]["message"]
    view = await agent.call("session_create", repository=str(upstream.path))
    assert view["repository"] == "calculator"


async def test_a_third_repository_of_one_name_is_offered_one_that_is_free(
    agent: Agent, tmp_path: Path
) -> None:
    names = []
    for folder in ("one", "two", "three"):
        other = Upstream(tmp_path / folder / "calculator")
        other.commit("First", {"file": folder})
        if folder == "one":
            view = await agent.call("repository_init", url=str(other.path))
        else:
            view = await agent.follow(await agent.refused("repository_init", url=str(other.path)))
        names.append(view["repository"])
    assert names == ["calculator", "calculator-2", "calculator-3"]


async def test_an_unknown_commit_is_not_found(agent: Agent, session: str) -> None:
    refused = await agent.refused("session_create", ref="0" * 40)
    assert (refused["error"]["code"], refused["error"]["field"]) == ("not_found", "ref")


async def test_a_closed_session_is_gone_on_with_from_what_was_saved(
    agent: Agent, session: str
) -> None:
    await run(agent, session, "echo 1 > work")
    closed = await agent.call("session_close", session_id=session)
    refused = await agent.refused("command_run", session_id=session, command="true")
    assert refused["error"]["message"] == f"session {session} is closed (by caller)"
    again = await agent.follow(refused)
    assert again["commit"] == closed["exported"]["commit"]
    assert await run(agent, again["session_id"], "cat work") == "1\n"


async def test_closing_again_says_again_where_the_work_is(
    agent: Agent, upstream: Upstream, session: str
) -> None:
    await run(agent, session, "echo 1 > work")
    first = await agent.call("session_close", session_id=session)
    second = await agent.call("session_close", session_id=session)
    for key in ("branch", "commit", "base", "fetch"):
        assert second["exported"][key] == first["exported"][key]
    assert await fetched(upstream, second["exported"]) == ["A work"]


async def test_what_was_exported_before_is_named_when_nothing_is_left_at_the_end(
    agent: Agent, session: str
) -> None:
    await run(agent, session, "echo 1 > work")
    exported = await agent.call("session_export", session_id=session, branch="mine")
    await run(agent, session, "git reset -q --hard HEAD~1")
    closed = await agent.call("session_close", session_id=session)
    assert closed["exported"]["commit"] == exported["commit"]


async def test_closing_ends_what_runs_and_saves_what_it_left(
    agent: Agent, upstream: Upstream, settings: Settings, session: str
) -> None:
    command = "echo 1 > work; echo begun; sleep 600"
    started = await agent.call("command_run", session_id=session, command=command, wait_seconds=0)
    queued = await agent.call("command_run", session_id=session, command="ls", wait_seconds=0)
    work = settings.data_dir / "sessions" / session / "tree" / "work"
    with anyio.fail_after(20):
        while not work.exists() or not work.read_text():
            await anyio.sleep(0.01)
    closed = await agent.call("session_close", session_id=session)
    assert await fetched(upstream, closed["exported"]) == ["A work"]
    for view in (started, queued):
        ended = await agent.call("command_wait", command_id=view["command_id"], wait_seconds=0)
        assert ended["outcome"] == "cancelled"
    assert not (settings.data_dir / "sessions" / session).exists()
    output = await agent.call("command_output", command_id=started["command_id"])
    assert output["output"]["text"] in ("begun\n", "")


DAMAGES = {
    "removed": "rm -rf .git",
    "a file": "rm -rf .git; echo hello > .git",
    "a link to itself": "rm -rf .git; ln -s .git .git",
    "a link to nowhere": "mv .git /tmp/g; ln -s /nowhere .git",
    "a folder of nothing": "rm -rf .git; mkdir .git",
    "another repository": "rm -rf .git; git init -q",
    "no head": "rm .git/HEAD",
    "no configuration": "echo '[' > .git/config",
    "no index": "echo x > .git/index",
    "other objects": "echo /nowhere > .git/objects/info/alternates",
    "nothing to read": "chmod 000 .git",
}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_session_whose_git_directory_is_damaged_is_saved_when_it_is_closed(
    agent: Agent, upstream: Upstream, settings: Settings, session: str, damage: str
) -> None:
    await run(agent, session, f"echo 1 > work; rm pytest.ini; {DAMAGES[damage]}")
    closed = await agent.call("session_close", session_id=session)
    assert await fetched(upstream, closed["exported"]) == ["D pytest.ini", "A work"]
    assert str(settings.data_dir) not in str({**closed, "exported": {
        key: value for key, value in closed["exported"].items() if key != "fetch"}})  # fmt: skip


async def test_an_export_from_a_damaged_git_directory_says_what_git_says(
    agent: Agent, settings: Settings, session: str
) -> None:
    await run(agent, session, "echo 1 > work; echo '[' > .git/config")
    refused = await agent.refused("session_export", session_id=session)
    assert refused["error"]["code"] == "tool_failed"
    assert "bad config" in refused["error"]["message"]
    assert await run(agent, session, "cat work") == "1\n"


async def test_a_repository_in_the_tree_stays_out_and_the_answer_says_so(
    agent: Agent, upstream: Upstream, session: str
) -> None:
    await run(agent, session, "git init -q vendored; touch vendored/x; echo 1 > work")
    view = await agent.call("session_export", session_id=session)
    assert view["hint"] == "vendored/ stayed out: a git repository of its own"
    assert await fetched(upstream, view) == ["A work"]


async def test_looking_at_an_older_commit_is_no_work(agent: Agent, upstream: Upstream) -> None:
    upstream.commit("Second", {"second.txt": ""})
    view = await agent.call("session_create", repository=str(upstream.path))
    await run(agent, view["session_id"], "git checkout -q HEAD~1")
    closed = await agent.call("session_close", session_id=view["session_id"])
    assert closed["hint"] == "it had no work to save"


async def test_work_is_saved_although_the_upstream_rewrote_its_history(
    agent: Agent, upstream: Upstream, session: str
) -> None:
    await run(agent, session, "echo 1 > work")
    upstream.git("commit", "-q", "--amend", "--message=Rewritten")
    await agent.call("session_create")
    view = await agent.call("session_export", session_id=session)
    assert await fetched(upstream, view) == ["A work"]


@pytest.mark.parametrize("message", ["", " \n", "# not a comment\n\nbody\n", "-m\nx", "ä\0b"])
async def test_any_message_is_one(agent: Agent, session: str, message: str) -> None:
    await run(agent, session, "echo 1 > work")
    await agent.call("session_export", session_id=session, message=message)
    said = await run(agent, session, "git log -1 --format=%B")
    assert said.strip() == (message.replace("\0", "").strip() or "Work in a debug-mcp session")


@pytest.mark.parametrize("branch", ["HEAD", "-x", "a..b", "a b", "x.lock", "refs/heads/"])
async def test_what_cannot_be_a_branch_is_refused_before_anything_is_committed(
    agent: Agent, session: str, branch: str
) -> None:
    await run(agent, session, "echo 1 > work")
    refused = await agent.refused("session_export", session_id=session, branch=branch)
    assert (refused["error"]["code"], refused["error"]["field"]) == ("invalid_input", "branch")
    assert "work" in await run(agent, session, "git status --porcelain")


async def test_a_branch_that_would_be_a_folder_of_another_is_refused(
    agent: Agent, settings: Settings, session: str
) -> None:
    await run(agent, session, "echo 1 > work")
    await agent.call("session_export", session_id=session, branch="fix")
    refused = await agent.refused("session_export", session_id=session, branch="fix/add")
    assert (refused["error"]["code"], refused["error"]["field"]) == ("conflict", "branch")
    assert str(settings.data_dir) not in refused["text"]


async def test_what_a_killed_git_left_locked_does_not_keep_a_session_open(
    agent: Agent, upstream: Upstream, session: str
) -> None:
    await run(agent, session, "echo 1 > work; touch .git/index.lock .git/HEAD.lock")
    closed = await agent.call("session_close", session_id=session)
    assert await fetched(upstream, closed["exported"]) == ["A work"]


async def test_a_pipe_where_a_file_was_is_no_file_and_keeps_no_session_open(
    agent: Agent, upstream: Upstream, session: str
) -> None:
    await run(agent, session, "echo 1 > work; rm pytest.ini; mkfifo pytest.ini")
    closed = await agent.call("session_close", session_id=session)
    assert closed["exported"]["hint"] == "pytest.ini stayed out: neither file nor link"
    assert await fetched(upstream, closed["exported"]) == ["D pytest.ini", "A work"]


async def test_globs_are_of_the_tree_also_when_they_are_written_from_its_root(
    agent: Agent, session: str
) -> None:
    root = (await run(agent, session, "pwd")).strip()
    listing = await agent.call("artifact_list", session_id=session, collect=f"{root}/*.ini")
    assert [found["name"] for found in listing["artifacts"]] == ["pytest.ini"]
    for glob in ("/etc/passwd", "../*", "a/../../b", "~/x"):
        refused = await agent.refused("artifact_list", session_id=session, collect=glob)
        assert (refused["error"]["code"], refused["error"]["field"]) == ("invalid_input", "collect")


async def test_of_very_many_files_the_first_are_named_and_the_others_counted(
    agent: Agent, session: str
) -> None:
    await run(agent, session, "for n in $(seq 120); do echo $n > $n.txt; done")
    listing = await agent.call("artifact_list", session_id=session, collect="*.txt")
    assert len(listing["artifacts"]) == 100
    assert listing["hint"] == "the newest 100 of 120; resources/list has all of them"
    view = await agent.call("session_export", session_id=session)
    assert (len(view["files"]), view["lines"]) == (100, "+120 -0")
    assert "20 more files are in the branch" in view["hint"]


async def test_of_two_that_close_a_session_at_once_one_closes_it(
    services: Services, upstream: Upstream
) -> None:
    args = SessionCreate(repository=str(upstream.path), patch=FIX)
    session = (await services.sessions.create(LOCAL, args)).session_id
    ends: list[object] = []

    async def close() -> None:
        try:
            view = await services.closing.close(LOCAL, SessionClose(session_id=session))
            ends.append(view.state)
        except Conflict as error:
            ends.append(error.message)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(close)
        tasks.start_soon(close)
    assert SessionState.CLOSED in ends
    others = {f"session {session} is {state} already" for state in ("closing", "closed")}
    assert set(ends) <= {SessionState.CLOSED, *others}


async def test_the_same_key_opens_the_same_session(agent: Agent, upstream: Upstream) -> None:
    asked = {"repository": str(upstream.path), "patch": FIX, "idempotency_key": "one"}
    first = await agent.call("session_create", **asked)
    second = await agent.call("session_create", **asked)
    assert second["session_id"] == first["session_id"]
    refused = await agent.refused("session_create", **{**asked, "ref": "main"})
    assert refused["error"]["field"] == "idempotency_key"
    await agent.call("session_close", session_id=first["session_id"])
    third = await agent.call("session_create", **asked)
    assert (third["session_id"], third["state"]) == (first["session_id"], "closed")
    assert third["next"]["tool"] == "session_create"


async def test_a_cancelled_call_leaves_no_session_half_made(
    settings: Settings, services: Services, upstream: Upstream
) -> None:
    args = SessionCreate(repository=str(upstream.path), patch=FIX, idempotency_key="one")
    folder = settings.data_dir / "sessions"

    async def is_begun() -> bool:
        return any(folder.iterdir())

    await cancelled(services.sessions.create, args, is_begun)
    assert not any(folder.iterdir())
    # The key stands for nothing, so nobody waits for what will never be ready.
    view = await services.sessions.create(LOCAL, args)
    assert (view.state, view.patch is not None) == (SessionState.READY, True)


async def test_a_cancelled_call_leaves_no_session_half_closed(
    services: Services, upstream: Upstream
) -> None:
    args = SessionCreate(repository=str(upstream.path), patch=FIX)
    session = (await services.sessions.create(LOCAL, args)).session_id

    async def is_closing() -> bool:
        found = await services.sessions.owned(LOCAL, session)
        return found.state is SessionState.CLOSING

    await cancelled(services.closing.close, SessionClose(session_id=session), is_closing)
    assert (await services.sessions.owned(LOCAL, session)).state is SessionState.READY
    closed = await services.closing.close(LOCAL, SessionClose(session_id=session))
    assert closed.exported is not None
    assert closed.exported.files == ("calculator.py",)


async def cancelled(
    call: Callable[[Principal, Any], Coroutine[Any, Any, object]],
    args: Any,
    when: Callable[[], Awaitable[bool]],
) -> None:
    """Cancel a call at the moment when something is so."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(call, LOCAL, args)
        with anyio.fail_after(20):
            while not await when():
                await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()


DEEP = "import os\nfor _ in range(3000):\n os.mkdir('d')\n os.chdir('d')\nopen('f', 'w').close()"


@pytest.mark.parametrize("place", ["workspace", "home", "tmp"])
async def test_a_session_with_folders_deeper_than_python_calls_itself_is_closed_and_gone(
    agent: Agent, session: str, settings: Settings, place: str
) -> None:
    there = {"workspace": "", "home": "os.chdir(os.environ['HOME'])\n", "tmp": (
        "os.chdir(os.environ['TMPDIR'])\n"
    )}[place]  # fmt: skip
    program = f"import os\n{there}{DEEP}"
    made = await agent.call("command_run", session_id=session, command=["python3", "-c", program])
    assert made["outcome"] == "succeeded", made
    closed = await agent.call("session_close", session_id=session)
    assert closed["state"] == "closed"
    assert not (settings.data_dir / "sessions" / session).exists()


@pytest.fixture
def swept(settings: Settings) -> Iterator[None]:
    """Delete what the server kept, when it is gone: pytest itself may not be able to."""
    yield
    delete_tree(settings.data_dir)


@pytest.mark.usefixtures("swept")
async def test_a_repository_with_a_path_as_deep_as_git_allows_stops_nothing(
    agent: Agent, upstream: Upstream
) -> None:
    tree = upstream.git("rev-parse", "HEAD^{tree}").strip()
    for _ in range(1500):
        made = await anyio.run_process(
            ["git", "mktree"], input=f"040000 tree {tree}\td\n".encode(), cwd=upstream.path
        )
        tree = made.stdout.decode().strip()
    deep = upstream.git("commit-tree", tree, "-m", "Deep").strip()
    upstream.git("update-ref", "refs/heads/deep", deep)
    arguments = {"url": str(upstream.path), "name": "deep", "default_ref": "deep"}
    await agent.call("repository_init", **arguments, wait_seconds=50)
    # A second session finds a tree that was prepared meanwhile, or makes its own.
    for _ in range(2):
        view = await agent.call("session_create", repository="deep", wait_seconds=50)
        assert view["commit"] == deep
        path = "/".join(["d"] * 1500) + "/calculator.py"
        read = await agent.call("file_read", session_id=view["session_id"], path=path)
        assert read["total"] == 2
        edited = await agent.call(
            "file_edit", session_id=view["session_id"],
            patch=f"--- /dev/null\n+++ b/{'/'.join(['e'] * 1500)}/f\n@@ -0,0 +1 @@\n+x\n",
        )  # fmt: skip
        assert len(edited["changed"]) == 1
        await agent.call("session_close", session_id=view["session_id"])
