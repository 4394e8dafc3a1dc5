"""``/metrics`` of a true server process: what Prometheus reads, and who may."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import anyio
import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.asyncio.client import connect

from tests.clients import http_client
from tests.operator import SECONDS, Operator, Serving
from tests.upstream import Upstream

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

NEEDS = ("--isolation", "none")
Labels = frozenset[tuple[str, str]]


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(tmp_path / "data")


@pytest.fixture
def server(operator: Operator, upstream: Upstream) -> Iterator[Serving]:
    made = operator.does("call", "repository_init", f"url={upstream.path}", "name=app", *NEEDS)
    assert made.returncode == 0, made.stderr
    with operator.serving(*NEEDS) as server:
        yield server


class Scraper:
    """Somebody who reads the numbers."""

    def __init__(self, server: Serving, token: str | None) -> None:
        self.headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self.root = server.url.removesuffix("/mcp")

    async def get(self, path: str = "/metrics") -> httpx2.Response:
        return await self._ask("GET", path)

    async def head(self, path: str) -> httpx2.Response:
        return await self._ask("HEAD", path)

    def followed(self, command: str) -> connect:
        """Open the stream of a command."""
        url = self.root.replace("http", "ws", 1) + f"/v1/commands/{command}/stream"
        return connect(url, additional_headers=self.headers)

    async def post(self, path: str, **body: object) -> httpx2.Response:
        return await self._ask("POST", path, body)

    async def _ask(
        self, method: str, path: str, body: dict[str, object] | None = None
    ) -> httpx2.Response:
        async with httpx2.AsyncClient(headers=self.headers, timeout=SECONDS) as http:
            return await http.request(method, self.root + path, json=body)

    async def text(self) -> str:
        answer = await self.get()
        assert answer.status_code == 200, answer.text
        return answer.text

    async def numbers(self) -> dict[tuple[str, Labels], float]:
        """Return every number, by its name and its labels."""
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(await self.text())
            for sample in family.samples
        }


def of(name: str, **labels: str) -> tuple[str, Labels]:
    return name, frozenset(labels.items())


async def open_by_kind(admin: Scraper) -> dict[str, float]:
    """Return how many requests are under way."""
    return {
        dict(labels)["kind"]: number
        for (name, labels), number in (await admin.numbers()).items()
        if name == "debug_mcp_http_open"
    }


@pytest.fixture
def admin(operator: Operator, server: Serving) -> Scraper:
    made = operator.does("token", "create", "root", "--scope", "admin,session:read,session:write,"
                         "command:run,repository:read").stdout  # fmt: skip
    return Scraper(server, made[made.index("dmcp_") :].split()[0])


async def test_calls_commands_and_what_there_is_are_counted(admin: Scraper) -> None:
    made = (await admin.post("/v1/sessions", repository="app")).json()
    path = f"/v1/sessions/{made['session_id']}/commands"
    for command in ("exit 0", "exit 0", "exit 7"):
        assert (await admin.post(path, command=command, wait_seconds=50)).status_code == 201
    assert (await admin.get("/v1/commands/c_none")).status_code == 404
    seen = await admin.numbers()
    runs, calls = "debug_mcp_command_run_seconds_count", "debug_mcp_call_seconds_count"
    assert seen[of(runs, kind="run", outcome="succeeded")] == 2
    assert seen[of(runs, kind="run", outcome="failed")] == 1
    assert seen[of("debug_mcp_command_queue_seconds_count", kind="run")] == 3
    assert seen[of(calls, operation="command_run", outcome="done")] == 3
    assert seen[of(calls, operation="command_wait", outcome="not_found")] == 1
    assert seen[of("debug_mcp_sessions", state="ready")] == 1
    assert seen[of("debug_mcp_commands", state="running")] == 0
    assert seen[of("debug_mcp_repositories", state="ready")] == 1
    assert seen[of("debug_mcp_http_responses_total", status="201")] == 4
    assert seen[of("debug_mcp_store_bytes")] > 4096
    assert seen[of("debug_mcp_disk_free_bytes")] > 0
    assert seen[of("process_resident_memory_bytes")] > 1 << 20


async def test_a_command_that_runs_is_seen_while_it_does(admin: Scraper) -> None:
    made = (await admin.post("/v1/sessions", repository="app")).json()
    path = f"/v1/sessions/{made['session_id']}/commands"
    begun = await admin.post(path, command="cat", stdin="open", wait_seconds=1)
    waiting = await admin.post(path, command="true", wait_seconds=0)
    assert (begun.status_code, waiting.status_code) == (202, 202)
    seen = await admin.numbers()
    assert seen[of("debug_mcp_commands", state="running")] == 1
    assert seen[of("debug_mcp_commands", state="queued")] == 1
    await admin.post(f"/v1/commands/{begun.json()['command_id']}/input", key="ctrl-d")
    with anyio.fail_after(SECONDS):
        while (await admin.numbers())[of("debug_mcp_commands", state="queued")]:
            await anyio.sleep(0.1)


async def test_open_streams_and_downloads_are_counted_while_they_are_open(
    server: Serving, admin: Scraper, operator: Operator
) -> None:
    made = (await admin.post("/v1/sessions", repository="app")).json()
    path = f"/v1/sessions/{made['session_id']}/commands"
    much = "head -c 100000000 /dev/zero; cat"
    ran = (await admin.post(path, command=much, stdin="open", wait_seconds=0)).json()["command_id"]
    output = f"/v1/commands/{ran}/output"
    with anyio.fail_after(SECONDS):
        while int((await admin.head(output)).headers["content-length"]) < 100_000_000:
            await anyio.sleep(0.05)
    token = operator.token("ada")
    async with contextlib.AsyncExitStack() as streams:
        http = await streams.enter_async_context(httpx2.AsyncClient(headers=admin.headers))
        await streams.enter_async_context(http.stream("GET", admin.root + output))
        for _ in range(2):
            await streams.enter_async_context(admin.followed(ran))
        client = await streams.enter_async_context(http_client(server.url, token, "legacy"))
        assert (await client.list_tools()).tools
        with anyio.fail_after(SECONDS):
            while (seen := await open_by_kind(admin)) != {
                "call": 1, "download": 1, "events": 1, "websocket": 2
            }:  # fmt: skip
                assert set(seen) == {"call", "download", "events", "websocket"}
                await anyio.sleep(0.05)
    with anyio.fail_after(SECONDS):
        while sum((await open_by_kind(admin)).values()) != 1:  # the one that asks
            await anyio.sleep(0.05)


async def test_what_the_pool_had_is_counted(admin: Scraper) -> None:
    looks = "debug_mcp_pool_looks_total"
    for _ in range(3):
        assert (await admin.post("/v1/sessions", repository="app")).status_code == 201
        with anyio.fail_after(SECONDS):
            while (await admin.numbers())[of("debug_mcp_pool_trees")] < 2:
                await anyio.sleep(0.05)
    seen = await admin.numbers()
    assert seen[of(looks, found="hit")] >= 2
    assert sum(seen[of(looks, found=found)] for found in ("hit", "switched", "miss")) == 3


async def test_failed_tokens_are_counted(server: Serving, admin: Scraper) -> None:
    for token in (None, "dmcp_wrong"):
        assert (await Scraper(server, token).get("/v1/sessions")).status_code == 401
    assert (await admin.numbers())[of("debug_mcp_token_failures_total")] == 2


async def test_only_an_administrator_reads_them(operator: Operator, server: Serving) -> None:
    assert (await Scraper(server, None).get()).status_code == 401
    refused = await Scraper(server, operator.token("ada")).get()
    assert refused.status_code == 403
    assert 'scope="admin"' in refused.headers["www-authenticate"]


async def test_everybody_reads_them_where_the_operator_says_so(operator: Operator) -> None:
    with operator.serving(*NEEDS, DEBUG_MCP_HTTP_METRICS_OPEN="true") as server:
        assert "debug_mcp_info" in await Scraper(server, None).text()
        assert (await Scraper(server, None).get("/v1/sessions")).status_code == 401


async def test_no_label_is_what_a_caller_wrote(server: Serving, admin: Scraper) -> None:
    stranger = Scraper(server, None)
    await stranger.get("/v1/xyzzy-path")
    await admin.get("/v1/commands/c_xyzzy")
    await admin.post("/v1/sessions", repository="xyzzy", xyzzy="xyzzy")
    for method in ("tools/call", "xyzzy"):
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"name": "xyzzy"}}
        await admin.post("/mcp", **body)
    assert "xyzzy" not in await admin.text()
