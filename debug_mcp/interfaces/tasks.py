"""The tasks extension of the 2026-07-28 protocol: a long command as a task.

A client that declares ``io.modelcontextprotocol/tasks`` on a call of ``command_run``, and names no
``wait_seconds`` of its own, gets a task when the command goes on for longer than a moment. The row
is stored before the answer, so the task can be followed after a restart of the server too.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from mcp.server import Server, ServerRequestContext
from mcp.server.mcpserver import require_client_extension
from mcp.shared.exceptions import MCPError
from mcp.types import (
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    CallToolRequestParams,
    CallToolResult,
    RequestParams,
)
from pydantic import Field

from debug_mcp.errors import NotFound
from debug_mcp.interfaces.tools import Tools
from debug_mcp.operations.registry import Call
from debug_mcp.store.tasks import TIME_TO_LIVE, Task

EXTENSION = "io.modelcontextprotocol/tasks"
VERSIONS = ("2026-07-28",)
MOMENT_SECONDS = 2
POLL_MILLISECONDS = 1000
_HEADER_MISMATCH = -32020
_FINISHED = "finished"

Context = ServerRequestContext[object]
CallTool = Callable[[Context, CallToolRequestParams], Awaitable[CallToolResult]]


class TaskParams(RequestParams):
    """Names a task."""

    task_id: str = Field(alias="taskId", max_length=200)


class CommandTasks:
    """Commands as tasks."""

    def __init__(self, call_tool: CallTool, tools: Tools, calling: Callable[[], Call]) -> None:
        self._call_tool = call_tool
        self._tools = tools
        self._calling = calling

    def serve(self, server: Server[Any]) -> None:
        """Answer the extension's methods, and say so to modern clients."""
        server.extensions[EXTENSION] = {}
        server.add_request_handler("tools/call", CallToolRequestParams, self.call_tool)
        server.add_request_handler("tasks/get", TaskParams, self._get)
        server.add_request_handler("tasks/update", TaskParams, self._update)
        server.add_request_handler("tasks/cancel", TaskParams, self._cancel)

    async def call_tool(
        self, ctx: Context, params: CallToolRequestParams
    ) -> CallToolResult | dict[str, Any]:
        """Call a tool; a long command of a client that follows tasks becomes one."""
        given = params.arguments or {}
        if params.name != "command_run" or "wait_seconds" in given or not _declared(ctx):
            return await self._call_tool(ctx, params)
        shortly = {**given, "wait_seconds": MOMENT_SECONDS}
        result = await self._call_tool(ctx, params.model_copy(update={"arguments": shortly}))
        view: dict[str, Any] = result.structured_content or {}
        if result.is_error or view["state"] == _FINISHED:
            return result
        call = self._calling()
        task = await call.services.tasks.create(call.principal.name, view["command_id"])
        return {"resultType": "task", **_wire(task, view)}

    async def _get(self, ctx: Context, params: TaskParams) -> dict[str, Any]:
        task = await self._task(ctx, params)
        result = await self._view(task, "command_wait", wait_seconds=0)
        view: dict[str, Any] = result.structured_content or {}
        wire = _wire(task, view)
        if wire["status"] != "working":
            wire["result"] = result.model_dump(by_alias=True, mode="json", exclude_none=True)
        return {"resultType": "complete", **wire}

    async def _update(self, ctx: Context, params: TaskParams) -> dict[str, Any]:
        """Take what a client says to a task; a command asks nothing, so there is nothing to do."""
        await self._task(ctx, params)
        return {"resultType": "complete"}

    async def _cancel(self, ctx: Context, params: TaskParams) -> dict[str, Any]:
        await self._view(await self._task(ctx, params), "command_cancel")
        return {"resultType": "complete"}

    async def _view(self, task: Task, tool: str, **arguments: object) -> CallToolResult:
        named = {"command_id": task.command_id, **arguments}
        return await self._tools.call(self._calling(), tool, named)

    async def _task(self, ctx: Context, params: TaskParams) -> Task:
        if ctx.protocol_version not in VERSIONS:
            raise MCPError(METHOD_NOT_FOUND, f"{ctx.method} is of the protocol {VERSIONS[0]}")
        require_client_extension(ctx, EXTENSION)
        headers = getattr(ctx.request, "headers", {})
        if headers.get("mcp-name", params.task_id) != params.task_id:
            raise MCPError(_HEADER_MISMATCH, "Mcp-Name is not the task's id")
        call = self._calling()
        task = await call.services.tasks.owned(params.task_id, call.principal.name)
        if task is None:
            missing = NotFound("no such task of yours; it may be over a day old")
            call.services.audit.refused(call.principal, "task", missing)
            raise MCPError(INVALID_PARAMS, missing.message)
        return task


def _declared(ctx: Context) -> bool:
    capabilities = ctx.session.client_capabilities
    extensions = capabilities.extensions if capabilities else None
    return ctx.protocol_version in VERSIONS and EXTENSION in (extensions or {})


def _wire(task: Task, view: dict[str, Any]) -> dict[str, Any]:
    state = view.get("state")
    status = "working"
    if state == _FINISHED or state is None:  # a tool that refuses is complete, with its error
        status = "cancelled" if view.get("outcome") == "cancelled" else "completed"
    return {
        "taskId": task.id,
        "status": status,
        "statusMessage": f"command {task.command_id} is {state or 'not to be seen'}",
        "createdAt": _iso(task.created_at),
        "lastUpdatedAt": _iso(datetime.now(UTC)),
        "ttlMs": int(TIME_TO_LIVE.total_seconds() * 1000),
        "pollIntervalMs": POLL_MILLISECONDS,
    }


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
