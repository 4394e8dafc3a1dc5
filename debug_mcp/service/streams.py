"""Where a command's output is kept: one stream, or stderr in a file of its own."""

import math
from pathlib import Path

from debug_mcp.errors import InvalidInput
from debug_mcp.models.commands import Command, CommandRun
from debug_mcp.models.outputs import StreamName
from debug_mcp.runner import output
from debug_mcp.service.watches import FAILURE

SEPARATE = "separate"


def check_streams(args: CommandRun) -> None:
    """Refuse what cannot be apart.

    Raises:
        InvalidInput: A terminal is one stream.
    """
    if args.tty and args.streams == SEPARATE:
        raise InvalidInput(
            "a terminal is one stream: leave out tty, or streams",
            field="streams",
            next_call={
                "tool": "command_run",
                "arguments": args.model_dump(
                    mode="json", exclude_defaults=True, exclude={"streams"}
                ),
            },
        )


def stream_path(command: Command, directory: Path, stream: StreamName) -> Path:
    """Return the file of a stream.

    Raises:
        InvalidInput: Its stderr is not apart.
    """
    if stream == "stdout":
        return directory / "output"
    if command.request.streams != SEPARATE:
        raise InvalidInput(
            f"command {command.id} wrote stdout and stderr as one stream; "
            "command_run with streams: separate keeps them apart",
            field="stream",
            candidates=["stdout"],
            next_call={"tool": "command_output", "arguments": {"command_id": command.id}},
        )
    return directory / "stderr"


def unseen_hint(command: Command, until: str | None) -> str | None:
    """Say where a wait did not look, if there is such a place."""
    if command.request.streams != SEPARATE or until in (None, FAILURE):
        return None
    return "until looks at stdout, and the stderr of this command is apart"


def stream_paths(directory: Path) -> list[Path]:
    """Return the files of all streams that a command may have."""
    return [directory / "output", directory / "stderr"]


def written_bytes(directory: Path) -> int:
    """Return how much it wrote up to now, to all streams."""
    return sum(map(output.size, stream_paths(directory)))


def quiet_seconds(directory: Path) -> float | None:
    """Return for how long it has written nothing; None when it never has."""
    ages = [output.last_written(path) for path in stream_paths(directory)]
    return min((age for age in ages if age is not None), default=None)


def bytes_of(command: Command, stream: StreamName) -> int:
    """Return how many bytes of a stream were kept at the end of a command."""
    apart = command.stderr_bytes or 0
    return apart if stream == "stderr" else (command.output_bytes or 0) - apart


def newest_stream(directory: Path) -> Path:
    """Return the file of the stream that was written to last."""

    def age(path: Path) -> float:
        ago = output.last_written(path)
        return math.inf if ago is None or not output.size(path) else ago

    return min(stream_paths(directory), key=age)
