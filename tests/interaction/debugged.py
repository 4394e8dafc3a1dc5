"""Programs for a debugger, and a client that debugs them."""

from collections.abc import Mapping
from typing import Any

from tests.clients import Agent, opened
from tests.upstream import Upstream

TOTAL = """\
import sys


def total(values):
    result = 0
    for value in values:
        result += value
    return result


def main():
    answer = total([1, 2, 3])
    print("answer", answer, flush=True)
    return answer


if __name__ == "__main__":
    sys.exit(main() - 3)
"""


async def opened_with(agent: Agent, upstream: Upstream, files: Mapping[str, str]) -> str:
    """Open a session on a repository with these files; return its id."""
    upstream.commit("Add programs", files)
    return await opened(agent, upstream)


async def control(
    agent: Agent, view: Mapping[str, Any], action: str, **more: Any
) -> dict[str, Any]:
    """Drive the run that a view is of."""
    return await agent.call("debug_control", debug_id=view["debug_id"], action=action, **more)


async def inspect(agent: Agent, view: Mapping[str, Any], **what: Any) -> dict[str, Any]:
    """Look into the run that a view is of."""
    return await agent.call("debug_inspect", debug_id=view["debug_id"], **what)
