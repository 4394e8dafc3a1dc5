"""The script in the how-to about the live stream does what the page says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import anyio
import httpx2
import pytest

from debug_mcp.auth.principal import LOCAL
from debug_mcp.config import IsolationPolicy, Settings
from debug_mcp.models.repositories import RepositoryInit
from debug_mcp.service.services import Services
from tests.clients import secret, serving
from tests.upstream import Upstream

pytestmark = pytest.mark.anyio

PAGE = Path(__file__).parents[2] / "docs/how-to/live-stream.md"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", isolation=IsolationPolicy.NONE, grace_seconds=1)


async def test_the_script_of_the_page_follows_a_command_to_its_end(
    services: Services, settings: Settings, upstream: Upstream, tmp_path: Path
) -> None:
    [code] = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    script = tmp_path / "follow.py"
    script.write_text(code)
    await services.repositories.init(LOCAL, RepositoryInit(url=str(upstream.path), name="app"))
    token = await secret(services, "ada")
    async with serving(services, settings) as url:
        root = url.removesuffix("/mcp")
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx2.AsyncClient(base_url=f"{root}/v1", headers=headers) as client:
            session = (await client.post("/sessions", json={})).json()["session_id"]
            asked = {"command": "echo one; echo two; exit 3", "wait_seconds": 0}
            ran = (await client.post(f"/sessions/{session}/commands", json=asked)).json()
        with anyio.fail_after(30):
            done = await anyio.run_process(
                [sys.executable, str(script), root, ran["command_id"]],
                env={**os.environ, "TOKEN": token},
                stderr=subprocess.PIPE,
            )
    assert done.stdout == b"one\ntwo\n"
    assert done.stderr == b"[failed]\n"
