"""Downloads over real sockets: by ranges, on from where one left off, never run by a browser."""

from collections.abc import AsyncIterator
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

PAGE = "<!doctype html><script>alert(1)</script>"
FILES = {
    "page.html": PAGE,
    "image.svg": '<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>',
    'a "b"\r\nSet-Cookie: x ü.txt': "x\n",
    "digits.txt": "0123456789",
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", isolation=IsolationPolicy.NONE, grace_seconds=1)


@pytest.fixture
async def root(services: Services, settings: Settings, upstream: Upstream) -> AsyncIterator[str]:
    upstream.commit("Files", FILES)
    await services.repositories.init(LOCAL, RepositoryInit(url=str(upstream.path), name="app"))
    async with serving(services, settings) as url:
        yield url.removesuffix("/mcp") + "/v1"


def script(root: str, token: str) -> httpx2.AsyncClient:
    headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": "identity"}
    return httpx2.AsyncClient(base_url=root, headers=headers, timeout=60)


@pytest.fixture
async def ada(root: str, services: Services) -> AsyncIterator[httpx2.AsyncClient]:
    async with script(root, await secret(services, "ada")) as client:
        yield client


@pytest.fixture
async def session(ada: httpx2.AsyncClient) -> str:
    return str((await ada.post("/sessions", json={"repository": "app"})).json()["session_id"])


async def kept(client: httpx2.AsyncClient, session: str, name: str) -> str:
    """Keep a file as an artifact; return the path of its content."""
    answer = await client.post(f"/sessions/{session}/artifacts", json={"collect": "*"})
    [found] = [a for a in answer.json()["artifacts"] if a["name"] == name]
    return f"/artifacts/{found['artifact_id']}/content"


async def started(client: httpx2.AsyncClient, session: str, command: str, **more: object) -> str:
    """Start a command; return its path."""
    asked = {"command": command, "stdin": "open", "wait_seconds": 0, **more}
    answer = await client.post(f"/sessions/{session}/commands", json=asked)
    return f"/commands/{answer.json()['command_id']}"


async def test_an_artifact_is_downloaded_whole_or_in_parts(
    ada: httpx2.AsyncClient, session: str
) -> None:
    path = await kept(ada, session, "digits.txt")
    whole = await ada.get(path)
    assert (whole.status_code, whole.text) == (200, "0123456789")
    tag = whole.headers["etag"]
    head = await ada.head(path)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-length", "etag", "content-type", "accept-ranges", "content-disposition"):
        assert head.headers[name] == whole.headers[name]
    part = await ada.get(path, headers={"Range": "bytes=3-5", "If-Range": tag})
    assert (part.status_code, part.text) == (206, "345")
    assert part.headers["content-range"] == "bytes 3-5/10"
    beyond = await ada.get(path, headers={"Range": "bytes=10-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, "bytes */10")
    assert beyond.headers["content-type"] == "application/problem+json"
    same = await ada.get(path, headers={"If-None-Match": tag, "Range": "bytes=3-5"})
    assert (same.status_code, same.content) == (304, b"")
    ranged = await ada.head(path, headers={"Range": "bytes=3-5"})
    assert (ranged.status_code, ranged.headers["content-length"]) == (200, "10")


@pytest.mark.parametrize("name", list(FILES))
async def test_nothing_that_is_downloaded_runs_in_a_browser(
    ada: httpx2.AsyncClient, session: str, name: str
) -> None:
    answer = await ada.get(await kept(ada, session, name))
    assert answer.content == FILES[name].encode()
    assert answer.headers["content-disposition"].startswith("attachment; filename=")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    kind = answer.headers["content-type"].partition(";")[0]
    assert kind in ("text/plain", "application/octet-stream")
    assert "set-cookie" not in answer.headers


async def test_output_is_downloaded_on_while_it_grows(
    ada: httpx2.AsyncClient, session: str
) -> None:
    path = await started(ada, session, "echo one; read line; echo two")
    first = await ada.get(path, params={"until": "one", "wait_seconds": 20})
    assert first.json()["until"]["by"] == "match"
    begun = await ada.get(f"{path}/output")
    assert (begun.status_code, begun.text) == (200, "one\n")
    assert begun.headers["content-type"] == "text/plain; charset=utf-8"
    going_on = {"Range": "bytes=4-", "If-Range": begun.headers["etag"]}
    nothing = await ada.get(f"{path}/output", headers=going_on)
    assert (nothing.status_code, nothing.headers["content-range"]) == (416, "bytes */4")
    await ada.post(f"{path}/input", json={"text": "\n", "wait_seconds": 20, "until": "two"})
    rest = await ada.get(f"{path}/output", headers=going_on)
    assert (rest.status_code, rest.text) == (206, "two\n")
    assert rest.headers["etag"] != begun.headers["etag"]
    whole = await ada.get(
        f"{path}/output", headers={"Range": "bytes=4-", "If-Range": f'"{path[-6:]}-999"'}
    )
    assert (whole.status_code, whole.text) == (200, "one\ntwo\n")


async def test_bytes_are_downloaded_as_they_were_written(
    ada: httpx2.AsyncClient, session: str
) -> None:
    path = await started(ada, session, "printf '\\377\\000\\r\\n'", wait_seconds=20)
    assert (await ada.get(f"{path}/output")).content == b"\xff\0\r\n"


async def test_a_command_that_has_not_begun_has_written_nothing(
    ada: httpx2.AsyncClient, session: str
) -> None:
    await started(ada, session, "read line")
    waiting = await started(ada, session, "true")
    answer = await ada.get(f"{waiting}/output")
    assert (answer.status_code, answer.content) == (200, b"")


async def test_a_download_is_its_owners_and_needs_its_scope(
    root: str, ada: httpx2.AsyncClient, session: str, services: Services
) -> None:
    paths = (
        await kept(ada, session, "digits.txt"),
        f"{await started(ada, session, 'true')}/output",
    )
    async with (
        script(root, await secret(services, "bob")) as bob,
        script(root, await secret(services, "cy", scopes=["repository:read"])) as cy,
        httpx2.AsyncClient(base_url=root) as nobody,
    ):
        for path in paths:
            assert (await bob.get(path)).status_code == 404
            refused = await cy.head(path)
            assert refused.status_code == 403
            assert "insufficient_scope" in refused.headers["www-authenticate"]
            assert (await nobody.get(path)).status_code == 401
            assert (await ada.post(path)).status_code == 405
            assert (await ada.get(path, params={"token": "x"})).status_code == 422
    for path in (
        "/artifacts/..%2f..%2fx/content",
        "/commands/%2e%2e/output",
        "/artifacts/x/content",
    ):
        assert (await ada.get(path)).status_code == 404


async def test_a_revoked_token_ends_its_download(
    ada: httpx2.AsyncClient, session: str, services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    size = 64 << 20
    path = await started(ada, session, f"head -c {size} /dev/zero", wait_seconds=20)
    with anyio.fail_after(30):
        async with ada.stream("GET", f"{path}/output") as answer:
            await services.tokens.revoke(LOCAL, "ada")
            while "without completing response" not in caplog.text:
                await anyio.sleep(0.05)
            with pytest.raises(httpx2.RemoteProtocolError):
                await answer.aread()


async def test_a_stderr_that_is_apart_is_a_download_of_its_own(
    ada: httpx2.AsyncClient, session: str
) -> None:
    asked = {"command": "echo out; echo err >&2", "streams": "separate"}
    answer = await ada.post(f"/sessions/{session}/commands", json=asked)
    path = f"/commands/{answer.json()['command_id']}/output"
    assert (await ada.get(path)).text == "out\n"
    apart = await ada.get(path, params={"stream": "stderr"})
    assert apart.text == "err\n"
    assert apart.headers["ETag"] != (await ada.get(path)).headers["ETag"]
    page = await ada.get(f"{path}/text", params={"stream": "stderr"})
    assert page.json()["output"]["text"] == "err\n"


async def test_which_stream_is_wanted_must_be_one_that_there_is(
    ada: httpx2.AsyncClient, session: str
) -> None:
    answer = await ada.post(f"/sessions/{session}/commands", json={"command": "echo out"})
    path = f"/commands/{answer.json()['command_id']}/output"
    for stream, said in (("stderr", "one stream"), ("both", "no stream 'both'")):
        refused = await ada.get(path, params={"stream": stream})
        assert (refused.status_code, said in refused.text) == (422, True), refused.text
    assert (await ada.get(path, params={"streams": "stderr"})).status_code == 422
