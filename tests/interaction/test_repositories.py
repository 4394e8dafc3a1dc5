"""Repositories as an agent meets them: registered, configured, followed and removed."""

from typing import Any

import pytest
from mcp import Client

from debug_mcp.auth.principal import LOCAL
from debug_mcp.interfaces.server import build_server
from debug_mcp.models.repositories import Submodules
from debug_mcp.service.services import Services
from tests.clients import Agent
from tests.upstream import Upstream

pytestmark = pytest.mark.anyio


async def test_settings_stay_with_a_repository_until_they_are_given_again(
    services: Services, upstream: Upstream
) -> None:
    async with Client(build_server(services, lambda: LOCAL)) as client:
        agent = Agent(client)

        async def init(**settings: Any) -> None:
            await agent.call("repository_init", url=str(upstream.path), **settings)

        await init(setup="make deps", artifacts="build/*.xml", env={"N": 1}, submodules="recursive")
        await init(setup=["one", "two"], default_ref="main", depth="2")
        await init()
    stored = await services.repositories.find(LOCAL, "calculator")
    assert stored.setup == ("one", "two")
    assert stored.artifacts == ("build/*.xml",)
    assert stored.env == {"N": "1"}
    assert (stored.default_ref, stored.depth) == ("main", 2)
    assert stored.submodules is Submodules.RECURSIVE
