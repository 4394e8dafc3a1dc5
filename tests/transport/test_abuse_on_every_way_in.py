"""The same abuse on each way in over HTTP: MCP, REST, downloads, the stream, the numbers.

What only one of them can be sent is in ``test_http_abuse``, ``test_websocket_opening``, and in the
stories of REST and of the stream.
"""

import contextlib
import resource
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import pytest
from websockets.asyncio.client import connect

from debug_mcp.config import IsolationPolicy, Settings
from debug_mcp.service.services import Services
from tests.clients import Agent, http_client, script, serving
from tests.transport import raw
from tests.transport.test_http_abuse import INITIALIZE

pytestmark = pytest.mark.anyio

CONNECTIONS = 1000
WRONG = "Bearer dmcp_" + "A" * 43


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        data_dir=tmp_path / "data",
        isolation=IsolationPolicy.NONE,
        http_body_bytes=10_000,
        http_request_seconds=0.5,
    )


@dataclass(frozen=True)
class Way:
    """A way in: what is asked, and the status of an answer to somebody with a token."""

    method: str
    path: str
    served: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    def request(self, url: str, **changes: str) -> bytes:
        path = changes.pop("path", self.path)
        sent = {**self.headers, **changes}
        return raw.request(url, method=self.method, path=path, body=self.body, **sent)


CALL = INITIALIZE
SWITCH = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec_WebSocket_Version": "13",
    "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
WAYS = {
    "MCP": Way("POST", "/mcp", 200, CALL),
    "REST, reading": Way("GET", "/v1/sessions", 200),
    "REST, writing": Way("POST", "/v1/sessions", 422, b'{"ref": 5}'),
    "a download": Way("GET", "/v1/artifacts/a_none/content", 404),
    "the stream": Way("GET", "/v1/commands/c_none/stream", 404, headers=SWITCH),
    "the numbers": Way("GET", "/metrics", 404),
}
WITH_BODY = ("MCP", "REST, writing")


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Way:
    return WAYS[request.param]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_with_a_token_each_answers(url: str, token: str, way: Way) -> None:
    answer = await raw.send(url, way.request(url, **bearer(token)))
    assert answer.status == way.served, answer


@pytest.mark.parametrize("header", [None, WRONG, "Bearer", "Basic YTpi", "Bearer \xe9"])
async def test_without_a_right_token_none_answers(url: str, way: Way, header: str | None) -> None:
    sent = {} if header is None else {"Authorization": header}
    answer = await raw.send(url, way.request(url, **sent))
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith('Bearer realm="debug-mcp"')


async def test_a_token_in_the_query_opens_none_and_is_not_repeated(
    url: str, token: str, way: Way
) -> None:
    for name in ("access_token", "token", "authorization", "bearer"):
        answer = await raw.send(url, way.request(url, path=f"{way.path}?{name}={token}"))
        assert answer.status == 401
        assert token not in str(answer)


async def test_another_host_is_refused_by_each(url: str, token: str, way: Way) -> None:
    for host in ("evil.example.com", "127.0.0.1.evil.example.com", "a@127.0.0.1"):
        answer = await raw.send(url, way.request(url, Host=host, **bearer(token)))
        assert answer.status in (400, 421)


async def test_a_page_of_another_origin_is_refused_by_each(url: str, token: str, way: Way) -> None:
    for origin in ("https://evil.example.com", "null", "http://localhost.evil.example.com"):
        answer = await raw.send(url, way.request(url, Origin=origin, **bearer(token)))
        assert answer.status == 403


async def test_a_head_that_does_not_arrive_is_not_waited_for(url: str, way: Way) -> None:
    whole = way.request(url)
    assert (await raw.send(url, whole[: whole.index(b"\r\n\r\n")])).status == 408


async def test_what_comes_by_drops_is_not_waited_for_either(url: str, way: Way) -> None:
    """The time is that of the whole head: each byte does not begin it anew."""
    head = way.request(url)[:30]
    async with await raw.connect(url) as stream, anyio.create_task_group() as tasks:

        async def drip() -> None:
            for byte in head:
                with contextlib.suppress(anyio.BrokenResourceError):
                    await stream.send(bytes([byte]))
                await anyio.sleep(0.1)

        tasks.start_soon(drip)
        assert (await raw.answer(stream)).status == 408
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("name", WITH_BODY)
async def test_bodies_too_large_or_too_slow_are_refused(url: str, token: str, name: str) -> None:
    way = WAYS[name]
    sent = way.request(url, **bearer(token))
    large = sent.replace(b"Content-Length: %d" % len(way.body), b"Content-Length: 20000")
    assert (await raw.send(url, large + b" " * 20_000)).status == 413
    assert (await raw.send(url, sent[:-5])).status == 408
    chunked = way.request(url, Transfer_Encoding="chunked", **bearer(token))
    chunked = chunked.replace(b"Content-Length: %d\r\n" % len(way.body), b"")
    chunked = chunked[: chunked.index(b"\r\n\r\n") + 4]
    assert (await raw.send(url, chunked + b"2000\r\n" + b"x" * 0x2000 + b"\r\n" * 2)).status == 400
    assert (await raw.send(url, chunked + b"5\r\n[1,2,\r\n")).status == 408
    assert (await raw.send(url, sent)).status == way.served


