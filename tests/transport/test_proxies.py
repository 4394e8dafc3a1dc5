"""Behind a reverse proxy: whose word counts for who asks."""

from pathlib import Path

import pytest

from debug_mcp.app import open_services
from debug_mcp.config import IsolationPolicy, Settings, load
from debug_mcp.errors import InvalidInput
from tests.clients import serving
from tests.transport import raw

pytestmark = pytest.mark.anyio


async def statuses(folder: Path, proxies: list[str]) -> list[int]:
    """Return how wrong tokens are answered: three from one client, then one from another."""
    settings = Settings(
        data_dir=folder / "data",
        isolation=IsolationPolicy.NONE,
        http_failures=2,
        http_proxies=proxies,
    )
    async with open_services(settings) as services, serving(services, settings) as url:
        clients = ["192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2"]
        sent = [
            raw.request(url, token="wrong", X_Forwarded_For=f"192.0.2.9, {client}")
            for client in clients
        ]
        return [(await raw.send(url, each)).status for each in sent]


async def test_a_known_proxy_says_from_where_wrong_tokens_come(tmp_path: Path) -> None:
    # The last address is the proxy's word; those before it came from the client.
    assert await statuses(tmp_path, ["127.0.0.0/8"]) == [401, 401, 429, 401]


@pytest.mark.parametrize("proxies", [[], ["192.0.2.7"]])
async def test_nobody_else_can_name_an_address(tmp_path: Path, proxies: list[str]) -> None:
    assert await statuses(tmp_path, proxies) == [401, 401, 429, 429]


def test_what_is_no_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEBUG_MCP_HTTP_PROXIES", '["proxy.example.org"]')
    with pytest.raises(InvalidInput, match="http_proxies"):
        load()
