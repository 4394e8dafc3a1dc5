"""The set-up of a repository in each of its sessions."""

from pathlib import Path

import pytest

from debug_mcp.config import Settings
from tests.clients import WAYS, connect, run
from tests.upstream import Upstream

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("way", WAYS)
async def test_a_session_is_set_up_before_its_first_command(
    way: str, settings: Settings, upstream: Upstream
) -> None:
    async with connect(way, settings) as agent:
        await agent.call(
            "repository_init",
            url=str(upstream.path),
            setup=["mkdir -p ~/tools && cd ~", "echo built > tools/made"],
        )
        session = await agent.call("session_create", repository="calculator")
        assert session["setup"]["outcome"] == "succeeded"
        assert session["next"]["tool"] == "command_run"
        assert await run(agent, session["session_id"], "cat ~/tools/made") == "built\n"
        log = await agent.call("command_output", command_id=session["setup"]["command_id"])
        assert "+ mkdir -p ~/tools && cd ~\n+ echo built" in log["output"]["text"]
        listing = await agent.call("command_list", session_id=session["session_id"])
        assert [row.get("kind") for row in listing["commands"]] == [None, "setup"]


async def test_a_repositorys_variables_reach_its_set_up_and_its_commands(
    settings: Settings, upstream: Upstream
) -> None:
    async with connect("memory-modern", settings) as agent:
        await agent.call(
            "repository_init",
            url=str(upstream.path),
            env={"MODE": "test", "LEVEL": 1},
            setup="echo $MODE > ~/mode",
        )
        session = (await agent.call("session_create", repository="calculator"))["session_id"]
        shown = await agent.call(
            "command_run",
            session_id=session,
            command="cat ~/mode; echo $MODE $LEVEL",
            env={"LEVEL": 2},
        )
        assert shown["output"]["text"] == "test\ntest 2\n"
        many = {f"V{n}": "x" for n in range(199)}
        refused = await agent.refused("command_run", session_id=session, command="true", env=many)
        assert refused["error"]["field"] == "env"


async def test_a_failed_set_up_stops_at_its_step_and_leaves_a_session_to_look_around_in(
    settings: Settings, upstream: Upstream
) -> None:
    async with connect("memory-modern", settings) as agent:
        await agent.call(
            "repository_init",
            url=str(upstream.path),
            setup=["echo one", "echo no such package && false", "touch ~/never"],
        )
        session = await agent.call("session_create", repository="calculator")
        assert session["state"] == "ready"
        assert session["setup"]["outcome"] == "failed"
        assert "set-up did not succeed" in session["hint"]
        assert "no such package\n" in (await agent.follow(session))["output"]["text"]
        assert await run(agent, session["session_id"], "ls -A ~ | grep never || echo none") == (
            "none\n"
        )


async def test_everything_waits_for_a_long_set_up_what_runs_beside_the_queue_too(
    settings: Settings, upstream: Upstream, tmp_path: Path
) -> None:
    async with connect("memory-modern", settings) as agent:
        gate = "until [ -e go ]; do sleep 0.01; done; touch ~/ready"
        await agent.call("repository_init", url=str(upstream.path), setup=gate)
        session = await agent.call("session_create", repository="calculator", wait_seconds=0)
        assert "outcome" not in session["setup"]
        setup = session["setup"]["command_id"]
        assert session["next"] == {"tool": "command_wait", "arguments": {"command_id": setup}}
        asked = {"session_id": session["session_id"], "command": "ls ~/ready", "wait_seconds": 0}
        waiting = [
            await agent.call("command_run", **asked, parallel=parallel)
            for parallel in (False, True)
        ]
        assert [view["queue"] for view in waiting] == [{"ahead": 1, "waits_for": setup}] * 2
        tree = settings.data_dir / "sessions" / session["session_id"] / "tree"
        (tree / "go").touch()
        for view in waiting:
            assert (await agent.follow(view))["outcome"] == "succeeded"


async def test_a_repeated_call_does_not_set_up_twice(
    settings: Settings, upstream: Upstream
) -> None:
    async with connect("memory-modern", settings) as agent:
        await agent.call("repository_init", url=str(upstream.path), setup="echo >> ~/times")
        asked = {"repository": "calculator", "idempotency_key": "k"}
        first = await agent.call("session_create", **asked)
        again = await agent.call("session_create", **asked)
        assert again["setup"] == first["setup"]
        assert await run(agent, first["session_id"], "wc -l < ~/times") == "1\n"


async def test_a_set_up_that_a_killed_server_did_not_begin_is_begun_later(
    settings: Settings, upstream: Upstream
) -> None:
    asked = {"repository": str(upstream.path), "idempotency_key": "one"}
    async with connect("memory-modern", settings) as agent:
        # As a server leaves it that was killed in between: ready, with a set-up and no command.
        first = await agent.call("session_create", **asked)
        other = await agent.call("session_create")
        used = await agent.call("session_create")
        await run(agent, used["session_id"], "true")
        await agent.call("repository_init", url=str(upstream.path), setup="echo made > made")
        again = await agent.call("session_create", **asked)
        assert again["session_id"] == first["session_id"]
        assert again["setup"]["outcome"] == "succeeded"
    async with connect("memory-modern", settings) as agent:
        assert await run(agent, other["session_id"], "cat made") == "made\n"
        listing = await agent.call("command_list", session_id=used["session_id"])
        assert [row.get("kind") for row in listing["commands"]] == [None]


async def test_steps_that_no_command_can_hold_together_are_refused_at_once(
    settings: Settings, upstream: Upstream
) -> None:
    async with connect("memory-modern", settings) as agent:
        refused = await agent.refused(
            "repository_init", url=str(upstream.path), setup=[f"echo {'x' * 5000}"] * 50
        )
        assert (refused["error"]["code"], refused["error"]["field"]) == ("invalid_input", "setup")
        assert "put them into a file" in refused["error"]["message"]
        assert await agent.call("repository_list") == {}
