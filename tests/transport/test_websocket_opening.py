"""Who may open a WebSocket: the same checks as for any request, before anything is switched."""

import json
from pathlib import Path

import pytest

from debug_mcp.config import IsolationPolicy, Settings
from tests.transport import raw

pytestmark = pytest.mark.anyio

PATHS = ("/v1/commands/c_none/stream", "/mcp", "/", "/v1/..%2fmcp")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        data_dir=tmp_path / "data",
        isolation=IsolationPolicy.NONE,
        http_failures=3,
        http_requests_burst=30,
        http_requests_per_second=0.5,
        http_requests_at_once=2,
        http_allowed_origins=["https://app.example.org"],
    )


async def opening(
    url: str, path: str = PATHS[0], token: str | None = None, **headers: str
) -> raw.Answer:
    """Ask to switch to WebSocket; what answers must refuse it."""
    request = raw.request(
        url,
        method="GET",
        path=path,
        token=token,
        body=b"",
        **{
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec_WebSocket_Version": "13",
            "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
            **headers,
        },
    )
    return await raw.send(url, request)


@pytest.mark.parametrize("path", PATHS)
async def test_without_a_token_nothing_is_switched(url: str, path: str) -> None:
    answer = await opening(url, path)
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="debug-mcp"'
    said = json.loads(answer.body)
    assert said.get("error", said)["code"] == "unauthenticated"


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer dmcp_" + "A" * 43},
        {"Authorization": "Basic YTpi"},
        {"Sec_WebSocket_Protocol": "bearer"},
        {"Sec_WebSocket_Protocol": "bearer, dmcp_" + "A" * 43},
        {"Sec_WebSocket_Protocol": "dmcp_" + "A" * 43},
        {"Sec_WebSocket_Protocol": ", ,"},
    ],
)
async def test_a_wrong_token_switches_nothing(
    url: str, token: str, headers: dict[str, str]
) -> None:
    assert (await opening(url, **headers)).status in {400, 401}


async def test_two_tokens_in_one_opening_switch_nothing(url: str, token: str) -> None:
    for offered in (f"bearer, {token}", f"bearer, {token}, {token}"):
        twice = await opening(url, token=token, Sec_WebSocket_Protocol=offered)
        assert twice.status == 401


async def test_a_token_in_the_url_switches_nothing(url: str, token: str) -> None:
    answer = await opening(url, f"{PATHS[0]}?access_token={token}&token={token}")
    assert answer.status == 401
    assert token not in answer.body


@pytest.mark.parametrize("way", ["header", "subprotocol"])
async def test_a_token_is_taken_from_the_header_or_the_subprotocol(
    url: str, token: str, way: str
) -> None:
    """Then the path is looked at, and there is no such command."""
    if way == "header":
        answer = await opening(url, token=token)
    else:
        answer = await opening(url, Sec_WebSocket_Protocol=f"bearer, {token}")
    assert answer.status in {403, 404}


@pytest.mark.parametrize("origin", ["https://evil.example.com", "null", "file://"])
async def test_a_page_of_another_origin_switches_nothing(url: str, token: str, origin: str) -> None:
    answer = await opening(url, token=token, Origin=origin)
    assert answer.status == 403
    assert "--allowed-origin" in answer.body


async def test_another_host_switches_nothing(url: str, token: str) -> None:
    assert (await opening(url, token=token, Host="evil.example.com")).status == 421


async def test_guessing_by_websocket_is_slowed_down(url: str) -> None:
    wrong = "bearer, dmcp_" + "A" * 43
    answers = [await opening(url, Sec_WebSocket_Protocol=wrong) for _ in range(4)]
    assert [answer.status for answer in answers] == [401, 401, 401, 429]
    assert int(answers[-1].headers["retry-after"]) >= 1


async def test_openings_count_in_the_rate_of_their_principal(url: str, token: str) -> None:
    answers = [await opening(url, token=token) for _ in range(40)]
    assert 429 in {answer.status for answer in answers}


@pytest.mark.parametrize("path", ["/mcp", "/v1/sessions", "/healthz", "/nothing"])
async def test_other_paths_are_no_websockets(url: str, token: str, path: str) -> None:
    assert (await opening(url, path, token)).status == 403
