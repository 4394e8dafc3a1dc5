"""A server's services as a caller uses them, and a look over the shoulder of its commands."""

from pathlib import Path
from typing import Any

from debug_mcp.auth.principal import LOCAL
from debug_mcp.config import Layout, Settings
from debug_mcp.models.commands import CommandCancel, CommandRun, CommandView, CommandWait
from debug_mcp.models.sessions import SessionClose, SessionCreate, SessionView
from debug_mcp.service.services import Services
from tests.files import appears
from tests.upstream import Upstream

# Says that it has started, and goes on when the test says so.
GATED = "touch started; until [ -e go ]; do sleep 0.01; done; echo went on; exit 5"


class House:
    """One server on a data directory."""

    def __init__(self, services: Services, settings: Settings) -> None:
        self.services = services
        self.layout = Layout(settings.data_dir)

    async def open(self, upstream: Upstream, **arguments: Any) -> str:
        """Open a session; return its id."""
        return (await self.opened(upstream, **arguments)).session_id

    async def opened(self, upstream: Upstream, **arguments: Any) -> SessionView:
        args = SessionCreate(repository=str(upstream.path), **arguments)
        return await self.services.sessions.create(LOCAL, args)

    async def close(self, session: str) -> None:
        await self.services.closing.close(LOCAL, SessionClose(session_id=session))

    async def run(self, session: str, command: str | list[str], **arguments: Any) -> CommandView:
        """Run a command; unless told otherwise, to its end."""
        args = {"session_id": session, "command": command, "wait_seconds": 50, **arguments}
        return await self.services.commands.run(LOCAL, CommandRun.model_validate(args))

    async def queue(self, session: str, command: str | list[str], **arguments: Any) -> str:
        """Run a command without a wait; return its id."""
        return (await self.run(session, command, wait_seconds=0, **arguments)).command_id

    async def begin(self, session: str, command: str = GATED) -> str:
        """Start a command that waits for ``go``; return its id once it waits."""
        command_id = await self.queue(session, command)
        await appears(self.file(session, "started"))
        return command_id

    async def wait(self, command: str, seconds: float = 50) -> CommandView:
        args = CommandWait(command_id=command, wait_seconds=seconds)
        return await self.services.commands.wait(LOCAL, args)

    async def cancel(self, command: str) -> CommandView:
        return await self.services.commands.cancel(LOCAL, CommandCancel(command_id=command))

    def file(self, session: str, name: str) -> Path:
        """Return where a file of a session's tree is."""
        return self.layout.sessions / session / "tree" / name


def text(view: CommandView) -> str:
    """Return the output that a view shows."""
    assert view.output is not None
    return view.output.text
