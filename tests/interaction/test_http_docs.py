"""``/openapi.json`` and ``/docs`` of a real server."""

import base64
import hashlib
import re
from collections.abc import AsyncIterator

import httpx2
import pytest
from openapi_spec_validator import validate

from debug_mcp.config import Settings
from debug_mcp.service.services import Services
from tests.clients import serving

pytestmark = pytest.mark.anyio


@pytest.fixture
async def stranger(services: Services, settings: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    async with (
        serving(services, settings) as url,
        httpx2.AsyncClient(base_url=url.removesuffix("/mcp")) as client,
    ):
        yield client


async def test_whoever_has_no_token_yet_can_read_how_it_is_used(
    stranger: httpx2.AsyncClient,
) -> None:
    document = await stranger.get("/openapi.json")
    assert (document.status_code, document.headers["content-type"]) == (200, "application/json")
    validate(document.json())
    page = await stranger.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "/v1/sessions" in page.text
    for path in ("/docs", "/openapi.json"):
        assert (await stranger.head(path)).status_code == 200
        assert (await stranger.post(path)).status_code == 405
        assert (await stranger.get(f"{path}/x")).status_code == 401


async def test_the_page_may_use_its_own_style_and_nothing_else(
    stranger: httpx2.AsyncClient,
) -> None:
    page = await stranger.get("/docs")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    [style] = re.findall("<style>(.*?)</style>", page.text, re.DOTALL)
    allowed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"'sha256-{allowed}'" in policy
    assert "unsafe" not in policy
    assert page.headers["x-content-type-options"] == "nosniff"


async def test_the_document_and_the_page_are_not_told_to_strange_pages(
    stranger: httpx2.AsyncClient,
) -> None:
    for path in ("/docs", "/openapi.json"):
        refused = await stranger.get(path, headers={"Origin": "https://evil.example.com"})
        assert refused.status_code == 403
