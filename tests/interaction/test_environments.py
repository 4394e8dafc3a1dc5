"""Environments: what a repository's set-up builds once, for all sessions that need the same."""

from pathlib import Path
from typing import Any

import anyio
import pytest

from debug_mcp.app import open_retention, open_services
from debug_mcp.auth.principal import LOCAL, Principal, Scope
from debug_mcp.config import Settings
from debug_mcp.folders import delete_tree
from debug_mcp.models.commands import CommandRun
from debug_mcp.models.repositories import RepositoryInit
from debug_mcp.models.sessions import SessionCreate
from tests.clients import WAYS, Agent, connect, run
from tests.files import appears
from tests.interaction.test_restart import server
from tests.upstream import Upstream
from tests.wheels import make_wheel

pytestmark = pytest.mark.anyio

GREETER = "def main():\n    print('hello')\n\ndef answer():\n    return {answer}\n"
TESTS = "import greeter\n\n\ndef test_answer():\n    assert greeter.answer() == 42\n"
INSTALL = "pip install --no-index -q -r requirements.txt"
RECIPE = {"run": INSTALL, "locks": ["requirements.txt", "wheels"]}
# Says that it runs by making a file outside, which only level none can; so it waits inside.
GATED = "until [ -e gate/open ]; do sleep 0.01; done"


def with_wheels(upstream: Upstream, answer: int = 42) -> None:
    """Commit a project whose dependency comes as a wheel with it."""
    wheels = upstream.path / "wheels"
    wheels.mkdir(exist_ok=True)
    wheel = make_wheel(wheels, "greeter", GREETER.format(answer=answer), "greet")
    files = {"requirements.txt": f"./wheels/{wheel.name}\n", "test_answer.py": TESTS}
    upstream.commit(f"Depend on a greeter that answers {answer}", files)


@pytest.fixture
def upstream(tmp_path: Path) -> Upstream:
    repository = Upstream(tmp_path / "project")
    with_wheels(repository)
    return repository


@pytest.fixture
def way() -> str:
    """One way is enough where the story is of what commands find."""
    return "memory-modern"


async def registered(agent: Agent, upstream: Upstream, **recipe: Any) -> None:
    await agent.call("repository_init", url=str(upstream.path), setup=recipe or RECIPE)


async def builds(agent: Agent) -> int:
    """Return how many commands there were that set something up."""
    listing = await agent.call("command_list", limit=100)
    return sum(row.get("kind") == "setup" for row in listing["commands"])


@pytest.mark.parametrize("way", WAYS)
async def test_what_is_installed_once_is_there_in_every_session(
    agent: Agent, upstream: Upstream
) -> None:
    await registered(agent, upstream)
    first, second = [await agent.call("session_create") for _ in range(2)]
    assert first["setup"]["outcome"] == "succeeded"
    assert second["setup"] == first["setup"]
    assert await builds(agent) == 1
    for session in (first["session_id"], second["session_id"]):
        assert "1 passed" in await run(agent, session, "pytest -q")
        assert await run(agent, session, "greet") == "hello\n"
    log = await agent.call("command_output", command_id=first["setup"]["command_id"])
    assert f"+ {INSTALL}" in log["output"]["text"]


async def test_a_session_installs_more_beside_it_and_programs_of_both_see_that(
    agent: Agent, settings: Settings, upstream: Upstream
) -> None:
    await registered(agent, upstream)
    session = (await agent.call("session_create"))["session_id"]
    make_wheel(settings.data_dir / "sessions" / session / "tree", "more", "WORD = 'more'\n")
    await run(agent, session, "pip install --no-index -q ./more-1.0-py3-none-any.whl")
    assert await run(agent, session, "python -c 'import greeter, more; print(more.WORD)'") == (
        "more\n"
    )
    # The script was installed by the set-up, and starts the session's Python all the same.
    said = await run(agent, session, "head -1 $(command -v greet); command -v python")
    assert said.splitlines()[0] == "#!/usr/bin/env python3"
    assert "/home" in said.splitlines()[1]
    other = (await agent.call("session_create"))["session_id"]
    view = await agent.call("command_run", session_id=other, command="python -c 'import more'")
    assert view["outcome"] == "failed"


