"""Between whoever starts a debugger and the scheduler, which runs its command.

All of it is in the memory of one server: a debugger speaks with the server that started it, and
with no other. A command whose launch nobody knows any more is lost.
"""

from dataclasses import dataclass, field

from debug_mcp.models.commands import Outcome
from debug_mcp.runner.channel import Channel, open_channel
from debug_mcp.runner.sandbox import Bind


@dataclass(frozen=True, slots=True)
class AdapterProgram:
    """What is started in the place of the program: its debugger's adapter."""

    arguments: tuple[str, ...]
    binds: tuple[Bind, ...] = ()


@dataclass(slots=True)
class Launch:
    """One debugger, from its start to its end.

    ``exit_code`` and ``outcome`` are what its driver says became of the program: the command's own
    end is only that of the adapter.
    """

    adapter: AdapterProgram
    channel: Channel
    descriptor: int
    exit_code: int | None = None
    outcome: Outcome | None = None


@dataclass(slots=True)
class Launches:
    """The debuggers of this server, by their commands."""

    _known: dict[str, Launch] = field(default_factory=dict)

    def expect(self, command_id: str, adapter: AdapterProgram) -> Launch:
        """Prepare a launch, before the command is started."""
        channel, descriptor = open_channel()
        self._known[command_id] = Launch(adapter, channel, descriptor)
        return self._known[command_id]

    def get(self, command_id: str) -> Launch | None:
        """Return a launch; None for one of another server, or of one that is gone."""
        return self._known.get(command_id)

    def forget(self, command_id: str) -> None:
        """Say that a command has ended."""
        self._known.pop(command_id, None)
