"""Artifacts and outputs as resources, and their tool twins."""

import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest
from mcp.shared.exceptions import MCPError
from mcp.types import BlobResourceContents, TextResourceContents

from debug_mcp.app import open_services
from debug_mcp.auth.principal import LOCAL, Principal, Scope
from debug_mcp.config import IsolationPolicy, Settings
from debug_mcp.interfaces.resources import PAGE, READ_LIMIT_BYTES, list_resources, read_resource
from debug_mcp.operations.registry import Call
from tests.clients import Agent, connect
from tests.upstream import Upstream

pytestmark = pytest.mark.anyio

INVALID_PARAMS = -32602
ODD_NAMES = (
    "a b/c?d#e.log", "100%25.log", "größe.log", "new\nline.log", '"quoted", comma.log',
    "[x]{y}.log", "back\\slash.log", "-dash.log", "\x1b[31mred.log",
)  # fmt: skip


@pytest.fixture
def settings(tmp_path: Any) -> Settings:
    return Settings(data_dir=tmp_path / "data", isolation=IsolationPolicy.NONE)


@pytest.fixture(params=["memory-modern", "memory-legacy"])
async def agent(request: pytest.FixtureRequest, settings: Settings) -> AsyncIterator[Agent]:
    async with connect(request.param, settings) as agent:
        yield agent


@pytest.fixture
async def session(agent: Agent, upstream: Upstream) -> str:
    view = await agent.call("session_create", repository=str(upstream.path))
    session: str = view["session_id"]
    return session


async def keep(agent: Agent, session: str, script: str, glob: str) -> list[dict[str, Any]]:
    """Make files with Python, and keep those that match."""
    ran = await agent.call("command_run", session_id=session, command=["python3", "-c", script])
    assert ran["outcome"] == "succeeded", ran
    listing = await agent.call("artifact_list", session_id=session, collect=glob)
    found: list[dict[str, Any]] = listing["artifacts"]
    return found


async def read(agent: Agent, uri: str) -> TextResourceContents | BlobResourceContents:
    [contents] = (await agent.client.read_resource(uri)).contents
    assert contents.uri == uri
    return contents


async def test_the_uri_of_every_artifact_reads_it_whatever_its_name(
    agent: Agent, session: str
) -> None:
    script = (
        "import os, pathlib\n"
        f"for name in {ODD_NAMES!r}:\n"
        "    path = pathlib.Path('odd', name); path.parent.mkdir(parents=True, exist_ok=True)\n"
        "    path.write_text(name)\n"
        "pathlib.Path(os.fsdecode(b'odd/\\xff.log')).write_text('odd/\\ufffd.log')\n"
    )
    kept = await keep(agent, session, script, "odd/**")
    assert {view["name"] for view in kept} == {f"odd/{name}" for name in (*ODD_NAMES, "\ufffd.log")}
    for view in kept:
        contents = await read(agent, view["uri"])
        assert isinstance(contents, TextResourceContents)
        assert contents.text.removeprefix("odd/") == view["name"].removeprefix("odd/")
    listed = (await agent.client.list_resources()).resources
    assert {resource.uri for resource in listed} == {view["uri"] for view in kept}


async def test_a_listing_goes_on_where_the_page_before_ended(agent: Agent, session: str) -> None:
    count = 2 * PAGE + 1
    script = f"[open(f'{{n}}.log', 'w').write(str(n)) for n in range({count})]"
    kept = await keep(agent, session, script, "*.log")
    seen, cursor, pages = [], None, 0
    while pages == 0 or cursor:
        page = await agent.client.list_resources(cursor=cursor)
        seen += [resource.uri for resource in page.resources]
        cursor, pages = page.next_cursor, pages + 1
    assert pages == 3
    assert len(set(seen)) == len(seen) == count
    assert {view["uri"] for view in kept} < set(seen)
    with pytest.raises(MCPError) as caught:
        await agent.client.list_resources(cursor="a_zzzz")
    assert caught.value.error.code == INVALID_PARAMS


async def test_a_long_text_is_cut_between_characters_and_says_how_to_read_on(
    agent: Agent, session: str
) -> None:
    script = "open('long.txt', 'w').write('x' + '\u20ac' * 200_000)"
    [view] = await keep(agent, session, script, "long.txt")
    contents = await read(agent, view["uri"])
    assert isinstance(contents, TextResourceContents)
    assert READ_LIMIT_BYTES - 4 < len(contents.text.encode()) <= READ_LIMIT_BYTES
    assert contents.meta is not None
    assert contents.meta["total_bytes"] == 600_001
    text, step = contents.text, contents.meta["next"]
    assert step["tool"] == "artifact_read"
    arguments = {**step["arguments"], "length": 40_000}
    while True:
        page = await agent.call("artifact_read", **arguments)
        assert page["offset"] == len(text.encode())
        text += page["text"]
        if "next_offset" not in page:
            break
        arguments["offset"] = page["next_offset"]
    assert text == "x" + "\u20ac" * 200_000


