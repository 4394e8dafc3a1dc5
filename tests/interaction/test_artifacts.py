"""Files that commands leave: collected at each end, once, and read back."""

import anyio
import pytest

from debug_mcp.config import Settings
from debug_mcp.service.artifacts import COLLECTED_SHOWN
from tests.clients import WAYS, connect
from tests.interaction.test_restart import Tree, begin, server
from tests.upstream import Upstream

pytestmark = pytest.mark.anyio

# The report is then older than the next command by more than a clock's tick.
REPORT = "mkdir -p build; echo '<testsuites/>' > build/junit.xml; sleep 0.1"


@pytest.mark.parametrize("way", WAYS)
async def test_the_end_of_a_command_names_what_it_collected(
    way: str, settings: Settings, upstream: Upstream
) -> None:
    async with connect(way, settings) as agent:
        await agent.call("repository_init", url=str(upstream.path), artifacts="build/*.xml")
        session = (await agent.call("session_create"))["session_id"]
        ran = await agent.call(
            "command_run",
            session_id=session,
            command=f"{REPORT}; echo more > more.log",
            artifacts="more.log",
        )
        assert [kept["name"] for kept in ran["artifacts"]] == ["build/junit.xml", "more.log"]
        report = ran["artifacts"][0]
        assert set(report) == {"artifact_id", "name", "size", "uri"}
        page = await agent.call("artifact_read", artifact_id=report["artifact_id"])
        assert (page["text"], page["kind"]) == ("<testsuites/>\n", "junit")
        [contents] = (await agent.client.read_resource(report["uri"])).contents
        assert contents.mime_type == "application/xml"
        again = await agent.call("command_wait", command_id=ran["command_id"])
        assert again["artifacts"] == ran["artifacts"]

        # What a repository asks for is named by the command that made it, and by no later one.
        after = await agent.call("command_run", session_id=session, command="cat build/junit.xml")
        assert "artifacts" not in after
        changed = await agent.call("command_run", session_id=session, command=REPORT)
        assert changed["artifacts"] == [report]


async def test_what_a_call_asks_for_is_kept_though_it_did_not_change(
    settings: Settings, upstream: Upstream
) -> None:
    async with connect("memory-modern", settings) as agent:
        session = (await agent.call("session_create", repository=str(upstream.path)))["session_id"]
        ran = await agent.call(
            "command_run", session_id=session, command="exit 3", artifacts=["*.py"]
        )
        assert (ran["outcome"], ran["exit_code"]) == ("failed", 3)
        assert "calculator.py" in {kept["name"] for kept in ran["artifacts"]}


async def test_a_view_names_some_and_says_how_many_more(
    settings: Settings, upstream: Upstream
) -> None:
    async with connect("memory-modern", settings) as agent:
        session = (await agent.call("session_create", repository=str(upstream.path)))["session_id"]
        ran = await agent.call(
            "command_run",
            session_id=session,
            command=f"for n in $(seq {COLLECTED_SHOWN + 5}); do echo $n > $n.log; done",
            artifacts=["*.log"],
        )
        assert len(ran["artifacts"]) == COLLECTED_SHOWN
        assert ran["more_artifacts"] == 5
        listed = await agent.call("artifact_list", session_id=session)
        assert len(listed["artifacts"]) == COLLECTED_SHOWN + 5


async def test_a_glob_that_kept_nothing_and_one_that_leads_out_are_told(
    settings: Settings, upstream: Upstream
) -> None:
    async with connect("memory-modern", settings) as agent:
        session = (await agent.call("session_create", repository=str(upstream.path)))["session_id"]
        none = await agent.call(
            "command_run", session_id=session, command="ln -s /etc/passwd x", artifacts=["x"]
        )
        assert "artifacts" not in none
        assert none["hint"].startswith("no file was kept")
        told = await agent.call("artifact_list", session_id=session, collect=["x"])
        assert told["refused"] == [{"name": "x", "why": "a symbolic link"}]
        refused = await agent.refused(
            "command_run", session_id=session, command="true", artifacts=["../x"]
        )
        assert refused["error"]["field"] == "artifacts"


async def test_a_cancelled_command_leaves_what_it_had_made(
    settings: Settings, upstream: Upstream
) -> None:
    async with connect("memory-modern", settings) as agent:
        session = (await agent.call("session_create", repository=str(upstream.path)))["session_id"]
        started = await agent.call(
            "command_run",
            session_id=session,
            command="echo half > half.log; touch started; sleep 600",
            artifacts=["half.log"],
            wait_seconds=0,
        )
        with anyio.fail_after(20):
            while True:
                seen = await agent.call("artifact_list", session_id=session, collect=["started"])
                if seen.get("artifacts"):
                    break
        ended = await agent.call("command_cancel", command_id=started["command_id"])
        assert ended["outcome"] == "cancelled"
        assert [kept["name"] for kept in ended["artifacts"]] == ["half.log"]


async def test_what_ended_while_no_server_was_alive_is_collected_once_by_the_next(
    settings: Settings, upstream: Upstream
) -> None:
    tree = Tree(settings.data_dir)
    with server(settings) as first:
        first.call("repository_init", url=str(upstream.path), artifacts="kept.log")
        gated = "touch started; until [ -e go ]; do sleep 0.01; done; echo late > kept.log"
        session, command = await begin(first, upstream, tree, gated)
        first.process.kill()
        first.process.wait()
    tree.file(session, "go").touch()
    async with connect("memory-modern", settings) as agent:
        view = await agent.call("command_wait", command_id=command)
        assert view["outcome"] == "succeeded"
        assert [kept["name"] for kept in view["artifacts"]] == ["kept.log"]
        listed = await agent.call("artifact_list", session_id=session)
        assert [kept["name"] for kept in listed["artifacts"]] == ["kept.log"]


async def test_the_end_of_a_command_without_its_tree_is_an_end_without_artifacts(
    settings: Settings, upstream: Upstream
) -> None:
    async with connect("memory-modern", settings) as agent:
        session = (await agent.call("session_create", repository=str(upstream.path)))["session_id"]
        ran = await agent.call(
            "command_run",
            session_id=session,
            command='echo x > x.log; mv "$PWD" "$PWD.away" 2>/dev/null; rm -rf ./* ; true',
            artifacts=["x.log"],
        )
        assert ran["state"] == "finished"
        assert "artifacts" not in ran
