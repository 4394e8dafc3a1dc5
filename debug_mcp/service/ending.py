"""Ending all that is under way for somebody who may do nothing any more."""

from debug_mcp.models.base import Owner
from debug_mcp.service.scheduler import Scheduler
from debug_mcp.store.commands import Commands


class Ending:
    """Ends commands by their owner."""

    def __init__(self, commands: Commands, scheduler: Scheduler) -> None:
        self._commands = commands
        self._scheduler = scheduler

    async def commands_of(self, owner: Owner) -> int:
        """Ask every command of an owner to end, also those that wait; return how many they are."""
        unfinished = await self._commands.unfinished_of(owner)
        for command in unfinished:
            await self._scheduler.cancel(command)
        return len(unfinished)