async def test_a_changed_lock_file_builds_another_and_the_former_is_used_again(
    agent: Agent, upstream: Upstream
) -> None:
    await registered(agent, upstream)
    first = await agent.call("session_create")
    former = upstream.git("rev-parse", "HEAD")
    with_wheels(upstream, answer=43)
    second = await agent.call("session_create")
    assert second["setup"]["environment"] != first["setup"]["environment"]
    said = "python -c 'import greeter; print(greeter.answer())'"
    assert await run(agent, second["session_id"], said) == "43\n"
    assert await run(agent, first["session_id"], said) == "42\n"
    third = await agent.call("session_create", ref=former)
    assert third["setup"] == first["setup"]
    upstream.commit("Say more", {"README": "Nothing that the environment is made of."})
    assert (await agent.call("session_create"))["setup"] == second["setup"]
    assert await builds(agent) == 2


async def test_a_patch_of_a_lock_file_builds_another(agent: Agent, upstream: Upstream) -> None:
    await registered(agent, upstream)
    first = await agent.call("session_create")
    lines = (upstream.path / "requirements.txt").read_text().strip()
    patch = (
        "--- a/requirements.txt\n+++ b/requirements.txt\n@@ -1 +1,2 @@\n"
        f" {lines}\n+# and nothing else\n"
    )
    second = await agent.call("session_create", patch=patch)
    assert second["setup"]["environment"] != first["setup"]["environment"]
    assert second["setup"]["outcome"] == "succeeded"


async def test_ten_sessions_at_once_have_it_built_once(agent: Agent, upstream: Upstream) -> None:
    await registered(agent, upstream)
    views: list[dict[str, Any]] = []

    async def open_one() -> None:
        views.append(await agent.call("session_create", wait_seconds=50))

    async with anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(open_one)
    assert len({view["setup"]["environment"] for view in views}) == 1
    assert {view["setup"]["outcome"] for view in views} == {"succeeded"}
    assert await builds(agent) == 1
    for view in views:
        assert await run(agent, view["session_id"], "greet") == "hello\n"


async def test_a_build_sees_the_named_files_and_nothing_else_of_the_tree(
    agent: Agent, upstream: Upstream
) -> None:
    await registered(agent, upstream, run="find . -type f | sort", locks=["wheels", "absent"])
    view = await agent.call("session_create")
    log = await agent.call("command_output", command_id=view["setup"]["command_id"])
    assert log["output"]["text"].endswith("./wheels/greeter-1.0-py3-none-any.whl\n")
    assert "test_answer" not in log["output"]["text"]


async def test_a_failed_build_says_so_lets_the_agent_look_and_is_tried_again_by_the_next(
    agent: Agent, upstream: Upstream
) -> None:
    await registered(agent, upstream, run=["echo no such package; test -e missing", "touch never"])
    view = await agent.call("session_create")
    assert (view["state"], view["setup"]["outcome"]) == ("ready", "failed")
    assert "set-up did not succeed" in view["hint"]
    assert "no such package\n" in (await agent.follow(view))["output"]["text"]
    assert "requirements.txt" in await run(agent, view["session_id"], "ls")
    again = await agent.call("session_create")
    assert again["setup"]["environment"] == view["setup"]["environment"]
    assert again["setup"]["command_id"] != view["setup"]["command_id"]


async def test_an_output_in_the_tree_is_each_sessions_own_copy(
    agent: Agent, upstream: Upstream
) -> None:
    make = "mkdir -p node_modules/a; echo one > node_modules/a/one; ln -s a/one node_modules/link"
    await registered(agent, upstream, run=make, outputs="node_modules", locks=[])
    first, second = [(await agent.call("session_create"))["session_id"] for _ in range(2)]
    shown = await agent.call("file_read", session_id=first, path="node_modules/a/one")
    assert "one" in shown["text"]
    await run(agent, first, "echo changed > node_modules/link; rm -r node_modules/a/one || true")
    assert await run(agent, second, "cat node_modules/link") == "one\n"
    third = (await agent.call("session_create"))["session_id"]
    assert await run(agent, third, "cat node_modules/link; git status --short") == "one\n"
    # Whoever removes it does not find it there again.
    await run(agent, third, "rm -r node_modules")
    assert await run(agent, third, "test -e node_modules || echo gone") == "gone\n"


