"""A server on the settings of each file, and a token for it."""

from collections.abc import AsyncIterator

import pytest

from debug_mcp.config import Settings
from debug_mcp.service.services import Services
from tests.clients import secret, serving


@pytest.fixture
async def url(services: Services, settings: Settings) -> AsyncIterator[str]:
    async with serving(services, settings) as url:
        yield url


@pytest.fixture
async def token(services: Services) -> str:
    return await secret(services, "ada")
