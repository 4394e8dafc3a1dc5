"""The MCP server: the SDK's low-level server over the operations.

Low-level, because ``MCPServer`` ignores unknown arguments, answers wrong ones with raw validation
text, and can neither page nor list per caller. Both protocol eras are served; whatever must outlive
a call is in the handles that the operations mint, never in the connection.
"""

from collections.abc import Callable
from typing import Any

from mcp.server import NotificationOptions, Server, ServerRequestContext
from mcp.server.models import InitializationOptions
from mcp.types import (
    CallToolRequestParams,
    CallToolResult,
    CompleteRequestParams,
    CompleteResult,
    GetPromptRequestParams,
    GetPromptResult,
    ListPromptsResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    NotificationParams,
    PaginatedRequestParams,
    ReadResourceRequestParams,
    ReadResourceResult,
)

from debug_mcp import __version__
from debug_mcp.auth.principal import Principal
from debug_mcp.errors import Busy
from debug_mcp.interfaces import completion, prompts, resources
from debug_mcp.interfaces.errors import protocol_error
from debug_mcp.interfaces.faults import explain
from debug_mcp.interfaces.subscriptions import Subscriptions
from debug_mcp.interfaces.tasks import CommandTasks
from debug_mcp.interfaces.tools import Tools, refused
from debug_mcp.operations.catalogue import CORE
from debug_mcp.operations.registry import Call
from debug_mcp.service.services import Services

INSTRUCTIONS = """\
A place to build, test and debug a git repository, apart from the person's checkout.
session_create (repository: a URL or absolute path) opens a private working tree; command_run runs
programs in it; command_wait follows a long one; artifact_list keeps files; session_export turns
the work into a branch and says how the person fetches it; session_close ends it, saving first.
Ids keep working after lost connections and restarts. An answer's `next` is the call to send next.\
"""

_INITIALIZED = "notifications/initialized"

Context = ServerRequestContext[object]


class McpServer(Server[object]):
    """The SDK's server, with what it takes from its caller set for every transport alike."""

    subscriptions: Subscriptions

    def create_initialization_options(
        self,
        notification_options: NotificationOptions | None = None,
        experimental_capabilities: dict[str, dict[str, Any]] | None = None,
        extensions: dict[str, dict[str, Any]] | None = None,
    ) -> InitializationOptions:
        """Return what legacy clients are told: the list of resources may change."""
        options = notification_options or NotificationOptions(resources_changed=True)
        return super().create_initialization_options(
            options, experimental_capabilities, extensions or {}
        )


def build_server(services: Services, principal_of: Callable[[], Principal]) -> McpServer:
    """Return a server for one transport.

    Args:
        services: What there is to call.
        principal_of: Says who makes the present request; raises Busy when it is one too many.
    """
    tools = Tools(CORE)
    calling = _calling(services, principal_of)

    async def list_tools(_: Context, __: PaginatedRequestParams | None) -> ListToolsResult:
        return ListToolsResult(tools=tools.listing)

    async def call_tool(context: Context, params: CallToolRequestParams) -> CallToolResult:
        try:
            call = Call(principal_of(), services, context.session.report_progress)
            return await tools.call(call, params.name, params.arguments or {})
        except Busy as busy:
            return refused(busy)

    async def list_resources(
        _: Context, params: PaginatedRequestParams | None
    ) -> ListResourcesResult:
        return await resources.list_resources(calling(), params.cursor if params else None)

    async def read_resource(_: Context, params: ReadResourceRequestParams) -> ReadResourceResult:
        return await resources.read_resource(calling(), str(params.uri))

    async def get_prompt(_: Context, params: GetPromptRequestParams) -> GetPromptResult:
        return await prompts.get_prompt(calling(), params.name, params.arguments or {})

    async def complete(_: Context, params: CompleteRequestParams) -> CompleteResult:
        return await completion.complete(calling(), params)

    subscriptions = Subscriptions(calling)
    server = McpServer(
        "debug-mcp",
        version=__version__,
        title="debug-mcp",
        description="A place to build, test and debug a git repository",
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_list_resource_templates=_list_templates,
        on_read_resource=read_resource,
        on_subscribe_resource=subscriptions.subscribe,
        on_unsubscribe_resource=subscriptions.unsubscribe,
        on_subscriptions_listen=subscriptions.listen,
        on_list_prompts=_list_prompts,
        on_get_prompt=get_prompt,
        on_completion=complete,
        get_tool_input_schema=tools.schema,
    )
    server.subscriptions = subscriptions
    CommandTasks(call_tool, tools, calling).serve(server)
    server.add_notification_handler(_INITIALIZED, NotificationParams, subscriptions.initialized)
    server.middleware.append(explain)
    return server


def _calling(services: Services, principal_of: Callable[[], Principal]) -> Callable[[], Call]:
    """Return what makes the present call, where a refusal is an error of the protocol."""

    def calling() -> Call:
        try:
            return Call(principal_of(), services)
        except Busy as busy:
            raise protocol_error(busy) from busy

    return calling


async def _list_templates(
    _: Context, __: PaginatedRequestParams | None
) -> ListResourceTemplatesResult:
    return ListResourceTemplatesResult(resource_templates=resources.TEMPLATES)


async def _list_prompts(_: Context, __: PaginatedRequestParams | None) -> ListPromptsResult:
    return ListPromptsResult(prompts=[template.prompt for template in prompts.TEMPLATES])
