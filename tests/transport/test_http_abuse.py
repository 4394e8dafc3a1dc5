"""What strangers, browsers and broken clients send, by raw HTTP."""

import json
from pathlib import Path

import anyio
import pytest

from debug_mcp.auth.principal import LOCAL
from debug_mcp.config import IsolationPolicy, Settings
from debug_mcp.service.services import Services
from tests.clients import http_client
from tests.transport import raw

pytestmark = pytest.mark.anyio

INITIALIZE = json.dumps(
    {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "raw", "version": "1"},
        },
    }
).encode()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        data_dir=tmp_path / "data",
        isolation=IsolationPolicy.NONE,
        http_body_bytes=10_000,
        http_request_seconds=0.5,
        http_failures=3,
        http_requests_burst=50,
        http_requests_per_second=0.5,  # slow, so that a slow machine sees it too
        http_connections=30,
        http_allowed_hosts=["debug.example.org"],
        http_allowed_origins=["https://app.example.org"],
    )


async def usable(url: str, token: str) -> None:
    """See that the server still serves."""
    async with http_client(url, token) as client:
        assert (await client.list_tools()).tools


async def test_a_valid_token_opens(url: str, token: str) -> None:
    answer = await raw.send(url, raw.request(url, token=token, body=INITIALIZE))
    assert answer.status == 200
    assert "debug-mcp" in answer.body


@pytest.mark.parametrize("path", ["/mcp", "/mcp/", "/", "/v1/sessions", "/../../etc/passwd"])
async def test_without_a_token_nothing_opens(url: str, path: str) -> None:
    for method in ("GET", "POST", "PUT", "HEAD", "OPTIONS", "DELETE"):
        answer = await raw.send(url, raw.request(url, method=method, path=path))
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == 'Bearer realm="debug-mcp"'
        if method != "HEAD":
            said = json.loads(answer.body)
            assert said.get("error", said)["code"] == "unauthenticated"


@pytest.mark.parametrize(
    "header",
    ["Bearer dmcp_" + "A" * 43, "Bearer", "Bearer ", "Bearer x", "Bearer \xe9\xff", "Basic YTpi"],
)
async def test_a_wrong_token_opens_nothing(url: str, token: str, header: str) -> None:
    answer = await raw.send(url, raw.request(url, body=INITIALIZE, Authorization=header))
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith('Bearer realm="debug-mcp"')


async def test_two_tokens_in_one_request_open_nothing(url: str, token: str) -> None:
    sent = raw.request(url, token=token, body=INITIALIZE)
    twice = sent.replace(b"Connection", b"Authorization: Bearer x\r\nConnection", 1)
    assert (await raw.send(url, twice)).status == 401


async def test_a_revoked_token_is_refused_at_its_next_request(
    url: str, token: str, services: Services
) -> None:
    await services.tokens.revoke(LOCAL, "ada")
    answer = await raw.send(url, raw.request(url, token=token, body=INITIALIZE))
    assert answer.status == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


async def test_a_token_in_the_url_opens_nothing(url: str, token: str) -> None:
    answer = await raw.send(
        url, raw.request(url, path=f"/mcp?access_token={token}&token={token}", body=INITIALIZE)
    )
    assert answer.status == 401
    assert token not in answer.body


async def test_guessing_is_slowed_down_and_does_not_lock_others_out(url: str, token: str) -> None:
    wrong = raw.request(url, Authorization="Bearer dmcp_" + "A" * 43)
    assert [(await raw.send(url, wrong)).status for _ in range(3)] == [401] * 3
    refused = await raw.send(url, wrong)
    assert refused.status == 429
    assert int(refused.headers["retry-after"]) >= 1
    assert (await raw.send(url, raw.request(url, token=token, body=INITIALIZE))).status == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example.com", "127.0.0.1.evil.example.com", "127.0.0.1:x", "", "a@127.0.0.1",
     "127.0.0.1/x", "localhost:8321, evil.example.com"],
)  # fmt: skip
async def test_a_request_for_another_host_is_refused(url: str, token: str, host: str) -> None:
    answer = await raw.send(url, raw.request(url, token=token, body=INITIALIZE, Host=host))
    assert answer.status in {400, 421}


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:1234", "[::1]:8321", "DEBUG.example.org", "127.0.0.1"]
)
async def test_a_request_for_one_of_the_servers_names_is_served(
    url: str, token: str, host: str
) -> None:
    answer = await raw.send(url, raw.request(url, token=token, body=INITIALIZE, Host=host))
    assert answer.status == 200


@pytest.mark.parametrize(
    "origin", ["https://evil.example.com", "null", "http://localhost.evil.example.com", "file://"]
)
async def test_a_page_of_another_origin_is_refused(url: str, token: str, origin: str) -> None:
    answer = await raw.send(url, raw.request(url, token=token, body=INITIALIZE, Origin=origin))
    assert answer.status == 403


@pytest.mark.parametrize(
    "origin", ["https://app.example.org", "http://localhost:3000", "http://127.0.0.1:8321"]
)
async def test_a_page_of_an_allowed_origin_is_served(url: str, token: str, origin: str) -> None:
    answer = await raw.send(url, raw.request(url, token=token, body=INITIALIZE, Origin=origin))
    assert answer.status == 200


