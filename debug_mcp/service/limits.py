"""What commands may use by this server's settings, and what is said of one that used more."""

import contextlib
import os
from pathlib import Path

from debug_mcp.config import Settings
from debug_mcp.folders import each_folder
from debug_mcp.models.commands import Limit
from debug_mcp.runner.limits import Limits
from debug_mcp.runner.supervisor import Exit

# Of the machine's, where no setting says more or less.
MEMORY_SHARE = 0.75

# So much a fetch may always bring: names without objects are a fetch too.
_LEAST_BYTES = 1 << 20

# By the names of `runner.limits`.
_SETTINGS = {
    "memory_bytes": "command_memory_bytes",
    "processes": "command_processes",
    "cpu_seconds": "command_cpu_seconds",
    "file_bytes": "command_file_bytes",
    "disk_bytes": "session_disk_bytes",
}
_EXCEEDED = {
    "command_memory_bytes": "it and all that it started took more than {} of memory together",
    "command_processes": "it and all that it started were more than {:.0f} processes at once",
    "command_cpu_seconds": "it and all that it started took more than {:g} s of processor time",
    "command_file_bytes": "it wrote a file of more than {}",
    "session_disk_bytes": "its session's files took more than {}: remove what is not needed any "
    "more",
}
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


def limits_of(settings: Settings, session: Path, *, core: bool = False) -> Limits:
    """Return what a command may use, in a session whose folders are in that one.

    ``core``: a crash is to leave a core file, as large as one artifact may be.
    """
    return Limits(
        memory_bytes=memory_limit(settings),
        processes=settings.command_processes or None,
        cpu_seconds=settings.command_cpu_seconds or None,
        file_bytes=settings.command_file_bytes or None,
        open_files=settings.command_open_files or None,
        disk_bytes=settings.session_disk_bytes or None,
        core_bytes=settings.artifact_bytes if core else 0,
        folder=session,
    )


def room_of(settings: Settings, mirror: Path) -> int | None:
    """Return the bytes that a mirror may still grow by; None for any number. Blocks.

    What is fetched arrives as one file, so that the kernel can end it before the mirror has grown
    too large.
    """
    if not settings.repository_bytes:
        return None
    used = 0
    for _, entries in each_folder(mirror):
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):  # git's own, for a moment
                used += entry.stat(follow_symlinks=False).st_size
    return max(settings.repository_bytes - used, _LEAST_BYTES)


def transfer_limits(settings: Settings, mirror: Path) -> Limits:
    """Return what a clone or a fetch into a mirror may use. Blocks."""
    return Limits(
        memory_bytes=memory_limit(settings),
        file_bytes=room_of(settings, mirror),
        disk_bytes=settings.repository_bytes or None,
        folder=mirror,
        noted=False,
    )


def transfer_limit_hint(settings: Settings, name: str) -> str:
    """Say in words which limit a clone or a fetch met, by the name of it in ``runner.limits``."""
    if name == "memory_bytes":
        return "git took more memory than the operator's setting command_memory_bytes allows"
    return (
        f"its mirror would take more than {size_in_words(settings.repository_bytes)} of disk. The "
        "operator's setting repository_bytes is the limit; a smaller depth may be within it"
    )


def limit_met(seen: Exit) -> Limit | None:
    """Return the limit that ended a command, by the name of its setting."""
    if seen.limit is None:
        return None
    name, value = seen.limit
    return Limit(name=_SETTINGS[name], value=value)


def limit_hint(limit: Limit) -> str:
    """Say in words which limit a command met, and who can change it."""
    value = size_in_words(limit.value) if limit.name.endswith("_bytes") else limit.value
    why = _EXCEEDED[limit.name].format(value)
    return f"ended at once: {why}. The operator's setting {limit.name} is the limit"


def memory_limit(settings: Settings) -> int | None:
    """Return the bytes of memory that a command may take, or git for the server; None for all."""
    limit = settings.command_memory_bytes
    return _machine_share() if limit is None else limit or None


def _machine_share() -> int:
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return int(pages * size * MEMORY_SHARE)


def size_in_words(count: float) -> str:
    """Return a number of bytes as a person reads it."""
    for unit in _UNITS[:-1]:
        if count < 1024:
            return f"{count:.3g} {unit}"
        count /= 1024
    return f"{count:.3g} {_UNITS[-1]}"
