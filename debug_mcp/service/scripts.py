"""Commands that are too long for an argument: their text is a file that only they can read."""

from pathlib import Path

from debug_mcp.runner.sandbox import Bind

# The kernel takes 128 KiB for one argument, in bytes; the sandbox has its own beside it.
ARGUMENT_BYTES = 96 << 10
SCRIPT = "command"
_FOLDER = "script"
_SEEN = "/run/debug-mcp/script"


def write_script(directory: Path, text: str) -> Bind | None:
    """Write a long command's text into its directory; None for one that fits an argument.

    Returns:
        The folder to bind, with the file ``SCRIPT`` in it.
    """
    content = text.encode("utf-8", "surrogateescape")
    if len(content) <= ARGUMENT_BYTES:
        return None
    folder = directory / _FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / SCRIPT).write_bytes(content)
    return Bind(folder, _SEEN)