async def test_an_output_is_no_work_of_the_session(agent: Agent, upstream: Upstream) -> None:
    make = "mkdir -p 'out [1]'; touch 'out [1]/file' made"
    await registered(agent, upstream, run=make, outputs=["out [1]", "made"])
    session = (await agent.call("session_create"))["session_id"]
    assert await run(agent, session, "ls 'out [1]'; git status --short") == "file\n"
    assert "exported" not in await agent.call("session_close", session_id=session)


async def test_an_output_that_was_not_made_is_a_failed_set_up(
    agent: Agent, upstream: Upstream
) -> None:
    await registered(agent, upstream, run="true", outputs=["node_modules"])
    view = await agent.call("session_create")
    assert view["setup"]["outcome"] == "failed"
    assert "it made no node_modules" in view["hint"]


async def test_sessions_wait_for_what_another_builds_and_go_on_when_that_is_closed(
    agent: Agent, settings: Settings, upstream: Upstream
) -> None:
    await registered(agent, upstream, run=f"{GATED}; touch $DEBUG_MCP_ENV/made", locks=[])
    first = await agent.call("session_create", wait_seconds=0)
    assert "outcome" not in first["setup"]
    assert first["next"]["arguments"] == {"command_id": first["setup"]["command_id"]}
    second = await agent.call("session_create", wait_seconds=0.2)
    assert second["setup"] == first["setup"]
    waiting = await agent.call(
        "command_run",
        session_id=second["session_id"],
        command="ls $DEBUG_MCP_ENV/made",
        parallel=True,
        wait_seconds=0,
    )
    assert waiting["state"] == "queued"
    assert waiting["queue"] == {"ahead": 1, "waits_for": first["setup"]["command_id"]}
    looked = await agent.call("session_get", session_id=second["session_id"])
    assert looked["setup"] == first["setup"]
    # A debugger does not queue, and would not find what is not there yet.
    for session in (first["session_id"], second["session_id"]):
        busy = await agent.refused("debug_run", session_id=session, command="pytest test_answer.py")
        assert (busy["error"]["code"], busy["next"]["tool"]) == ("busy", "session_get")
    await agent.call("session_close", session_id=first["session_id"])
    built = settings.data_dir / "environments" / first["setup"]["environment"]
    await appears(built / "work" / "tree")
    (built / "work/tree/gate").mkdir()
    (built / "work/tree/gate/open").touch()
    view = await agent.call("command_wait", command_id=waiting["command_id"])
    assert view["outcome"] == "succeeded", view


async def test_however_many_commands_wait_the_build_is_handed_on_and_given_up_with_the_set_up(
    settings: Settings, upstream: Upstream
) -> None:
    few = settings.model_copy(update={"queued_commands": 2})
    async with connect("memory-modern", few) as agent:
        await registered(agent, upstream, run=f"touch $DEBUG_MCP_ENV/made; {GATED}", locks=[])
        sessions = [await agent.call("session_create", wait_seconds=0) for _ in range(3)]
        waiting = {
            view["session_id"]: [
                await agent.call(
                    "command_run", session_id=view["session_id"], command="true", wait_seconds=0
                )
                for _ in range(2)
            ]
            for view in sessions[1:]
        }
        await agent.call("session_close", session_id=sessions[0]["session_id"])
        environment = few.data_dir / "environments" / sessions[0]["setup"]["environment"]
        await appears(environment / "env/made")
        # Nobody wants it any more: so nobody waits for it.
        await agent.call("repository_init", url=str(upstream.path), setup=[])
        looked = await agent.call("session_get", session_id=sessions[1]["session_id"])
        await agent.call("command_cancel", command_id=looked["setup"]["command_id"])
        for commands in waiting.values():
            for command in commands:
                ended = await agent.call("command_wait", command_id=command["command_id"])
                assert ended["outcome"] == "succeeded"


