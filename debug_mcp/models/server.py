"""The server itself, as a caller sees it."""

from debug_mcp.models.base import Arguments, View
from debug_mcp.models.sessions import Isolation


class ServerInfo(Arguments):
    """Arguments of ``server_info``: none."""


class LoadView(View):
    """What is going on now, on every server that shares the data directory."""

    sessions: int
    queued: int
    running: int


class LimitsView(View):
    """The limits that a caller meets."""

    running_commands: int
    queued_commands_per_session: int
    output_bytes: int
    artifact_bytes: int


class ServerView(View):
    """Version, boundary, limits and load."""

    name: str
    version: str
    isolation: Isolation
    isolation_why: str | None = None
    network: str
    debuggers: tuple[str, ...] = ()
    limits: LimitsView
    load: LoadView


class CheckView(View):
    """One thing that was looked at, and why it is not as it should be."""

    name: str
    ok: bool
    why: str | None = None


class ReadyView(View):
    """Whether the server can do its work."""

    ready: bool
    checks: list[CheckView]
