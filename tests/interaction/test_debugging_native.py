"""Programs of machine code under lldb."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from debug_mcp.config import Settings
from tests.clients import Agent, connect
from tests.interaction.debugged import control, inspect, opened_with
from tests.upstream import Upstream

pytestmark = [pytest.mark.anyio, pytest.mark.lldb]

PROGRAM = """\
#include <stdio.h>

struct point { int x; int y; };

int sum(int *values, int count) {
    int total = 0;
    for (int i = 0; i < count; i++)
        total += values[i];
    return total;
}

int main(int argc, char **argv) {
    int values[] = {1, 2, 3};
    struct point where = {4, 5};
    printf("sum %d\\n", sum(values, 3));
    fflush(stdout);
    if (argc > 1) {
        int *nothing = 0;
        *nothing = where.x;
    }
    return 7;
}
"""


@pytest.fixture
async def agent(settings: Settings) -> AsyncIterator[Agent]:
    async with connect("memory-modern", settings) as agent:
        yield agent


@pytest.fixture
async def session(agent: Agent, upstream: Upstream, tmp_path: Path) -> str:
    session = await opened_with(agent, upstream, {"sum.c": PROGRAM})
    built = await agent.call("command_run", session_id=session, command="cc -g -O0 -o sum sum.c")
    assert built["outcome"] == "succeeded", built
    return session


async def debug(agent: Agent, session: str, **how: Any) -> dict[str, Any]:
    return await agent.call("debug_run", session_id=session, **{"wait_seconds": 50, **how})


async def test_a_crash_stops_where_it_happened(agent: Agent, session: str) -> None:
    view = await debug(agent, session, command="./sum crash")
    assert (view["state"], view["reason"]) == ("stopped", "crash")
    assert (view["at"], view["function"]) == ("sum.c:19", "main")
    assert "SIGSEGV" in view["exception"]
    assert "19 >         *nothing = where.x;" in view["source"]
    assert view["locals"]["argc"] == "2"
    page = await inspect(agent, view, expand="where")
    assert [(member["name"], member["value"]) for member in page["members"]] == [
        ("x", "4"),
        ("y", "5"),
    ]
    ended = await control(agent, view, "stop")
    assert ended["state"] == "exited"


async def test_a_function_is_stopped_in_stepped_through_and_left(
    agent: Agent, session: str
) -> None:
    view = await debug(agent, session, command="./sum", breakpoints=["func:sum"])
    assert (view["reason"], view["function"], view["at"]) == ("breakpoint", "sum", "sum.c:6")
    view = await control(agent, view, "over", times=3)
    assert view["steps"]
    view = await control(agent, view, "continue", breakpoints=["sum.c:/total += values/"])
    looked = await inspect(agent, view, expressions=["values[i]", "count"])
    assert looked["expressions"]["count"].endswith("3")
    view = await control(agent, view, "continue", breakpoints=[])
    assert (view["state"], view["exit_code"]) == ("exited", 7)
    assert "sum 6" in view["output"]["text"]
