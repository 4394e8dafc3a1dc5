"""An agent at each way in, and a session of its own."""

from collections.abc import AsyncIterator

import pytest

from debug_mcp.config import Settings
from tests.clients import WAYS, Agent, connect, opened
from tests.upstream import Upstream


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    """Each way in; a file whose stories need one alone says which."""
    way: str = request.param
    return way


@pytest.fixture
async def agent(way: str, settings: Settings) -> AsyncIterator[Agent]:
    async with connect(way, settings) as agent:
        yield agent


@pytest.fixture
async def session(agent: Agent, upstream: Upstream) -> str:
    return await opened(agent, upstream)
