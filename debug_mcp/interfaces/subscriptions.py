"""Telling clients that a resource, or the list of them, changed: in both eras of the protocol.

Modern clients open a ``subscriptions/listen`` stream and name what they want to hear of. Legacy
clients send ``resources/subscribe`` for each resource, and hear of the list without asking.
"""

from collections.abc import Callable
from functools import partial

from mcp.server import ServerRequestContext
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    ListenHandler,
    ResourcesListChanged,
    ResourceUpdated,
)
from mcp.types import (
    EmptyResult,
    NotificationParams,
    ResourceListChangedNotification,
    SubscribeRequestParams,
    SubscriptionFilter,
    SubscriptionsListenRequestParams,
    SubscriptionsListenResult,
    UnsubscribeRequestParams,
)

from debug_mcp.errors import Busy, DebugMcpError, InvalidInput
from debug_mcp.interfaces.errors import protocol_error
from debug_mcp.interfaces.uris import parse_uri
from debug_mcp.operations.registry import Call
from debug_mcp.service.watching import Stop, Tell

SUBSCRIPTIONS = 100  # of one stream, or of one legacy connection
STREAMS = 1000
_STATE = "debug_mcp.subscriptions"

Context = ServerRequestContext[object]


class Subscriptions:
    """All that the clients of one server listen to."""

    def __init__(self, calling: Callable[[], Call]) -> None:
        self._calling = calling
        self._streams: set[ListenHandler] = set()

    async def listen(
        self, ctx: Context, params: SubscriptionsListenRequestParams
    ) -> SubscriptionsListenResult:
        """Serve one stream of a modern client, until it goes or the server ends.

        It hears of the resources that it named and that are its own; the acknowledgement says
        which those are.

        Raises:
            MCPError: There are too many streams, or too many resources in this one.
        """
        call, asked = self._calling(), params.notifications
        uris = list(dict.fromkeys(asked.resource_subscriptions or ()))
        if len(self._streams) >= STREAMS:
            raise protocol_error(Busy(f"{STREAMS} streams are open; that is the limit"))
        if len(uris) > SUBSCRIPTIONS:
            raise protocol_error(_too_many())
        bus = InMemorySubscriptionBus()
        stream = ListenHandler(bus)
        stops: list[Stop] = []
        self._streams.add(stream)
        try:
            own: list[str] = []
            for uri in uris:
                try:
                    tell = partial(bus.publish, ResourceUpdated(uri=uri))
                    stops += await _watch(call, uri, tell)
                    own.append(uri)
                except DebugMcpError:
                    continue  # the acknowledgement leaves it out
            if asked.resources_list_changed:
                tell = partial(bus.publish, ResourcesListChanged())
                stops.append(await call.services.watching.artifacts(call.principal.name, tell))
            # Tools and prompts never change here, so nobody is promised to hear of it.
            honored = SubscriptionFilter(
                resources_list_changed=asked.resources_list_changed,
                resource_subscriptions=own or None,
            )
            return await stream(ctx, params.model_copy(update={"notifications": honored}))
        finally:
            self._streams.discard(stream)
            for stop in stops:
                stop()

    def close(self) -> None:
        """End every stream in the way that tells its client that this was meant."""
        for stream in list(self._streams):
            stream.close()

    async def subscribe(self, ctx: Context, params: SubscribeRequestParams) -> EmptyResult:
        """Let a legacy client hear of a resource.

        Raises:
            MCPError: There is no such resource of the caller's, or the client has too many.
        """
        uri, subscribed = str(params.uri), _of_connection(ctx)
        try:
            if uri not in subscribed:
                if len(subscribed) >= SUBSCRIPTIONS:
                    raise _too_many()
                tell = partial(ctx.session.send_resource_updated, uri)
                subscribed[uri] = await _watch(self._calling(), uri, tell)
        except DebugMcpError as error:
            raise protocol_error(error, uri=uri) from error
        return EmptyResult()

    async def unsubscribe(self, ctx: Context, params: UnsubscribeRequestParams) -> EmptyResult:
        """Let a legacy client hear no more of a resource, if it ever did."""
        for stop in _of_connection(ctx).pop(str(params.uri), ()):
            stop()
        return EmptyResult()

    async def initialized(self, ctx: Context, _: NotificationParams) -> None:
        """Let a legacy client hear of new resources from now on."""
        call, subscribed = self._calling(), _of_connection(ctx)
        if _STATE not in subscribed:
            tell = partial(ctx.session.send_notification, ResourceListChangedNotification())
            stop = await call.services.watching.artifacts(call.principal.name, tell)
            subscribed[_STATE] = [stop]


async def _watch(call: Call, text: str, tell: Tell) -> list[Stop]:
    """Watch a resource of the caller's; what never changes needs no watching.

    Raises:
        NotFound: There is no such resource.
        InvalidInput: Nobody is told of its changes.
    """
    uri = parse_uri(text)
    if uri.scheme == "session":
        raise InvalidInput("what changes in a session is not announced; subscribe to output://…")
    audit = call.services.audit
    with audit.watching(call.principal, "resource_subscribe", uri.object_id, changes=False):
        if uri.scheme == "artifact":
            await call.services.artifacts.owned(call.principal, uri.object_id)
            return []
        command = await call.services.commands.owned(call.principal, uri.object_id)
    return [call.services.watching.output(command, tell)]


def _too_many() -> Busy:
    return Busy(f"{SUBSCRIPTIONS} resources are subscribed to; that is the limit")


def _of_connection(ctx: Context) -> dict[str, list[Stop]]:
    """Return what a legacy connection has subscribed to; all of it stops when it closes."""
    # The SDK shows handlers their connection only through the session that wraps it.
    connection = ctx.session._connection
    if _STATE not in connection.state:
        subscribed: dict[str, list[Stop]] = {}

        def stop_all() -> None:
            for stops in subscribed.values():
                for stop in stops:
                    stop()

        connection.state[_STATE] = subscribed
        connection.exit_stack.callback(stop_all)
    found: dict[str, list[Stop]] = connection.state[_STATE]
    return found
