"""Repositories behind http and ssh: cloned behind the call, followed, logged in to."""

import contextlib
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client

from debug_mcp.app import open_services
from debug_mcp.auth.principal import Principal, Scope
from debug_mcp.config import IsolationPolicy, Settings, load
from debug_mcp.interfaces.server import build_server
from debug_mcp.runner.supervisor import read_fields
from tests.clients import WAYS, Agent, connect, run
from tests.files import appears
from tests.gitserver import GitServer, make_certificate
from tests.interaction.test_restart import server as killable
from tests.upstream import Upstream

pytestmark = pytest.mark.anyio

ways = pytest.mark.parametrize("way", WAYS)
# The boundary around commands makes no difference to what is tested here.
plain = pytest.mark.parametrize("settings", [IsolationPolicy.NONE], indirect=True)


@pytest.fixture
def host(upstream: Upstream) -> Iterator[GitServer]:
    """A host that serves the upstream as ``/calculator``."""
    with GitServer(upstream.path.parent).serving() as host:
        yield host


@pytest.fixture
def gitconfig(own_home: Path) -> Iterator[Path]:
    """The person's git configuration; what a test writes there goes with it."""
    file = own_home / ".gitconfig"
    before = file.read_text()
    yield file
    file.write_text(before)


async def until_held(host: GitServer) -> None:
    assert await anyio.to_thread.run_sync(host.held.wait, 20)


def column(settings: Settings, name: str) -> Any:
    with sqlite3.connect(settings.data_dir / "debug-mcp.sqlite3") as ledger:
        [(value,)] = ledger.execute(f"SELECT {name} FROM repositories")
    ledger.close()
    return value


def set_column(settings: Settings, name: str, value: object) -> None:
    with sqlite3.connect(settings.data_dir / "debug-mcp.sqlite3") as ledger:
        ledger.execute(f"UPDATE repositories SET {name} = ?", (value,))
    ledger.close()


@ways
@plain
async def test_a_session_starts_from_a_url_and_a_slow_clone_is_waited_for_by_repeating_the_call(
    way: str, settings: Settings, upstream: Upstream, host: GitServer
) -> None:
    host.gate.clear()
    url = f"{host.url}/calculator"
    reported: list[tuple[float, str | None]] = []

    async def told(progress: float, total: float | None, message: str | None) -> None:
        assert total == 100
        reported.append((progress, message))
        host.gate.set()

    async with connect(way, settings) as agent:
        begun = await agent.call("repository_init", url=url, wait_seconds=0)
        assert begun["state"] == "cloning"
        assert begun["next"]["arguments"]["url"] == url
        await until_held(host)
        listed = await agent.call("repository_list")
        assert [row["state"] for row in listed["repositories"]] == ["cloning"]
        # The same call again joins the clone, and is told how far it is.
        result = await agent.client.call_tool(
            begun["next"]["tool"], begun["next"]["arguments"], progress_callback=told
        )
        view = result.structured_content
        assert view is not None
        assert view["state"] == "ready", view
        assert view["head"] == {"ref": "main", "commit": upstream.git("rev-parse", "HEAD")}
        assert reported
        assert "objects" in (reported[0][1] or "")
        session = await agent.follow(view)
        assert session["synced_at"]
        assert "calculator.py" in await run(agent, session["session_id"], "ls")
    assert not list(settings.data_dir.glob("repositories/*.clone"))


