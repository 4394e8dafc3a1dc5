"""What clients hear without asking again: new output, the end of a command, new artifacts."""

import itertools
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import ResourcesListChanged, ResourceUpdated
from mcp.types import ResourceListChangedNotification, ResourceUpdatedNotification

from debug_mcp.app import open_services
from debug_mcp.auth.principal import LOCAL, Principal, Scope
from debug_mcp.config import IsolationPolicy, Settings
from debug_mcp.interfaces.server import build_server
from debug_mcp.interfaces.subscriptions import SUBSCRIPTIONS
from debug_mcp.service.watching import PERIOD_SECONDS
from tests.clients import Agent, connect
from tests.upstream import Upstream

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning"),
]

HEARING_WAYS = (
    "memory-modern", "memory-legacy", "stdio-modern", "stdio-legacy", "http-modern", "http-legacy",
)  # fmt: skip
GATED = "until [ -e go ]; do sleep 0.01; done; echo went on"
HEAR_SECONDS = 20


@pytest.fixture
def settings(tmp_path: Any) -> Settings:
    return Settings(data_dir=tmp_path / "data", isolation=IsolationPolicy.NONE, grace_seconds=1)


class Heard:
    """What a client was told, and when."""

    def __init__(self) -> None:
        self.updates: list[tuple[str, float]] = []
        self.lists = 0
        self._changed = anyio.Event()

    async def __call__(self, message: object) -> None:
        match message:
            case ResourceUpdatedNotification(params=params):
                self.updates.append((params.uri, time.monotonic()))
            case ResourceUpdated(uri=uri):
                self.updates.append((uri, time.monotonic()))
            case ResourceListChangedNotification() | ResourcesListChanged():
                self.lists += 1
            case _:
                return
        self._changed.set()
        self._changed = anyio.Event()

    async def until(self, satisfied: Callable[[], bool]) -> None:
        with anyio.fail_after(HEAR_SECONDS):
            while not satisfied():
                await self._changed.wait()


def for_legacy(heard: Heard, way: str) -> Heard | None:
    """Return what hears messages outside of a stream, which modern clients get none of."""
    return heard if way.endswith("legacy") else None


@asynccontextmanager
async def hearing(agent: Agent, heard: Heard, way: str, *uris: str) -> AsyncIterator[None]:
    """Listen to resources, and to the list of them, in the way of the era."""
    if way.endswith("legacy"):
        for uri in uris:
            await agent.client.subscribe_resource(uri)
        yield
        return

    async def follow(events: Any) -> None:
        async for event in events:
            await heard(event)

    async with AsyncExitStack() as stack:
        events = await stack.enter_async_context(
            agent.client.listen(resource_subscriptions=uris, resources_list_changed=True)
        )
        assert events.honored.resource_subscriptions == (list(uris) or None)
        tasks = await stack.enter_async_context(anyio.create_task_group())
        tasks.start_soon(follow, events)
        yield
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("way", HEARING_WAYS)
async def test_a_client_hears_of_new_output_of_the_end_and_of_new_artifacts(
    way: str, settings: Settings, upstream: Upstream
) -> None:
    heard = Heard()
    async with connect(way, settings, for_legacy(heard, way)) as agent:
        session = (await agent.call("session_create", repository=str(upstream.path)))["session_id"]
        begun = await agent.call(
            "command_run", session_id=session, command=GATED, wait_seconds=0, artifacts=["go"]
        )
        uri = f"output://{begun['command_id']}"
        async with hearing(agent, heard, way, uri):
            other = await agent.call(
                "command_run", session_id=session, command="echo > go", parallel=True
            )
            assert other["outcome"] == "succeeded"
            await heard.until(lambda: bool(heard.updates) and heard.lists > 0)
            assert {told for told, _ in heard.updates} == {uri}
            ended = await agent.call("command_wait", command_id=begun["command_id"])
            assert ended["outcome"] == "succeeded"
            [contents] = (await agent.client.read_resource(uri)).contents
            assert getattr(contents, "text", None) == "went on\n"


@pytest.mark.parametrize("way", ["memory-modern", "memory-legacy"])
async def test_a_command_that_prints_all_the_time_is_heard_of_once_a_second(
    way: str, settings: Settings, upstream: Upstream
) -> None:
    heard = Heard()
    async with connect(way, settings, for_legacy(heard, way)) as agent:
        session = (await agent.call("session_create", repository=str(upstream.path)))["session_id"]
        begun = await agent.call(
            "command_run",
            session_id=session,
            command="while :; do echo x; sleep 0.02; done",
            wait_seconds=0,
        )
        async with hearing(agent, heard, way, f"output://{begun['command_id']}"):
            await heard.until(lambda: len(heard.updates) >= 3)
            await agent.call("command_cancel", command_id=begun["command_id"])
    times = [moment for _, moment in heard.updates[:3]]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert all(gap > PERIOD_SECONDS * 0.8 for gap in gaps)


