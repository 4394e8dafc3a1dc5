"""REST over real sockets: a script without MCP does the main job, and sees only what is its own."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from debug_mcp.auth.principal import LOCAL
from debug_mcp.config import IsolationPolicy, Settings
from debug_mcp.models.repositories import RepositoryInit
from debug_mcp.operations.catalogue import CORE, REST
from debug_mcp.service.services import Services
from tests.clients import script, secret, serving
from tests.operator import Operator
from tests.service.house import GATED
from tests.upstream import Upstream

pytestmark = pytest.mark.anyio

PROBLEM = "application/problem+json"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", isolation=IsolationPolicy.NONE, grace_seconds=1)


@pytest.fixture
async def root(services: Services, settings: Settings, upstream: Upstream) -> AsyncIterator[str]:
    await services.repositories.init(LOCAL, RepositoryInit(url=str(upstream.path), name="app"))
    async with serving(services, settings) as url:
        yield url.removesuffix("/mcp")


@pytest.fixture
async def ada(root: str, services: Services) -> AsyncIterator[httpx2.AsyncClient]:
    async with script(root, await secret(services, "ada")) as client:
        yield client


@pytest.fixture
async def bob(root: str, services: Services) -> AsyncIterator[httpx2.AsyncClient]:
    async with script(root, await secret(services, "bob")) as client:
        yield client


async def opened(client: httpx2.AsyncClient) -> str:
    made = await client.post("/sessions", json={"repository": "app"})
    assert made.status_code == 201, made.text
    return str(made.json()["session_id"])


async def test_a_script_does_the_main_job_with_a_server_process(
    tmp_path: Path, upstream: Upstream
) -> None:
    operator = Operator(tmp_path / "data")
    token = operator.token("ada")
    operator.does("call", "repository_init", f"url={upstream.path}", "name=app")
    with operator.serving("--isolation", "none") as server:
        async with script(server.url.removesuffix("/mcp"), token) as client:
            assert (await client.get("/repositories/app")).json()["repositories"]
            made = await client.post("/sessions", json={"repository": "app"})
            assert made.status_code == 201
            assert made.headers["location"] == f"/v1/sessions/{made.json()['session_id']}"
            session = made.headers["location"].removeprefix("/v1")
            edited = await client.patch(
                f"{session}/files",
                json={"edits": [{"path": "new.py", "content": "print(6 * 7)\n"}]},
            )
            assert edited.json()["changed"] == [
                {"path": "new.py", "change": "added", "lines": "+1 -0"}
            ]
            read = await client.get(f"{session}/files", params={"path": "new.py"})
            assert "print(6 * 7)" in read.json()["text"]
            ran = await client.post(f"{session}/commands", json={"command": "python3 new.py"})
            assert (ran.status_code, ran.json()["output"]["text"]) == (201, "42\n")
            again = await client.get(ran.headers["location"].removeprefix("/v1"))
            assert again.json()["outcome"] == "succeeded"
            kept = await client.post(f"{session}/artifacts", json={"collect": ["new.py"]})
            artifact = kept.json()["artifacts"][0]["artifact_id"]
            assert (await client.get(f"/artifacts/{artifact}")).json()["text"] == "print(6 * 7)\n"
            assert (await client.get(f"{session}/diff")).json()["files"][0]["path"] == "new.py"
            exported = await client.post(f"{session}/export", json={})
            assert exported.json()["branch"].startswith("debug-mcp/")
            assert (await client.delete(session)).json()["state"] == "closed"


async def test_what_goes_on_is_accepted_and_followed_under_its_location(
    ada: httpx2.AsyncClient, settings: Settings
) -> None:
    session = await opened(ada)
    ran = await ada.post(
        f"/sessions/{session}/commands", json={"command": GATED, "wait_seconds": 0}
    )
    assert ran.status_code == 202
    where = ran.headers["location"].removeprefix("/v1")
    # Without wait_seconds a look does not wait.
    assert (await ada.get(where)).json()["state"] in ("queued", "starting", "running")
    cancelled = await ada.post(f"{where}/cancel", json={})
    assert cancelled.status_code == 200
    ended = await ada.get(where, params={"wait_seconds": "50"})
    assert ended.json()["outcome"] == "cancelled"


async def test_a_request_sent_twice_with_one_key_runs_once(ada: httpx2.AsyncClient) -> None:
    session = await opened(ada)
    path, body = f"/sessions/{session}/commands", {"command": "true"}
    first = await ada.post(path, json=body, headers={"Idempotency-Key": "k"})
    again = await ada.post(path, json=body, headers={"Idempotency-Key": '"k"'})
    assert first.json()["command_id"] == again.json()["command_id"]
    other = await ada.post(
        path, json={**body, "idempotency_key": "l"}, headers={"Idempotency-Key": "k"}
    )
    assert (other.status_code, other.json()["field"]) == (422, "idempotency_key")
    # An operation that could not keep its promise says so.
    refused = await ada.post(
        f"/sessions/{session}/export", json={}, headers={"Idempotency-Key": "k"}
    )
    assert refused.status_code == 422


async def test_a_key_is_taken_wherever_sending_again_does_no_harm(ada: httpx2.AsyncClient) -> None:
    key = {"Idempotency-Key": "k"}
    session = (await ada.post("/sessions", json={"repository": "app"}, headers=key)).json()
    again = (await ada.post("/sessions", json={"repository": "app"}, headers=key)).json()
    assert session["session_id"] == again["session_id"]
    asked = {"command": "sleep 60", "wait_seconds": 0}
    path = f"/sessions/{session['session_id']}/commands"
    ran = (await ada.post(path, json=asked, headers=key)).json()["command_id"]
    for _ in range(2):
        cancelled = await ada.post(f"/commands/{ran}/cancel", json={}, headers=key)
        assert cancelled.json()["outcome"] == "cancelled"
    for _ in range(2):
        closed = await ada.delete(f"/sessions/{session['session_id']}", headers=key)
        assert (closed.status_code, closed.json()["state"]) == (200, "closed")


def test_each_operation_that_makes_something_can_be_asked_again_without_harm() -> None:
    harmless = {
        operation.name
        for operation in REST
        if operation.idempotent or "idempotency_key" in operation.arguments.model_fields
    }
    makes = {op.name for op in REST if any(route.creates for route in op.routes)}
    # A token's name is taken the second time, and its secret is shown once only.
    assert makes - harmless == {"token_create"}
    deletes = {op.name for op in REST if any(route.method == "DELETE" for route in op.routes)}
    assert deletes <= harmless


async def test_pages_of_a_list_are_linked(ada: httpx2.AsyncClient) -> None:
    session = await opened(ada)
    for _ in range(3):
        await ada.post(f"/sessions/{session}/commands", json={"command": "true"})
    page = await ada.get("/commands", params={"limit": "2", "session_id": session})
    [link] = re.findall(r'<(/v1/commands\?[^>]+)>; rel="next"', page.headers["link"])
    last = await ada.get(link.removeprefix("/v1"))
    assert "link" not in last.headers
    seen = [row["command_id"] for row in page.json()["commands"] + last.json()["commands"]]
    assert len(set(seen)) == 3


async def test_what_has_not_changed_is_not_sent_again(ada: httpx2.AsyncClient) -> None:
    first = await ada.get("/repositories")
    tag = first.headers["etag"]
    same = await ada.get("/repositories", headers={"If-None-Match": tag})
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    other = await ada.get("/repositories", headers={"If-None-Match": 'W/"other"'})
    assert other.status_code == 200
    head = await ada.head("/repositories")
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", tag)


async def test_a_script_sees_nothing_that_is_anothers(
    ada: httpx2.AsyncClient, bob: httpx2.AsyncClient
) -> None:
    session = await opened(ada)
    ran = (await ada.post(f"/sessions/{session}/commands", json={"command": "echo a"})).json()
    bodies: tuple[dict[str, object], ...] = (
        {"edits": [{"path": "x", "content": "x"}]},
        {"command": "true"},
        {"text": "x"},
        {},
    )
    tried = 0
    for operation in CORE:
        for route in operation.routes:
            if not {"session_id", "command_id"} & set(route.in_path):
                continue
            path = route.path.format(session_id=session, command_id=ran["command_id"])
            tried += 1
            answers = (
                [await bob.request(route.method, path, json=body) for body in bodies]
                if route.method in ("POST", "PATCH", "PUT")
                else [await bob.request(route.method, path)]
            )
            # One of the bodies fits; what does not is refused before.
            assert {answer.status_code for answer in answers} <= {404, 422}, path
            assert 404 in {answer.status_code for answer in answers}, path
    assert tried > 8
    assert "commands" not in (await bob.get("/commands")).json()
    assert (await ada.get(f"/commands/{ran['command_id']}")).json()["output"]["text"] == "a\n"


async def test_a_token_without_the_scope_is_told_which_one_it_lacks(
    root: str, services: Services
) -> None:
    token = await secret(services, "reader", scopes=["repository:read"])
    async with script(root, token) as reader:
        assert (await reader.get("/repositories")).status_code == 200
        refused = await reader.post("/sessions", json={"repository": "app"})
    assert refused.status_code == 403
    assert (
        'error="insufficient_scope", scope="session:write"' in refused.headers["www-authenticate"]
    )
    assert refused.json()["scope"] == "session:write"


async def test_an_unknown_key_is_refused_with_the_nearest_one(ada: httpx2.AsyncClient) -> None:
    for refused in (
        await ada.post("/sessions", json={"repositry": "app"}),
        await ada.get("/commands", params={"sesion_id": "s"}),
    ):
        assert (refused.status_code, refused.headers["content-type"]) == (422, PROBLEM)
        problem = refused.json()
        assert problem["status"] == 422
        assert problem["title"]
        assert problem["code"] == "invalid_input"
        assert problem["candidates"][0] in ("repository", "session_id")


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        ("{", "application/json", 422),
        ("[]", "application/json", 422),
        ("[" * 100_000, "application/json", 422),
        ('{"repository": NaN}', "application/json", 422),
        ('{"repository": ' + "9" * 10_000 + "}", "application/json", 422),
        ('{"repository": "\\ud800"}', "application/json", 422),
        (b"\xff", "application/json", 422),
        ("repository=app", "application/x-www-form-urlencoded", 415),
    ],
)
async def test_a_body_that_cannot_be_read_is_a_problem(
    ada: httpx2.AsyncClient, body: str | bytes, kind: str, status: int
) -> None:
    refused = await ada.post("/sessions", content=body, headers={"Content-Type": kind})
    assert (refused.status_code, refused.headers["content-type"]) == (status, PROBLEM)


async def test_arguments_have_one_place(ada: httpx2.AsyncClient) -> None:
    session = await opened(ada)
    for refused in (
        await ada.get(f"/sessions/{session}/diff", params={"session_id": session}),
        await ada.post(f"/sessions/{session}/export", json={"session_id": session}),
        await ada.post(f"/sessions/{session}/export", json={}, params={"message": "x"}),
        await ada.get("/commands", params=[("limit", "1"), ("limit", "2")]),
        await ada.get(f"/sessions/{session}/artifacts", params={"collect": "*"}),
    ):
        assert refused.status_code == 422, refused.text
    both = await ada.get(f"/sessions/{session}/diff", params=[("paths", "a"), ("paths", "b")])
    assert both.status_code == 200


async def test_other_paths_and_methods_are_problems(ada: httpx2.AsyncClient) -> None:
    missing = await ada.get("/nothing")
    assert (missing.status_code, missing.headers["content-type"]) == (404, PROBLEM)
    refused = await ada.put("/sessions", json={})
    assert (refused.status_code, refused.headers["content-type"]) == (405, PROBLEM)
    assert refused.headers["allow"] == "GET, HEAD, OPTIONS, POST"
    options = await ada.options("/sessions")
    assert (options.status_code, options.headers["allow"]) == (204, refused.headers["allow"])


async def test_without_a_token_the_refusal_is_a_problem_too(root: str) -> None:
    async with httpx2.AsyncClient() as client:
        refused = await client.get(f"{root}/v1/sessions")
    assert (refused.status_code, refused.headers["content-type"]) == (401, PROBLEM)
    assert refused.json()["code"] == "unauthenticated"


def test_every_operation_has_a_route_and_none_takes_anothers() -> None:
    taken = [(route.method, route.path) for op in REST for route in op.routes]
    assert len(set(taken)) == len(taken)
    readable = {path for method, path in taken if method == "GET"}
    for operation in REST:
        assert operation.routes, operation.name
        for route in operation.routes:
            names = {
                field.alias or name for name, field in operation.arguments.model_fields.items()
            }
            assert {*route.in_path, *route.without, *route.defaults} <= names, operation.name
            assert operation.read_only or route.method != "GET" or route.without
            if route.creates is not None:
                members = set(re.findall(r"{(\w+)}", route.creates))
                assert members <= set(operation.result.model_fields)
                shapes = {re.sub(r"{\w+}", "{}", path) for path in readable}
                assert re.sub(r"{\w+}", "{}", route.creates) in shapes


async def test_a_closed_session_says_what_became_of_it_after_its_repository_went(
    ada: httpx2.AsyncClient, services: Services
) -> None:
    session = await opened(ada)
    assert (await ada.delete(f"/sessions/{session}")).status_code == 200
    assert (await ada.delete("/repositories/app")).status_code == 200
    again = await ada.delete(f"/sessions/{session}")
    assert (again.status_code, again.json()["state"]) == (200, "closed")
    seen = await ada.get(f"/sessions/{session}")
    assert seen.status_code == 200, seen.text


async def test_a_refused_comparison_is_refused_again_and_no_fault_of_the_server(
    ada: httpx2.AsyncClient,
) -> None:
    asked = {"command": "pytest", "base": "no-such-branch", "head": "HEAD", "repository": "app"}
    for _ in range(2):
        refused = await ada.post("/comparisons", json=asked, headers={"Idempotency-Key": "k"})
        assert 400 <= refused.status_code < 500, refused.text
        assert "no-such-branch" in refused.json()["detail"]