@plain
async def test_a_session_of_a_repository_that_is_being_cloned_says_what_to_wait_for(
    settings: Settings, host: GitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("debug_mcp.service.repositories.CLONE_WAIT_SECONDS", 0.1)
    host.gate.clear()
    async with connect("memory-modern", settings) as agent:
        refused = await agent.refused("session_create", repository=f"{host.url}/calculator")
        assert refused["error"]["code"] == "busy"
        host.gate.set()
        view = await agent.follow(refused)
        assert view["state"] == "ready"


@plain
async def test_a_clone_goes_on_when_its_server_is_killed_and_the_next_server_has_it(
    settings: Settings, host: GitServer
) -> None:
    host.gate.clear()
    with killable(settings) as first:
        view = first.call("repository_init", url=f"{host.url}/calculator", wait_seconds=0)
        assert view["state"] == "cloning"
        await until_held(host)
        first.process.send_signal(signal.SIGKILL)
        first.process.wait()
    async with connect("memory-modern", settings) as agent:
        [row] = (await agent.call("repository_list"))["repositories"]
        assert row["state"] == "cloning"
        host.gate.set()
        assert (await agent.follow(row_of(row)))["state"] == "ready"
    assert host.requests < 8, "it was cloned twice"


def row_of(row: dict[str, Any]) -> dict[str, Any]:
    arguments = {"url": row["url"], "name": row["repository"], "wait_seconds": 50}
    return {"next": {"tool": "repository_init", "arguments": arguments}}


@plain
async def test_a_clone_that_ended_while_no_server_was_there_is_found(
    settings: Settings, host: GitServer
) -> None:
    host.gate.clear()
    with killable(settings) as first:
        first.call("repository_init", url=f"{host.url}/calculator", wait_seconds=0)
        await until_held(host)
        first.process.kill()
        first.process.wait()
    host.gate.set()
    [folder] = settings.data_dir.glob("repositories/*.clone")
    assert not (folder / "spec").exists(), "the person's environment is not kept"
    await appears(folder / "exit")
    async with connect("memory-modern", settings) as agent:
        view = await agent.call("repository_init", url=f"{host.url}/calculator")
        assert view["state"] == "ready"


@plain
async def test_a_clone_whose_shim_was_killed_has_failed_and_is_begun_again_on_request(
    settings: Settings, host: GitServer
) -> None:
    host.gate.clear()
    url = f"{host.url}/calculator"
    async with connect("memory-modern", settings) as agent:
        await agent.call("repository_init", url=url, wait_seconds=0)
        await until_held(host)
        [folder] = settings.data_dir.glob("repositories/*.clone")
        state = read_fields(folder / "state")
        assert state is not None
        async with anyio.create_task_group() as tasks:

            async def waiting() -> None:
                refused = await agent.refused("repository_init", url=url, wait_seconds=50)
                assert "was interrupted" in refused["error"]["message"]

            tasks.start_soon(waiting)
            await anyio.wait_all_tasks_blocked()
            os.kill(int(state["shim"]), signal.SIGKILL)
        [row] = (await agent.call("repository_list"))["repositories"]
        assert row["state"] == "failed"
        assert "was interrupted" in row["error"]
        host.gate.set()
        assert (await agent.call("repository_init", url=url))["state"] == "ready"
    assert not list(settings.data_dir.glob("repositories/*.tmp"))


@plain
async def test_two_servers_that_are_asked_at_once_clone_once(
    settings: Settings, host: GitServer
) -> None:
    url = f"{host.url}/calculator"
    views: list[dict[str, Any]] = []
    async with (
        connect("memory-modern", settings) as one,
        connect("memory-modern", settings) as two,
        anyio.create_task_group() as tasks,
    ):

        async def init(agent: Agent) -> None:
            views.append(await agent.call("repository_init", url=url))

        for agent in (one, two, one, two):
            tasks.start_soon(init, agent)
    assert [view["state"] for view in views] == ["ready"] * 4
    assert len(list(settings.data_dir.glob("repositories/r_????"))) == 1


@plain
async def test_a_remote_upstream_is_asked_again_when_a_ref_is_unknown_or_a_minute_has_passed(
    settings: Settings, upstream: Upstream, host: GitServer
) -> None:
    url = f"{host.url}/calculator"
    async with connect("memory-modern", settings) as agent:
        first = await agent.call("session_create", repository=url)
        requests = host.requests
        second = upstream.commit("Second", {"second.txt": ""})
        same = await agent.call("session_create", repository=url)
        assert (same["commit"], same["synced_at"]) == (first["commit"], first["synced_at"])
        assert host.requests == requests
        upstream.git("branch", "new")
        new = await agent.call("session_create", repository=url, ref="new")
        assert new["commit"] == second
        third = upstream.commit("Third", {"third.txt": ""})
        set_column(settings, "synced_at", column(settings, "synced_at") - 61_000_000)
        assert (await agent.call("session_create", repository=url))["commit"] == third
        fourth = upstream.commit("Fourth", {"fourth.txt": ""})
        view = await agent.call("repository_init", url=url)
        assert view["head"]["commit"] == fourth


async def cloned(agent: Agent, host: GitServer, upstream: Upstream) -> tuple[str, str]:
    """Clone, and hold back what comes next; return the URL and a commit that is not fetched."""
    url = f"{host.url}/calculator"
    await agent.call("repository_init", url=url)
    host.gate.clear()
    return url, upstream.commit("Newer", {"newer.txt": "x" * 100_000})


async def state(agent: Agent) -> dict[str, Any]:
    [row] = (await agent.call("repository_list"))["repositories"]
    return row  # type: ignore[no-any-return]


async def until_ready(agent: Agent) -> dict[str, Any]:
    with anyio.fail_after(20):
        while (row := await state(agent))["state"] != "ready":
            await anyio.sleep(0.01)
    return row


@ways
@plain
async def test_a_slow_fetch_is_told_of_and_sessions_start_from_what_was_there(
    way: str, settings: Settings, upstream: Upstream, host: GitServer
) -> None:
    reported: list[float] = []

    async def told(progress: float, total: float | None, message: str | None) -> None:
        reported.append(progress)
        host.gate.set()

    async with connect(way, settings) as agent:
        url, newer = await cloned(agent, host, upstream)
        begun = await agent.call("repository_init", url=url, wait_seconds=0)
        assert "still being fetched" in begun["hint"]
        await until_held(host)
        assert (await state(agent))["state"] == "syncing"
        older = await agent.call("session_create", repository="calculator")
        assert older["commit"] != newer
        result = await agent.client.call_tool(
            "repository_init", {"url": url, "wait_seconds": 50}, progress_callback=told
        )
        view = result.structured_content
        assert view is not None
        assert (view["state"], view["head"]["commit"]) == ("ready", newer)
        assert reported
    assert not list(settings.data_dir.glob("repositories/*.fetch"))


@plain
async def test_nobody_waits_long_for_the_slow_fetch_of_another_whose_ref_is_there(
    settings: Settings, upstream: Upstream, host: GitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("debug_mcp.service.repositories.OTHERS_FETCH_WAIT_SECONDS", 0.1)
    monkeypatch.setattr("debug_mcp.service.repositories.FETCH_WAIT_SECONDS", 60)
    async with connect("memory-modern", settings) as agent:
        url, newer = await cloned(agent, host, upstream)
        await agent.call("repository_init", url=url, wait_seconds=0)
        await until_held(host)
        set_column(settings, "synced_at", column(settings, "synced_at") - 61_000_000)
        with anyio.fail_after(20):
            older = await agent.call("session_create", repository="calculator", ref="main")
        assert older["commit"] != newer
        assert "still being fetched" in older["hint"]
        host.gate.set()
        # One who names what is not there waits for it.
        view = await agent.call("session_create", repository="calculator", ref=newer)
        assert view["commit"] == newer


@plain
async def test_a_fetch_goes_on_when_its_server_is_killed_and_the_next_server_has_it(
    settings: Settings, upstream: Upstream, host: GitServer
) -> None:
    async with connect("memory-modern", settings) as agent:
        url, newer = await cloned(agent, host, upstream)
    with killable(settings) as first:
        first.call("repository_init", url=url, wait_seconds=0)
        await until_held(host)
        first.process.send_signal(signal.SIGKILL)
        first.process.wait()
    [folder] = settings.data_dir.glob("repositories/*.fetch")
    assert not (folder / "spec").exists(), "the person's environment is not kept"
    requests = host.requests
    async with connect("memory-modern", settings) as agent:
        assert (await state(agent))["state"] == "syncing"
        host.gate.set()
        assert (await until_ready(agent))["head"]["commit"] == newer
        session = await agent.call("session_create", repository="calculator")
        assert session["commit"] == newer
    assert host.requests == requests, "it was fetched twice"
    assert not folder.exists()


@plain
async def test_two_servers_that_are_asked_at_once_fetch_once(
    settings: Settings, upstream: Upstream, host: GitServer
) -> None:
    seen: list[str] = []
    async with (
        connect("memory-modern", settings) as one,
        connect("memory-modern", settings) as two,
    ):
        _, newer = await cloned(one, host, upstream)
        host.gate.set()
        set_column(settings, "synced_at", column(settings, "synced_at") - 61_000_000)
        requests = host.requests

        async def open_session(agent: Agent) -> None:
            seen.append((await agent.call("session_create", repository="calculator"))["commit"])

        async with anyio.create_task_group() as tasks:
            for agent in (one, two, one, two):
                tasks.start_soon(open_session, agent)
        alone = host.requests - requests
        upstream.commit("Newest", {"newest.txt": ""})
        set_column(settings, "synced_at", column(settings, "synced_at") - 61_000_000)
        await open_session(one)
        assert host.requests - requests == 2 * alone
    assert seen[:4] == [newer] * 4


@plain
async def test_a_fetch_whose_shim_was_killed_is_mended_and_begun_again(
    settings: Settings, upstream: Upstream, host: GitServer
) -> None:
    async with connect("memory-modern", settings) as agent:
        url, newer = await cloned(agent, host, upstream)
        await agent.call("repository_init", url=url, wait_seconds=0)
        await until_held(host)
        [folder] = settings.data_dir.glob("repositories/*.fetch")
        [mirror] = settings.data_dir.glob("repositories/r_????")
        for name in ("packed-refs.lock", "shallow.lock", "refs/heads/main.lock"):
            (mirror / name).touch()
        fields = read_fields(folder / "state")
        assert fields is not None
        os.kill(int(fields["shim"]), signal.SIGKILL)
        assert "was interrupted" in (await until_ready(agent))["error"]
        host.gate.set()
        view = await agent.call("repository_init", url=url)
        assert view["head"]["commit"] == newer
        assert "hint" not in view
        assert "error" not in view
        assert not list(mirror.rglob("*.lock"))
        assert not list(mirror.rglob("tmp_*"))


@plain
async def test_a_fetch_that_takes_too_long_is_ended_with_all_of_its_processes(
    settings: Settings, upstream: Upstream, host: GitServer
) -> None:
    settings = settings.model_copy(update={"fetch_seconds": 2})
    async with connect("memory-modern", settings) as agent:
        url, _ = await cloned(agent, host, upstream)
        view = await agent.call("repository_init", url=url, wait_seconds=50)
        assert "the fetch took longer than 2 s" in view["hint"]
        assert view["state"] == "ready"
        mirror = str(next(settings.data_dir.glob("repositories/r_????")))
        assert not [pid for pid in processes() if mirror in command_line(pid)]


def processes() -> list[str]:
    return [path.name for path in Path("/proc").iterdir() if path.name.isdecimal()]


def command_line(pid: str) -> str:
    with contextlib.suppress(OSError):
        return Path("/proc", pid, "cmdline").read_text(errors="replace")
    return ""


@plain
async def test_a_repository_that_is_being_fetched_can_be_removed(
    settings: Settings, upstream: Upstream, host: GitServer
) -> None:
    async with connect("memory-modern", settings) as agent:
        url, _ = await cloned(agent, host, upstream)
        await agent.call("repository_init", url=url, wait_seconds=0)
        await until_held(host)
        removed = await agent.call("repository_remove", name="calculator")
        assert removed["state"] == "removed"
    assert not list(settings.data_dir.glob("repositories/r_????*/"))


@plain
async def test_a_login_that_fails_at_a_fetch_names_the_profile_too(
    settings: Settings, upstream: Upstream, host: GitServer
) -> None:
    async with connect("memory-modern", settings) as agent:
        url, _ = await cloned(agent, host, upstream)
        host.password = "hunter2"
        hint = (await agent.call("repository_init", url=url))["hint"]
        assert "profile user" in hint
        assert (await state(agent))["error"] == hint


@plain
async def test_what_is_no_branch_is_fetched_on_request(
    settings: Settings, upstream: Upstream, host: GitServer
) -> None:
    url = f"{host.url}/calculator"
    base = upstream.git("rev-parse", "HEAD")
    request = upstream.commit("A pull request", {"request.txt": ""})
    upstream.git("update-ref", "refs/pull/7/head", request)
    hidden = upstream.commit("On no ref", {"hidden.txt": ""})
    upstream.git("reset", "-q", "--hard", base)
    async with connect("memory-modern", settings) as agent:
        await agent.call("repository_init", url=url)
        for ref in ("pull/7/head", "refs/pull/7/head"):
            assert (await agent.call("session_create", ref=ref))["commit"] == request
        assert (await agent.call("session_create", ref=hidden))["commit"] == hidden
        assert (await agent.refused("session_create", ref="pull/8/head"))["error"]["code"] == (
            "not_found"
        )


@plain
async def test_a_remote_that_cannot_be_reached_is_a_hint_when_its_mirror_is_there(
    settings: Settings, upstream: Upstream, host: GitServer
) -> None:
    url = f"{host.url}/calculator"
    async with connect("memory-modern", settings) as agent:
        first = await agent.call("session_create", repository=url)
        set_column(settings, "synced_at", column(settings, "synced_at") - 61_000_000)
        upstream.path.rename(upstream.path.with_name("moved"))
        later = await agent.call("session_create", repository=url)
        assert later["commit"] == first["commit"]
        assert later["synced_at"] < first["synced_at"]
        assert "starts from the mirror as it was" in later["hint"]
        [row] = (await agent.call("repository_list"))["repositories"]
        assert row["state"] == "ready"
        assert "git fetch failed" in row["error"]
        assert (await agent.call("repository_init", url=url))["hint"]
        upstream.path.with_name("moved").rename(upstream.path)
        assert "hint" not in await agent.call("repository_init", url=url)
        assert "error" not in (await agent.call("repository_list"))["repositories"][0]


@ways
@plain
async def test_a_failed_login_names_the_profile_and_the_mend_and_the_persons_helper_logs_in(
    way: str, settings: Settings, host: GitServer, gitconfig: Path, tmp_path: Path
) -> None:
    host.password = "hunter2"
    url = f"{host.url}/calculator"
    async with connect(way, settings) as agent:
        with anyio.fail_after(40):  # it does not hang in a prompt
            refused = await agent.refused("repository_init", url=url)
        assert "profile user" in refused["error"]["message"]
        assert f"git ls-remote {url}" in refused["error"]["message"]
        helper = tmp_path / "helper"
        helper.write_text("#!/bin/sh\necho username=ada\necho password=hunter2\n")
        helper.chmod(0o755)
        with gitconfig.open("a") as file:
            file.write(f"[credential]\n\thelper = {helper}\n")
        view = await agent.call("session_create", repository=url)
        assert "calculator.py" in await run(agent, view["session_id"], "ls")
        shown = await run(agent, view["session_id"], "cat .git/config; env")
    assert "hunter2" not in refused["text"] + shown
    kept = [path for path in settings.data_dir.rglob("*") if path.is_file()]
    assert not [path for path in kept if b"hunter2" in path.read_bytes()]


FAKE_SSH = """\
#!{python}
import os, sys
if sys.argv[1] == "-G":
    sys.exit(1)
if os.path.exists({denied!r}):
    sys.exit("git@host.example: Permission denied (publickey).")
with open({log!r}, "a") as log:
    print(*sys.argv[1:-1], file=log)
os.execvp("sh", ["sh", "-c", sys.argv[-1]])
"""


@plain
@pytest.mark.parametrize("form", ["git@host.example:{path}", "ssh://git@host.example{path}"])
async def test_the_persons_own_ssh_command_is_used(
    settings: Settings, upstream: Upstream, gitconfig: Path, tmp_path: Path, form: str
) -> None:
    fake, denied, log = tmp_path / "ssh", tmp_path / "denied", tmp_path / "log"
    fake.write_text(FAKE_SSH.format(python=sys.executable, denied=str(denied), log=str(log)))
    fake.chmod(0o755)
    denied.touch()
    with gitconfig.open("a") as file:
        file.write(f"[core]\n\tsshCommand = {fake}\n")
    url = form.format(path=upstream.path)
    async with connect("memory-modern", settings) as agent:
        refused = await agent.refused("repository_init", url=url)
        assert "your ssh keys and known hosts must work" in refused["error"]["message"]
        denied.unlink()
        view = await agent.call("repository_init", url=url)
        assert (view["state"], view["repository"]) == ("ready", "calculator")
        assert "git@host.example" in log.read_text()


@plain
async def test_ssh_never_waits_for_an_answer(settings: Settings, tmp_path: Path) -> None:
    async with connect("memory-modern", settings) as agent:
        with anyio.fail_after(40):
            refused = await agent.refused("repository_init", url="git@127.0.0.1:x/y.git")
    assert refused["error"]["code"] == "tool_failed"


@plain
async def test_a_rewritten_and_a_removed_upstream_leave_open_sessions_alone(
    settings: Settings, upstream: Upstream, host: GitServer
) -> None:
    url = f"{host.url}/calculator"
    async with connect("memory-modern", settings) as agent:
        session = (await agent.call("session_create", repository=url))["session_id"]
        upstream.git("commit", "-q", "--amend", "--message=Rewritten")
        view = await agent.call("repository_init", url=url)
        assert view["head"]["commit"] == upstream.git("rev-parse", "HEAD")
        await anyio.to_thread.run_sync(shutil.rmtree, upstream.path)
        output = await run(agent, session, "git log --format=%s && git fsck && echo 1 > work")
        assert output.startswith("Add a calculator\n")
        exported = await agent.call("session_close", session_id=session)
        assert exported["exported"]["files"] == ["work"]


@plain
async def test_submodules_and_lfs_are_said_to_be_missing_and_relative_ones_can_be_fetched(
    settings: Settings, upstream: Upstream, host: GitServer, tmp_path: Path
) -> None:
    part = Upstream(tmp_path / "part")
    part.commit("Part", {"part.txt": "part\n"})
    allowed = ("-c", "protocol.file.allow=always")
    upstream.git(*allowed, "submodule", "--quiet", "add", str(part.path), "part")
    upstream.git("config", "-f", ".gitmodules", "submodule.part.url", "../part")
    upstream.commit("With a part", {".gitattributes": "*.bin filter=lfs\n"})
    async with connect("memory-modern", settings) as agent:
        view = await agent.call("session_create", repository=f"{host.url}/calculator")
        assert "submodules are empty folders" in view["hint"]
        assert "Git LFS" in view["hint"]
        fetched = await agent.call(
            "command_run",
            session_id=view["session_id"],
            command="ls part; git submodule update --init --recursive -q && cat part/part.txt",
            network=True,
        )
        assert fetched["output"]["text"] == "part\n"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return make_certificate(tmp_path)


OTHER = Principal("other", frozenset(Scope))


async def test_others_log_in_with_what_the_operator_wrote_and_never_as_the_person(
    upstream: Upstream,
    certificate: Path,
    gitconfig: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = tmp_path / "config.toml"
    monkeypatch.setenv("DEBUG_MCP_CONFIG", str(config))
    # The person could log in; that is nothing to others.
    with gitconfig.open("a") as file:
        helper = "!f() { echo username=ada; echo password=hunter2; }; f"
        file.write(f'[credential]\n\thelper = "{helper}"\n[http]\n\tsslCAInfo = {certificate}\n')
    entry = f'[credentials."127.0.0.1"]\nca_file = "{certificate}"\n'
    with GitServer(upstream.path.parent, certificate).serving() as host:
        host.password = "hunter2"
        url = f"{host.url}/calculator"
        for written, expected in (
            ("", "an address of the server's own network"),
            (entry, "profile service"),
            (f'{entry}token = "wrong"\n', 'token in [credentials."127.0.0.1"]'),
        ):
            config.write_text(written)
            async with other_agent(tmp_path) as agent:
                refused = await agent.refused("repository_init", url=url)
            assert expected in refused["error"]["message"]
        config.write_text(f'{entry}token = "hunter2"\n')
        async with other_agent(tmp_path) as agent:
            view = await agent.call("session_create", repository=url)
            assert "calculator.py" in await run(agent, view["session_id"], "ls")
            assert view["commit"] == upstream.git("rev-parse", "HEAD")
    kept = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert not [path for path in kept if b"hunter2" in path.read_bytes()]


@contextlib.asynccontextmanager
async def other_agent(tmp_path: Path) -> AsyncIterator[Agent]:
    settings = load(data_dir=tmp_path / "data", isolation=IsolationPolicy.NONE)
    async with (
        open_services(settings) as services,
        Client(build_server(services, lambda: OTHER)) as client,
    ):
        yield Agent(client)
