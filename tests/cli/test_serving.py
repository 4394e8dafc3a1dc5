"""What a server checks before it serves others."""

from pathlib import Path

import pytest

from debug_mcp.cli.serving import run_http
from debug_mcp.config import IsolationPolicy, Settings
from debug_mcp.errors import InvalidInput, Unavailable
from debug_mcp.runner import boundary

pytestmark = pytest.mark.anyio


async def test_without_a_sandbox_a_server_starts_only_when_told_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boundary, "BWRAP_PATH", str(tmp_path))
    settings = Settings(data_dir=tmp_path, http_port=0, isolation=IsolationPolicy.AUTO)
    with pytest.raises(Unavailable, match="no sandbox: bwrap is not installed"):
        await run_http(settings)


async def test_a_first_token_that_could_be_guessed_ends_the_server(tmp_path: Path) -> None:
    settings = Settings(
        data_dir=tmp_path,
        http_port=0,
        isolation=IsolationPolicy.NONE,
        bootstrap_token="letmein",
    )
    assert "letmein" not in repr(settings)
    with pytest.raises(InvalidInput, match="DEBUG_MCP_BOOTSTRAP_TOKEN"):
        await run_http(settings)


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
async def test_an_address_of_another_machine_is_refused(tmp_path: Path, host: str) -> None:
    settings = Settings(data_dir=tmp_path, http_host=host, isolation=IsolationPolicy.NONE)
    with pytest.raises(Unavailable, match=f"cannot listen on {host} port 8321: "):
        await run_http(settings)