@pytest.mark.parametrize("name", WITH_BODY)
@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b"null", b"\xff\xfe", b"[" * 4500 + b"]" * 4500,
     b'{"a":' * 1500 + b"1" + b"}" * 1500, b"[" + CALL + b"," + CALL + b"]",
     b'{"repository": ' + b"9" * 5000 + b"}", b'{"a": NaN}', b'{"repository": "\\ud800"}',
     b'{"repository": "a"} {}'],
    ids=["cut", "list", "null", "no UTF-8", "deep list", "deep object", "batch", "long number",
         "no number", "half a character", "two"],
)  # fmt: skip
async def test_what_is_no_request_is_refused(url: str, token: str, name: str, body: bytes) -> None:
    answer = await raw.send(url, changed(url, WAYS[name], body, token))
    assert 400 <= answer.status < 500, answer
    assert (await raw.send(url, WAYS[name].request(url, **bearer(token)))).status < 500


def changed(url: str, way: Way, body: bytes, token: str) -> bytes:
    """Return the request with another body."""
    headers = {**way.headers, **bearer(token)}
    return raw.request(url, method=way.method, path=way.path, body=body, **headers)


TRAVERSALS = (
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e",
    "c_%00",
    "..;",
    "%252e%252e%252f",
    "c%0d%0aX:%20y",
)


@pytest.mark.parametrize("odd", TRAVERSALS)
async def test_no_id_in_a_path_leads_out(url: str, token: str, odd: str) -> None:
    for place in (
        "/v1/sessions/{}", "/v1/sessions/{}/diff", "/v1/commands/{}", "/v1/commands/{}/output",
        "/v1/artifacts/{}/content", "/v1/repositories/{}", "/v1/commands/{}/stream",
    ):  # fmt: skip
        for headers in ({}, SWITCH):
            sent = raw.request(
                url, method="GET", path=place.format(odd), body=b"", **headers, **bearer(token)
            )
            answer = await raw.send(url, sent)
            assert answer.status in (403, 404, 405, 422, 426), (place, answer)
            assert "x" not in answer.headers
            assert "root:" not in answer.body


async def test_no_id_in_a_call_or_a_uri_leads_out(url: str, token: str) -> None:
    async with http_client(url, token) as client:
        agent = Agent(client)
        for odd in ("../../../etc/passwd", "..", "c_\x00", "c\r\nX: y", "/etc/passwd"):
            for tool, name in (
                ("command_output", "command_id"), ("session_get", "session_id"),
                ("artifact_read", "artifact_id"), ("session_create", "repository"),
            ):  # fmt: skip
                refused = await agent.refused(tool, **{name: odd})
                assert "root:" not in refused["text"]
        for uri in (
            "output://../../etc/passwd", "artifact://a_1/../../etc/passwd", "file:///etc/passwd",
            "session://..%2f..%2f/diff", "output://c%0d%0aX",
        ):  # fmt: skip
            with pytest.raises(Exception, match=r"(?i)yours|unknown|not found|no resource|invalid"):
                await client.read_resource(uri)


@pytest.mark.parametrize(
    "line",
    [b"X: a\rb", b"X: a\nInjected", b"X : a", b"X: \x00", b"Content-Length: 5"],
    ids=["bare CR", "bare LF", "space", "NUL", "two lengths"],
)
async def test_a_head_that_could_be_read_in_two_ways_is_refused(
    url: str, token: str, way: Way, line: bytes
) -> None:
    sent = way.request(url, **bearer(token))
    end = sent.index(b"\r\n\r\n")
    assert (await raw.send(url, sent[:end] + b"\r\n" + line + sent[end:])).status == 400


@pytest.fixture
def many_files() -> Iterator[None]:
    """Let this process have both ends of all connections open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * CONNECTIONS + 500
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), max(hard, wanted)))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
async def patient(many_files: None, services: Services, settings: Settings) -> AsyncIterator[str]:
    """A server that waits long enough for all connections to be there at once."""
    longer = settings.model_copy(
        update={"http_request_seconds": 60, "http_connections": CONNECTIONS + 10}
    )
    async with serving(services, longer) as url:
        yield url


async def test_a_thousand_idle_connections_keep_nobody_waiting(patient: str, token: str) -> None:
    root = patient.removesuffix("/mcp")
    async with contextlib.AsyncExitStack() as idle:
        for number in range(CONNECTIONS):
            stream = await idle.enter_async_context(await raw.connect(patient))
            if number % 2:
                await stream.send(b"GET /v1/sessions HTTP/1.1\r\nHost: loc")
        with anyio.fail_after(raw.ANSWER_SECONDS):
            async with http_client(patient, token) as client:
                assert await Agent(client).call("server_info")
            async with script(root, token) as ada:
                assert (await ada.get("/server")).status_code == 200
            with pytest.raises(Exception, match="404"):
                async with connect(
                    root.replace("http", "ws", 1) + "/v1/commands/c_none/stream",
                    additional_headers=bearer(token),
                ):
                    pass
