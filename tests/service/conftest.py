"""Services on a real data directory, with real processes."""

import pytest

from debug_mcp.config import Settings
from debug_mcp.service.services import Services
from tests.service.house import House


@pytest.fixture
def house(services: Services, settings: Settings) -> House:
    """A running server."""
    return House(services, settings)
