"""Programs that read while they run: a text, typed lines, a terminal; over every way in."""

from pathlib import Path
from typing import Any

import pytest

from debug_mcp.config import IsolationPolicy, Settings
from tests.clients import Agent, connect, opened
from tests.upstream import Upstream

pytestmark = [pytest.mark.anyio, pytest.mark.bwrap]

ASKS = "name = input('name? '); print('hello', name, flush=True)"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        data_dir=tmp_path / "data", isolation=IsolationPolicy.REQUIRE_BWRAP, grace_seconds=1
    )


async def until(agent: Agent, command: str, text: str, since: int = 0) -> dict[str, Any]:
    view = await agent.call("command_wait", command_id=command, until=text, since=since)
    assert view["until"]["by"] == "match", view
    return view


async def test_a_program_reads_the_text_that_it_was_given(agent: Agent, session: str) -> None:
    view = await agent.call(
        "command_run", session_id=session, command="sort; echo end", stdin="b\na\n"
    )
    assert (view["outcome"], view["output"]["text"]) == ("succeeded", "a\nb\nend\n")


async def test_a_question_is_answered_while_the_program_runs(agent: Agent, session: str) -> None:
    asked = ["python3", "-c", ASKS]
    begun = await agent.call(
        "command_run", session_id=session, command=asked, stdin="open", wait_seconds=0
    )
    command = begun["command_id"]
    view = await until(agent, command, "name? ")
    assert f'command_input {{"command_id": "{command}"' in view["hint"]
    ended = await agent.call("command_input", command_id=command, text="Ada\n", wait_seconds=50)
    assert ended["outcome"] == "succeeded"
    assert ended["output"]["text"] == "hello Ada\n"

    late = await agent.refused("command_input", command_id=command, text="more\n")
    assert late["error"]["code"] == "conflict"
    assert late["next"] == {
        "tool": "command_run",
        "arguments": {"session_id": session, "command": asked, "stdin": "open"},
    }


async def test_an_interpreter_is_driven_line_by_line_until_the_end_of_its_input(
    agent: Agent, session: str
) -> None:
    begun = await agent.call(
        "command_run", session_id=session, command="python3 -i", tty=True, wait_seconds=0
    )
    command = begun["command_id"]
    await until(agent, command, ">>> ")
    view = await agent.call(
        "command_input", command_id=command, text="6 * 7\n", until="re:^42", wait_seconds=50
    )
    assert view["until"]["text"].startswith("42")
    await agent.call(
        "command_input",
        command_id=command,
        text="import time; print('up' + 'on'); time.sleep(600)\n",
        until="re:upon",
        wait_seconds=50,
    )
    view = await agent.call(
        "command_input",
        command_id=command,
        key="ctrl-c",
        until="KeyboardInterrupt",
        wait_seconds=50,
    )
    assert view["state"] == "running"
    assert view["until"]["by"] == "match"
    ended = await agent.call("command_input", command_id=command, key="ctrl-d", wait_seconds=50)
    assert ended["state"] == "finished"


async def test_a_terminal_has_a_size_that_can_be_changed(agent: Agent, session: str) -> None:
    script = "test -t 0 && stty size; read -r line; stty size < /dev/tty"
    begun = await agent.call(
        "command_run", session_id=session, command=script, tty=True, wait_seconds=0
    )
    await until(agent, begun["command_id"], "24 80")
    ended = await agent.call(
        "command_input", command_id=begun["command_id"], size=[132, 50], text="\n", wait_seconds=50
    )
    assert (ended["outcome"], ended["output"]["text"]) == ("succeeded", "50 132\n")


async def test_what_cannot_be_typed_is_refused_with_what_can_be_done(
    agent: Agent, session: str
) -> None:
    waits = "until [ -e go ]; do sleep 0.01; done"
    deaf = await agent.call("command_run", session_id=session, command=waits, wait_seconds=0)
    behind = await agent.call(
        "command_run", session_id=session, command="cat", stdin="open", wait_seconds=0
    )
    while (await agent.call("command_list", state="running")).get("commands", []) == []:
        pass
    refused = await agent.refused("command_input", command_id=deaf["command_id"], text="x")
    assert refused["error"]["code"] == "conflict"
    assert refused["next"]["arguments"]["stdin"] == "open"
    early = await agent.refused("command_input", command_id=behind["command_id"], text="x")
    assert early["next"]["tool"] == "command_wait"
    await agent.call("command_run", session_id=session, command="touch go", parallel=True)
    await agent.follow(deaf)

    # Now its turn has come. What it reads is a pipe: it has no keys but these, and no size.
    command = behind["command_id"]
    while (await agent.call("command_wait", command_id=command, wait_seconds=0))[
        "state"
    ] != "running":
        pass
    for arguments in ({"key": "up"}, {"size": [80, 24]}, {}):
        error = await agent.refused("command_input", command_id=command, **arguments)
        assert error["error"]["code"] == "invalid_input"
    ended = await agent.call(
        "command_input", command_id=command, text="typed", key="ctrl-d", wait_seconds=50
    )
    assert (ended["outcome"], ended["output"]["text"]) == ("succeeded", "typed")
    both = await agent.refused(
        "command_run", session_id=session, command="cat", stdin="x", tty=True
    )
    assert both["error"]["field"] == "stdin"


async def test_after_a_restart_typing_goes_on(settings: Settings, upstream: Upstream) -> None:
    async with connect("stdio-modern", settings) as agent:
        session = await opened(agent, upstream)
        begun = await agent.call(
            "command_run", session_id=session, command="echo ready; cat", stdin="open",
            wait_seconds=0,
        )  # fmt: skip
        command = begun["command_id"]
        await until(agent, command, "ready")
    async with connect("stdio-modern", settings) as agent:
        view = await agent.call(
            "command_input", command_id=command, text="again\n", until="again", wait_seconds=50
        )
        assert view["until"]["by"] == "match"
        ended = await agent.call("command_input", command_id=command, key="ctrl-d", wait_seconds=50)
        assert ended["outcome"] == "succeeded"
