"""A look at each command shortly before a deadline ends it: afterwards nobody could tell why."""

import logging
import time
from pathlib import Path

import anyio
from pydantic import ValidationError

from debug_mcp.errors import DebugMcpError
from debug_mcp.models.commands import Command
from debug_mcp.models.postmortems import LastLook
from debug_mcp.runner.supervisor import read_fields
from debug_mcp.service.looks import Looks
from debug_mcp.service.streams import quiet_seconds
from debug_mcp.store.sessions import Sessions

LOOK_FILE = "look"
# So long before a deadline, and at most this part of the time until it.
LEAD_SECONDS = 1.0
LEAD_SHARE = 0.1

_log = logging.getLogger(__name__)


class LastLooks:
    """Looks at Python programs alone: their stacks are read within milliseconds."""

    def __init__(self, looks: Looks, sessions: Sessions) -> None:
        self._looks = looks
        self._sessions = sessions

    async def follow(self, command: Command, directory: Path) -> None:
        """Look whenever a deadline is near, and keep what was seen; runs until it is cancelled."""
        state = read_fields(directory / "state")
        began = time.time() if state is None else float(state["started"])
        while True:
            until = _look_at(command, directory, began) - time.time()
            if until > 0:
                await anyio.sleep(until)
                continue  # it may have printed meanwhile
            await self._keep(command, directory)
            await anyio.sleep(LEAD_SECONDS)

    async def _keep(self, command: Command, directory: Path) -> None:
        try:
            session = await self._sessions.get(command.session_id)
            seen = await self._looks.at(session, directory, native=False)
            if any(process.threads for process in seen.processes):
                await keep_look(directory, seen)
        except (OSError, DebugMcpError):
            _log.debug("command %s cannot be looked at", command.id, exc_info=True)


def _look_at(command: Command, directory: Path, began: float) -> float:
    """Return when to look, in seconds since 1970."""
    request = command.request
    at = began + _early(request.timeout_seconds)
    if request.idle_timeout_seconds is not None:
        quiet = quiet_seconds(directory)
        written = began if quiet is None else time.time() - quiet
        at = min(at, written + _early(request.idle_timeout_seconds))
    return at


def _early(seconds: float) -> float:
    return seconds - min(LEAD_SECONDS, seconds * LEAD_SHARE)


async def keep_look(directory: Path, seen: LastLook) -> None:
    """Keep a look beside its command, instead of an earlier one."""
    await anyio.Path(directory / LOOK_FILE).write_text(seen.model_dump_json())


def read_look(directory: Path) -> LastLook | None:
    """Return what was kept of a command's last look; None when there is none."""
    try:
        return LastLook.model_validate_json((directory / LOOK_FILE).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