async def test_no_session_changes_what_others_get(agent: Agent, upstream: Upstream) -> None:
    await registered(agent, upstream)
    view = await agent.call("session_create")
    if view["isolation"] == "none":
        return  # there is no boundary that could hold it
    for command in ("echo x > /env/x", "chmod -R u+w /env", "rm -r /env/lib", "mv /env/bin /env/x"):
        tried = await agent.call("command_run", session_id=view["session_id"], command=command)
        assert tried["outcome"] == "failed", command
        assert "Read-only file system" in tried["output"]["text"]
    await run(agent, view["session_id"], "pip uninstall -y greeter || true")
    assert await run(agent, view["session_id"], "ls /env; greet") == "bin\nlib\npyvenv.cfg\nhello\n"


async def test_a_recipe_that_leads_out_of_the_tree_is_refused(
    agent: Agent, upstream: Upstream
) -> None:
    said: list[str] = []
    wrongs: list[dict[str, Any]] = [
        {"run": "true", "locks": ["../x"]},
        {"run": "true", "outputs": ["."]},
        {"run": "true", "outputs": [".git/hooks"]},
        {"run": []},
        {"locks": ["a"]},
        {"run": "true", "lock": "a"},
    ]
    for wrong in wrongs:
        refused = await agent.refused("repository_init", url=str(upstream.path), setup=wrong)
        assert refused["error"]["code"] == "invalid_input", wrong
        said.append(refused["error"]["message"])
    assert any("no run" in message for message in said)
    assert any("has a key 'lock'; there is run, locks, outputs" in message for message in said)
    assert await agent.call("repository_list") == {}


async def test_a_repository_shows_its_recipe(agent: Agent, upstream: Upstream) -> None:
    await registered(agent, upstream)
    listed = await agent.call("repository_list")
    assert listed["repositories"][0]["setup"] == {**RECIPE, "run": [INSTALL]}


async def test_a_build_outlives_the_server_that_began_it(
    settings: Settings, upstream: Upstream
) -> None:
    recipe = {"run": f"{GATED}; echo built > $DEBUG_MCP_ENV/made", "locks": []}
    with server(settings) as first:
        first.call("repository_init", url=str(upstream.path), setup=recipe)
        view = first.call("session_create", wait_seconds=0)
        built = settings.data_dir / "environments" / view["setup"]["environment"]
        await appears(built / "work" / "tree")
        command = settings.data_dir / "commands" / view["setup"]["command_id"]
        await appears(command / "state")
        first.process.kill()
        first.process.wait()
    (built / "work/tree/gate").mkdir()
    (built / "work/tree/gate/open").touch()
    async with connect("memory-modern", settings) as agent:
        ended = await agent.call("command_wait", command_id=view["setup"]["command_id"])
        assert ended["outcome"] == "succeeded"
        other = await agent.call("session_create")
        assert other["setup"]["command_id"] == view["setup"]["command_id"]
        for session in (view["session_id"], other["session_id"]):
            assert await run(agent, session, "cat $DEBUG_MCP_ENV/made") == "built\n"


async def test_the_longest_unused_goes_first_and_never_one_that_is_in_use(
    settings: Settings, upstream: Upstream
) -> None:
    async with connect("memory-modern", settings) as agent:
        await registered(agent, upstream, run="echo x > $DEBUG_MCP_ENV/x", locks=["version"])
        views = []
        for number in range(3):
            upstream.commit("Another", {"version": str(number)})
            views.append(await agent.call("session_create"))
        folders = [
            settings.data_dir / "environments" / view["setup"]["environment"] for view in views
        ]
        for view in views[:2]:
            await agent.call("session_close", session_id=view["session_id"])
        # Used again: so the second is now the longest unused.
        first = await agent.call("session_create", ref=views[0]["commit"])
        await agent.call("session_close", session_id=first["session_id"])
        assert first["setup"]["environment"] == views[0]["setup"]["environment"]

        none = settings.model_copy(update={"environment_bytes": 0})
        async with open_retention(none) as retention:
            tried = await retention.collect(dry_run=True)
        assert tried.environments == 2
        assert tried.environment_bytes > 0
        assert all(folder.exists() for folder in folders)

        one = settings.model_copy(update={"environment_bytes": tried.environment_bytes})
        async with open_retention(one) as retention:
            assert (await retention.collect()).environments == 1
        assert [folder.exists() for folder in folders] == [True, False, True]

        async with open_retention(none) as retention:
            assert (await retention.collect()).environments == 1
        assert [folder.exists() for folder in folders] == [False, False, True]
        assert await run(agent, views[2]["session_id"], "cat $DEBUG_MCP_ENV/x") == "x\n"
        # What went is built again by whoever asks for it.
        again = await agent.call("session_create", ref=views[0]["commit"])
        assert again["setup"]["environment"] == views[0]["setup"]["environment"]
        assert await run(agent, again["session_id"], "cat $DEBUG_MCP_ENV/x") == "x\n"