@pytest.mark.parametrize("way", ["memory-modern", "memory-legacy"])
async def test_what_another_server_keeps_is_heard_of_too(
    way: str, settings: Settings, upstream: Upstream
) -> None:
    heard = Heard()
    async with (
        connect(way, settings, for_legacy(heard, way)) as agent,
        hearing(agent, heard, way),
        connect("memory-modern", settings) as other,
    ):
        session = (await other.call("session_create", repository=str(upstream.path)))["session_id"]
        await other.call("artifact_list", session_id=session, collect=["*.py"])
        await heard.until(lambda: heard.lists > 0)


async def test_a_legacy_client_is_told_what_it_cannot_subscribe_to(settings: Settings) -> None:
    async with connect("memory-legacy", settings) as agent:
        capability = agent.client.server_capabilities.resources
        assert capability is not None
        assert (capability.subscribe, capability.list_changed) == (True, True)
        for uri in ("output://c_zzzz", "artifact://a_zzzz/x", "https://example.org"):
            with pytest.raises(MCPError) as caught:
                await agent.client.subscribe_resource(uri)
            assert caught.value.error.code == -32602
            assert caught.value.error.data["uri"] == uri
        await agent.client.unsubscribe_resource("output://never")


async def test_a_modern_client_is_told_which_of_its_wishes_are_honored(
    settings: Settings, upstream: Upstream
) -> None:
    async with connect("memory-modern", settings) as agent:
        session = (await agent.call("session_create", repository=str(upstream.path)))["session_id"]
        ran = await agent.call("command_run", session_id=session, command="true")
        own, foreign = f"output://{ran['command_id']}", "output://c_zzzz"
        async with agent.client.listen(
            resource_subscriptions=[own, foreign], tools_list_changed=True
        ) as events:
            assert events.honored.resource_subscriptions == [own]
            assert not events.honored.tools_list_changed
        with pytest.raises(MCPError, match=str(SUBSCRIPTIONS)):
            async with agent.client.listen(
                resource_subscriptions=[f"output://c_{n}" for n in range(SUBSCRIPTIONS + 1)]
            ):
                pass


@pytest.mark.parametrize("era", ["modern", "legacy"])
async def test_nothing_of_another_principal_is_heard_of(
    era: str, settings: Settings, upstream: Upstream
) -> None:
    stranger = Principal("stranger", frozenset(Scope))
    mode = "legacy" if era == "legacy" else "auto"
    foreign, own = Heard(), Heard()
    async with (
        open_services(settings) as services,
        Client(build_server(services, lambda: LOCAL)) as client,
        Client(
            build_server(services, lambda: stranger),
            mode=mode,
            message_handler=for_legacy(foreign, era),
        ) as stranger_client,
        hearing(Agent(stranger_client), foreign, era),
        hearing(Agent(client), own, "modern"),
    ):
        agent = Agent(client)
        session = (await agent.call("session_create", repository=str(upstream.path)))["session_id"]
        ran = await agent.call("command_run", session_id=session, command="true")
        uri = f"output://{ran['command_id']}"
        if era == "legacy":
            with pytest.raises(MCPError):
                await stranger_client.subscribe_resource(uri)
        else:
            async with stranger_client.listen(resource_subscriptions=[uri]) as events:
                assert events.honored.resource_subscriptions is None
        await agent.call("artifact_list", session_id=session, collect=["*.py"])
        await own.until(lambda: own.lists > 0)
    assert (foreign.lists, foreign.updates) == (0, [])


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_client_that_goes_leaves_nothing_behind(
    mode: str, settings: Settings, upstream: Upstream
) -> None:
    async with open_services(settings) as services:
        server = build_server(services, lambda: LOCAL)
        async with Client(server, mode=mode) as client:
            agent = Agent(client)
            session = (await agent.call("session_create", repository=str(upstream.path)))[
                "session_id"
            ]
            begun = await agent.call(
                "command_run", session_id=session, command=GATED, wait_seconds=0
            )
            uri = f"output://{begun['command_id']}"
            if mode == "legacy":
                await client.subscribe_resource(uri)
                assert services.watching.listeners > 0
            else:
                async with hearing(agent, Heard(), "memory-modern", uri):
                    assert services.watching.listeners > 0
        with anyio.fail_after(HEAR_SECONDS):
            while services.watching.listeners or services.watching.followers:
                await anyio.sleep(0.01)


async def test_the_server_ends_its_streams_in_a_way_that_is_no_loss(settings: Settings) -> None:
    async with open_services(settings) as services:
        server = build_server(services, lambda: LOCAL)
        async with (
            Client(server) as client,
            client.listen(resources_list_changed=True) as events,
        ):
            server.subscriptions.close()
            with anyio.fail_after(HEAR_SECONDS):
                assert [event async for event in events] == []
