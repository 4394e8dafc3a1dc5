"""Commands that use more than they may, as an agent sees them, and with no server alive."""

from typing import Any

import pytest

from debug_mcp.config import Settings
from tests.clients import Agent, connect, opened
from tests.files import appears
from tests.upstream import Upstream

pytestmark = pytest.mark.anyio

MIB = 1 << 20
HOARDING = "import sys; kept = [b'x' * (300 << 20)]; sys.stdin.read()"
HOARD = f'python -c "{HOARDING}"'
# It ends by itself after some hundred.
MANY = "f() { [ $1 -gt 0 ] && { f $(($1 - 1)) & f $(($1 - 1)) & }; sleep 60; }; f 8"
GATE = "until [ -e go ]; do sleep 0.01; done; "


def limited(settings: Settings, **limits: Any) -> Settings:
    return settings.model_copy(update=limits)


@pytest.mark.parametrize(
    ("limits", "command", "why"),
    [
        (
            {"command_memory_bytes": 200 * MIB},
            HOARD,
            "it and all that it started took more than 200 MiB of memory together",
        ),
        (
            {"command_processes": 40},
            MANY,
            "it and all that it started were more than 40 processes at once",
        ),
        (
            {"command_cpu_seconds": 0.5},
            "while :; do :; done",
            "it and all that it started took more than 0.5 s of processor time",
        ),
        (
            {"command_file_bytes": MIB},
            "exec head -c 3M /dev/zero > large",
            "it wrote a file of more than 1 MiB",
        ),
        (
            {"session_disk_bytes": 40 * MIB},
            "while :; do head -c 5M /dev/zero >> large; sleep 0.01; done",
            "its session's files took more than 40 MiB: remove what is not needed any more",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
async def test_a_command_that_uses_more_is_ended_and_says_what_and_why(
    settings: Settings, upstream: Upstream, limits: dict[str, Any], command: str, why: str
) -> None:
    async with connect("memory-modern", limited(settings, **limits)) as agent:
        session = await opened(agent, upstream)
        view = await agent.call(
            "command_run", session_id=session, command=command, stdin="open", wait_seconds=50
        )
        assert view["outcome"] == "resource_limit"
        [(name, value)] = limits.items()
        assert view["limit"] == {"name": name, "value": value}
        said = f"ended at once: {why}. The operator's setting {name} is the limit"
        assert view["hint"] == said
        assert "exit_code" not in view
        # The session is as good as before.
        view = await agent.call("command_run", session_id=session, command="rm -f large; echo on")
        assert view["output"]["text"] == "on\n"


async def begun(agent: Agent, session: str, settings: Settings, command: str, **more: Any) -> str:
    """Start a command that waits for the file ``go``; return its id once it runs."""
    view = await agent.call(
        "command_run", session_id=session, command=GATE + command, wait_seconds=0, **more
    )
    command_id: str = view["command_id"]
    await appears(settings.data_dir / "commands" / command_id / "state")
    return command_id


@pytest.mark.parametrize(
    ("limits", "command", "more", "outcome"),
    [
        ({"command_memory_bytes": 200 * MIB}, HOARD, {"stdin": "open"}, "resource_limit"),
        ({"command_processes": 40}, MANY, {}, "resource_limit"),
        ({}, "sleep 60", {"timeout_seconds": 1}, "timed_out"),
        ({}, "sleep 60", {"idle_timeout_seconds": 1}, "idle_timed_out"),
        ({"output_bytes": 2000}, "seq 1000", {}, "output_limit"),
    ],
    ids=["memory", "processes", "deadline", "idle deadline", "output"],
)
async def test_deadlines_and_limits_hold_with_no_server_alive(
    settings: Settings,
    upstream: Upstream,
    limits: dict[str, Any],
    command: str,
    more: dict[str, Any],
    outcome: str,
) -> None:
    settings = limited(settings, **limits)
    async with connect("memory-modern", settings) as agent:
        session = await opened(agent, upstream)
        command_id = await begun(agent, session, settings, command, **more)
    (settings.data_dir / "sessions" / session / "tree" / "go").touch()
    await appears(settings.data_dir / "commands" / command_id / "exit")
    async with connect("memory-modern", settings) as agent:
        view = await agent.call("command_wait", command_id=command_id)
        assert view["outcome"] == outcome
