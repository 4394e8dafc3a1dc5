"""Prompts name calls that exist, and completion offers what the caller has."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from mcp.shared.exceptions import MCPError
from mcp.types import PromptReference, ResourceTemplateReference, TextContent

from debug_mcp.auth.principal import LOCAL, Principal, Scope
from debug_mcp.config import IsolationPolicy, Settings
from debug_mcp.interfaces.prompts import TEMPLATES
from debug_mcp.interfaces.uris import ARTIFACT, OUTPUT
from debug_mcp.operations.arguments import parse
from debug_mcp.operations.catalogue import CORE
from debug_mcp.operations.registry import named
from debug_mcp.service.choices import CHOICES
from debug_mcp.service.services import Services
from tests.clients import Agent, connect
from tests.upstream import Upstream

pytestmark = pytest.mark.anyio

INVALID_PARAMS = -32602
_CALL = re.compile(r"`(\w+) (\{.*?\})`")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", isolation=IsolationPolicy.NONE)


@pytest.fixture(params=["memory-modern", "memory-legacy"])
async def agent(request: pytest.FixtureRequest, settings: Settings) -> AsyncIterator[Agent]:
    async with connect(request.param, settings) as agent:
        yield agent


async def told(agent: Agent, prompt: str, **arguments: str) -> str:
    [message] = (await agent.client.get_prompt(prompt, arguments)).messages
    assert isinstance(message.content, TextContent)
    return message.content.text


async def completed(agent: Agent, template: str, variable: str, prefix: str = "") -> list[str]:
    reference = ResourceTemplateReference(type="ref/resource", uri=template)
    argument = {"name": variable, "value": prefix}
    return (await agent.client.complete(reference, argument)).completion.values


@pytest.mark.parametrize("name", [template.prompt.name for template in TEMPLATES])
@pytest.mark.parametrize("with_session", [True, False])
async def test_every_call_that_a_prompt_names_exists_and_takes_its_arguments(
    agent: Agent, upstream: Upstream, name: str, with_session: bool
) -> None:
    session = (await agent.call("session_create", repository=str(upstream.path)))["session_id"]
    given = {"session_id": session} if with_session else {"repository": str(upstream.path)}
    text = await told(agent, name, **given)
    calls = _CALL.findall(text)
    assert len(calls) >= 4
    for tool, arguments in calls:
        operation = named(CORE, tool)
        parse(tool, operation.arguments, json.loads(arguments))
    assert (session in text) is with_session


async def test_a_test_that_a_prompt_is_given_is_one_argument_whatever_is_in_it(
    agent: Agent,
) -> None:
    odd = "tests/test_x.py::test_y[a b, 'c' \"d\"]"
    text = await told(agent, "debug_failing_test", test=odd)
    commands = [json.loads(arguments) for tool, arguments in _CALL.findall(text)]
    assert odd in [part for command in commands for part in command.get("command", ())]


async def test_what_is_no_prompt_argument_or_session_is_told(agent: Agent) -> None:
    for prompt, arguments, field in (
        ("nonsense", {}, "name"),
        ("debug_failing_test", {"tset": "x"}, "tset"),
        ("debug_failing_test", {"session_id": "s_zzzz"}, "session_id"),
    ):
        with pytest.raises(MCPError) as caught:
            await agent.client.get_prompt(prompt, arguments)
        assert caught.value.error.code == INVALID_PARAMS
        assert caught.value.error.data["error"]["field"] == field


async def test_ids_and_names_are_completed_from_their_beginning(
    agent: Agent, upstream: Upstream
) -> None:
    session = (await agent.call("session_create", repository=str(upstream.path)))["session_id"]
    ran = await agent.call(
        "command_run", session_id=session, command="touch a.log b.log", artifacts=["*.log"]
    )
    kept = {view["name"]: view["artifact_id"] for view in ran["artifacts"]}
    assert set(await completed(agent, ARTIFACT, "artifact_id")) == set(kept.values())
    assert await completed(agent, ARTIFACT, "artifact_id", kept["a.log"]) == [kept["a.log"]]
    assert await completed(agent, ARTIFACT, "name", "b") == ["b.log"]
    assert await completed(agent, ARTIFACT, "name", "%") == []
    assert await completed(agent, OUTPUT, "command_id", "c_") == [ran["command_id"]]
    reference = ResourceTemplateReference(type="ref/resource", uri=ARTIFACT)
    named_one = await agent.client.complete(
        reference,
        {"name": "name", "value": ""},
        context_arguments={"artifact_id": kept["b.log"]},
    )
    assert named_one.completion.values == ["b.log"]
    prompt = PromptReference(type="ref/prompt", name="debug_failing_test")
    sessions = await agent.client.complete(prompt, {"name": "session_id", "value": "s"})
    assert sessions.completion.values == [session]
    assert sessions.completion.total == 1


async def test_a_long_list_of_choices_is_cut_and_says_so(agent: Agent, upstream: Upstream) -> None:
    session = (await agent.call("session_create", repository=str(upstream.path)))["session_id"]
    await agent.call(
        "command_run", session_id=session, command=f"touch $(seq -f %g.log {CHOICES + 1})"
    )
    await agent.call("artifact_list", session_id=session, collect=["*.log"])
    reference = ResourceTemplateReference(type="ref/resource", uri=ARTIFACT)
    found = (await agent.client.complete(reference, {"name": "name", "value": ""})).completion
    assert (len(found.values), found.has_more) == (CHOICES, True)


async def test_what_cannot_be_completed_is_told(agent: Agent) -> None:
    for template, variable in (("file:///{path}", "path"), (OUTPUT, "artifact_id")):
        with pytest.raises(MCPError) as caught:
            await completed(agent, template, variable)
        assert caught.value.error.code == INVALID_PARAMS
        assert caught.value.error.data["error"]["candidates"]


async def test_choices_are_the_callers_own(services: Services, upstream: Upstream) -> None:
    from debug_mcp.models.sessions import SessionCreate

    session = await services.sessions.create(LOCAL, SessionCreate(repository=str(upstream.path)))
    assert await services.choices.sessions(LOCAL, "") == [session.session_id]
    stranger = Principal("stranger", frozenset(Scope))
    assert await services.choices.sessions(stranger, "") == []
    assert await services.choices.commands(stranger, "") == []
    assert await services.choices.names(stranger, "") == []