async def test_what_is_no_text_comes_as_base64_and_whole(agent: Agent, session: str) -> None:
    script = "open('a.bin', 'wb').write(bytes(range(256)) * 2000)"
    [view] = await keep(agent, session, script, "a.bin")
    assert view["media_type"] == "application/octet-stream"
    contents = await read(agent, view["uri"])
    assert isinstance(contents, BlobResourceContents)
    data = base64.b64decode(contents.blob)
    assert len(data) == READ_LIMIT_BYTES
    assert contents.meta is not None
    offset = contents.meta["next"]["arguments"]["offset"]
    while offset is not None:
        page = await agent.call(
            "artifact_read", artifact_id=view["artifact_id"], offset=offset, length=40_000
        )
        data += base64.b64decode(page["base64"])
        offset = page.get("next_offset")
    assert data == bytes(range(256)) * 2000


async def test_a_text_that_turns_out_to_be_none_further_on_loses_nothing(
    agent: Agent, session: str
) -> None:
    script = "open('mixed.log', 'wb').write(b'text ' * 2000 + bytes(range(256)))"
    [view] = await keep(agent, session, script, "mixed.log")
    page = await agent.call("artifact_read", artifact_id=view["artifact_id"], length=5000)
    assert page["text"] == "text " * 1000
    rest = await agent.call(
        "artifact_read", artifact_id=view["artifact_id"], offset=9990, length=1000
    )
    assert base64.b64decode(rest["base64"]) == b"text text " + bytes(range(256))


async def test_an_artifact_is_read_beyond_its_end_and_when_it_is_empty(
    agent: Agent, session: str
) -> None:
    [view] = await keep(agent, session, "open('empty.log', 'w')", "empty.log")
    page = await agent.call("artifact_read", artifact_id=view["artifact_id"], offset=100)
    assert (page["offset"], page["text"], page["total_bytes"]) == (0, "", 0)
    assert "next_offset" not in page
    contents = await read(agent, view["uri"])
    assert isinstance(contents, TextResourceContents)
    assert contents.text == ""


async def test_a_page_shorter_than_a_character_still_gets_on(agent: Agent, session: str) -> None:
    [view] = await keep(agent, session, "open('e.txt', 'w').write('\u20ac' * 3)", "e.txt")
    text = ""
    offset: int | None = 0
    while offset is not None:
        page = await agent.call(
            "artifact_read", artifact_id=view["artifact_id"], offset=offset, length=1
        )
        text += page["text"]
        offset = page.get("next_offset")
    assert text == "\u20ac" * 3


async def test_the_output_of_a_command_is_a_resource_too(agent: Agent, session: str) -> None:
    ran = await agent.call("command_run", session_id=session, command="seq 20000")
    contents = await read(agent, f"output://{ran['command_id']}")
    assert isinstance(contents, TextResourceContents)
    assert contents.text.endswith("\n19999\n20000\n")
    assert contents.meta is not None
    assert contents.meta["next"]["tool"] == "command_output"
    page = await agent.call("command_output", **contents.meta["next"]["arguments"])
    assert page["output"]["text"].startswith("1\n2\n")


@pytest.mark.parametrize(
    "uri",
    ["artifact://a_zzzz/x", "artifact://", "artifact:a_1", "output://c_zzzz", "file:///etc/passwd",
     "artifact://[", "output://c_zzzz/../x", "nonsense", "https://example.org/"],
)  # fmt: skip
async def test_what_is_no_resource_is_an_invalid_parameter_with_its_uri(
    agent: Agent, uri: str
) -> None:
    with pytest.raises(MCPError) as caught:
        await agent.client.read_resource(uri)
    assert caught.value.error.code == INVALID_PARAMS
    assert caught.value.error.data["uri"] == uri
    assert caught.value.error.data["error"]["code"] == "not_found"


async def test_the_templates_name_every_kind(agent: Agent) -> None:
    found = await agent.client.list_resource_templates()
    assert [template.uri_template for template in found.resource_templates] == [
        "artifact://{artifact_id}/{+name}",
        "output://{command_id}",
        "output://{command_id}/stderr",
        "session://{session_id}/diff",
    ]


async def test_resources_are_the_callers_own_and_need_the_scope(
    settings: Settings, upstream: Upstream
) -> None:
    async with connect("memory-modern", settings) as agent:
        view = await agent.call("session_create", repository=str(upstream.path))
        [kept] = await keep(agent, view["session_id"], "open('x.log', 'w')", "x.log")
    async with open_services(settings) as services:
        stranger = Call(Principal("stranger", frozenset(Scope)), services)
        assert (await list_resources(stranger, None)).resources == []
        for attempt in (read_resource(stranger, kept["uri"]),
                        list_resources(stranger, kept["artifact_id"])):  # fmt: skip
            with pytest.raises(MCPError) as caught:
                await attempt
            assert caught.value.error.data["error"]["code"] == "not_found"
        without = Call(Principal(LOCAL.name, frozenset(Scope) - {Scope.ARTIFACT_READ}), services)
        for attempt in (read_resource(without, kept["uri"]), list_resources(without, None)):
            with pytest.raises(MCPError) as caught:
                await attempt
            assert caught.value.error.data["error"]["code"] == "permission_denied"
