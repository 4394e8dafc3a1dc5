"""What a command may use at most."""

from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Limits:
    """What a command and all that it starts may use; None is no limit.

    Of one process at a time: ``file_bytes`` (the largest file that it writes), ``open_files`` and
    ``core_bytes`` (of the core file that a crash leaves; none by default); the kernel refuses more.
    Of all together: ``memory_bytes`` (what is shared counts once; files in memory count),
    ``processes``, ``cpu_seconds`` and ``disk_bytes`` (of all in ``folder``); whoever uses more is
    ended. What is in the folder is ``noted`` there for the next command, or not.
    """

    memory_bytes: int | None = None
    processes: int | None = None
    cpu_seconds: float | None = None
    file_bytes: int | None = None
    open_files: int | None = None
    disk_bytes: int | None = None
    folder: Path | None = None
    core_bytes: int = 0
    noted: bool = True

    def fields(self) -> list[str]:
        """Return them as fields of a shim's ``spec``."""
        given = asdict(self)
        folder, noted = given.pop("folder"), given.pop("noted")
        if folder is None:
            given.pop("disk_bytes")
        else:
            given["disk"] = folder
            given["disk_noted"] = int(noted)
        return [f"{name}={value}" for name, value in given.items() if value is not None]


NO_LIMITS = Limits()
# For a shell, before it becomes a program: who writes too large a file hears of it from the kernel,
# and does not end by a signal without a word.
HEARING_OF_LARGE_FILES = 'trap "" XFSZ; '