async def test_a_build_makes_room_for_itself_and_what_nobody_names_is_removed(
    settings: Settings, upstream: Upstream
) -> None:
    little = settings.model_copy(update={"environment_bytes": 0})
    async with connect("memory-modern", little) as agent:
        await registered(agent, upstream, run="echo x > $DEBUG_MCP_ENV/x", locks=["version"])
        first = await agent.call("session_create")
        await agent.call("session_close", session_id=first["session_id"])
        nobodys = little.data_dir / "environments" / "e_nobody"
        (nobodys / "env").mkdir(parents=True)
        (nobodys / "env").chmod(0o500)
        upstream.commit("Another", {"version": "1"})
        second = await agent.call("session_create")
        assert {path.name for path in (little.data_dir / "environments").iterdir()} == {
            second["setup"]["environment"]
        }


async def test_an_environment_whose_files_are_gone_is_built_again(
    agent: Agent, settings: Settings, upstream: Upstream
) -> None:
    await registered(agent, upstream)
    first = await agent.call("session_create")
    delete_tree(settings.data_dir / "environments" / first["setup"]["environment"])
    second = await agent.call("session_create")
    assert second["setup"]["environment"] == first["setup"]["environment"]
    assert second["setup"]["command_id"] != first["setup"]["command_id"]
    assert await run(agent, first["session_id"], "greet") == "hello\n"


async def test_servers_on_one_data_directory_have_it_built_once(
    settings: Settings, upstream: Upstream
) -> None:
    recipe = {"run": f"{GATED}; echo built > $DEBUG_MCP_ENV/made", "locks": []}
    with server(settings) as first, server(settings) as second:
        first.call("repository_init", url=str(upstream.path), setup=recipe)
        views = [each.call("session_create", wait_seconds=0) for each in (first, second)]
        assert views[1]["setup"] == views[0]["setup"]
        built = settings.data_dir / "environments" / views[0]["setup"]["environment"]
        await appears(built / "work" / "tree")
        (built / "work/tree/gate").mkdir()
        (built / "work/tree/gate/open").touch()
        for each, view in zip((first, second), views, strict=True):
            shown = each.call(
                "command_run", session_id=view["session_id"], command="cat $DEBUG_MCP_ENV/made"
            )
            assert shown["output"]["text"] == "built\n"
        setups = first.call("command_list", limit=100)["commands"]
        assert sum(row.get("kind") == "setup" for row in setups) == 1


async def test_another_principal_gets_the_environment_and_not_its_log(
    settings: Settings, upstream: Upstream
) -> None:
    async with open_services(settings) as services:
        await services.repositories.init(
            LOCAL, RepositoryInit.model_validate({"url": str(upstream.path), "setup": RECIPE})
        )
        first = await services.sessions.create(LOCAL, SessionCreate())
        other = Principal("other", frozenset(Scope))
        second = await services.sessions.create(other, SessionCreate())
        assert first.setup is not None
        assert second.setup is not None
        assert second.setup.environment == first.setup.environment
        assert (second.setup.outcome, second.setup.command_id) == ("succeeded", None)
        ran = await services.commands.run(
            other, CommandRun(session_id=second.session_id, command="greet")
        )
        assert ran.output is not None
        assert ran.output.text == "hello\n"