async def test_health_needs_no_token_and_tells_nothing(url: str) -> None:
    answer = await raw.send(url, raw.request(url, method="GET", path="/healthz", body=b""))
    assert (answer.status, answer.body) == (200, '{"status":"ok"}')


async def test_no_authorization_server_is_announced(url: str) -> None:
    path = "/.well-known/oauth-protected-resource/mcp"
    answer = await raw.send(url, raw.request(url, method="GET", path=path, body=b""))
    assert answer.status == 404


async def test_a_body_beyond_the_limit_is_refused(url: str, token: str) -> None:
    large = b'"' + b"x" * 20_000 + b'"'
    answer = await raw.send(url, raw.request(url, token=token, body=large))
    assert answer.status == 413
    assert "10000 bytes" in answer.body
    await usable(url, token)


async def test_a_chunked_body_beyond_the_limit_is_refused(url: str, token: str) -> None:
    sent = raw.request(url, token=token, body=b"", Transfer_Encoding="chunked")
    sent = sent.replace(b"Content-Length: 0\r\n", b"")
    chunk = b"1000\r\n" + b"x" * 0x1000 + b"\r\n"
    answer = await raw.send(url, sent + chunk * 5)
    assert answer.status == 413


async def test_a_body_that_does_not_arrive_is_not_waited_for(url: str, token: str) -> None:
    sent = raw.request(url, token=token, body=INITIALIZE)
    answer = await raw.send(url, sent[:-10])
    assert answer.status == 408


async def test_a_head_that_does_not_arrive_is_not_waited_for(url: str, token: str) -> None:
    assert (await raw.send(url, b"POST /mcp HTTP/1.1\r\nHost: x")).status == 408
    async with await raw.connect(url) as stream:
        await stream.send(raw.request(url, method="GET", path="/healthz", body=b"", Connection="x"))
        with anyio.fail_after(raw.ANSWER_SECONDS):
            assert await stream.receive()
        await stream.send(b"GET /healthz HTTP/1.1\r\n")
        assert (await raw.answer(stream)).status == 408


async def test_connections_beyond_the_limit_are_refused_until_others_end(
    url: str, token: str, settings: Settings
) -> None:
    async with anyio.create_task_group() as tasks:

        async def idle(*, task_status: anyio.abc.TaskStatus[None]) -> None:
            async with await raw.connect(url) as stream:
                task_status.started()
                await raw.answer_or_nothing(stream)

        for _ in range(settings.http_connections):
            await tasks.start(idle)
        async with await raw.connect(url) as stream:
            assert (await raw.answer(stream)).status == 503
    # The idle ones were closed when they sent nothing.
    await usable(url, token)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"jsonrpc": "2.0"}', b"[" * 4000 + b"]" * 4000,
     b'{"a":' * 1500 + b"1" + b"}" * 1500, b"[" + INITIALIZE + b"]",
     b'{"id": ' + b"9" * 5000 + b"}"],
    ids=["empty", "cut", "list", "null", "no UTF-8", "no method", "deep list", "deep object",
         "batch", "long number"],
)  # fmt: skip
async def test_what_is_no_request_is_refused(url: str, token: str, body: bytes) -> None:
    for version in ("2025-06-18", "2026-07-28", "x" * 1000):
        sent = raw.request(url, token=token, body=body, MCP_Protocol_Version=version)
        answer = await raw.send(url, sent)
        assert 400 <= answer.status < 500, answer
    await usable(url, token)


async def test_other_methods_do_nothing(url: str, token: str) -> None:
    for method in ("PUT", "PATCH", "HEAD", "TRACE", "GET", "DELETE"):
        answer = await raw.send(url, raw.request(url, token=token, method=method, body=b""))
        assert 400 <= answer.status < 500, method


@pytest.mark.parametrize(
    "path", ["/..%2f..%2fetc/passwd", "/mcp/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//etc",
             "/mcp%00", "/healthz/../mcp"]
)  # fmt: skip
async def test_no_path_leads_out(url: str, token: str, path: str) -> None:
    answer = await raw.send(url, raw.request(url, token=token, method="GET", path=path, body=b""))
    assert answer.status == 404
    answer = await raw.send(url, raw.request(url, method="GET", path=path, body=b""))
    assert answer.status == 401


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /mcp HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
        b"GET /mcp\r\nX HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n",
        b"POST /mcp HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
    ],
    ids=["bare carriage return", "newline in the target", "TLS", "long target", "two lengths"],
)
async def test_what_is_no_http_is_refused(url: str, token: str, request_bytes: bytes) -> None:
    assert (await raw.send(url, request_bytes)).status in {400, 408}
    await usable(url, token)


async def test_a_line_break_in_a_name_reaches_no_header(url: str, token: str) -> None:
    answer = await raw.send(
        url, raw.request(url, method="GET", path="/x%0d%0aSet-Cookie:%20a=b", token=token, body=b"")
    )
    assert answer.status == 404
    assert "set-cookie" not in answer.headers


async def test_a_caller_beyond_its_rate_is_told_when_to_come_back(url: str, token: str) -> None:
    sent = raw.request(url, token=token, method="PUT", body=b"")
    answers = [await raw.send(url, sent) for _ in range(80)]
    late = [answer for answer in answers if answer.status == 429]
    assert late
    seconds = json.loads(late[0].body)["error"]["retry_after_seconds"]
    assert 1 <= seconds <= 2
    assert late[0].headers["retry-after"] == str(seconds)
