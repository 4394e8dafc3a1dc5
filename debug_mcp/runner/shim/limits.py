"""What a command may use, and whether it uses more.

Limits of a single process are the kernel's own (``setrlimit(2)``). Those of all processes together
are measured every so often: the kernel can count them in a control group alone, which few servers
own, and a limit of addresses (``RLIMIT_AS``) breaks programs that reserve more than they use.
"""

import _signal as signal  # type: ignore[import-not-found]
import os
import resource
import time

from debug_mcp.runner.shim.child import Child
from debug_mcp.runner.shim.disk import SHARE, Disk
from debug_mcp.runner.shim.processes import (
    TICKS,
    descendants,
    has_moved_in,
    inhabitants,
    root_of,
    stat_of,
)
from debug_mcp.runner.shim.spec import Spec

PAUSE_SECONDS = 0.2

RLIMITS = {
    b"file_bytes": resource.RLIMIT_FSIZE,
    b"open_files": resource.RLIMIT_NOFILE,
    b"core_bytes": resource.RLIMIT_CORE,
}
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Limits:
    """What all processes of a command may use together."""

    def __init__(self, spec: Spec) -> None:
        self.memory = _number(spec, b"memory_bytes")
        self.processes = _number(spec, b"processes")
        self.cpu = _number(spec, b"cpu_seconds")
        disk = _number(spec, b"disk_bytes")
        noted = _number(spec, b"disk_noted") != 0
        self.disk = None if disk is None else Disk(spec.fields[b"disk"], disk, noted)
        self.at = time.monotonic() + PAUSE_SECONDS
        if (self.memory, self.processes, self.cpu, disk) == (None,) * 4:
            self.at = float("inf")

    def met(self, child: Child) -> str | None:
        """Measure, if it is time to; return the name of a limit that is exceeded."""
        if time.monotonic() < self.at:
            return None
        spent = time.process_time()
        first = child.first()
        found = self._used(child.cpu, first if first is not None and has_moved_in(first) else None)
        if found is None and self.disk is not None and self.disk.exceeded():
            found = "disk_bytes"
        # Of our own processor time: on a busy machine the clock says nothing.
        self.at = time.monotonic() + max(PAUSE_SECONDS, (time.process_time() - spent) / SHARE)
        return found

    def _used(self, ended_cpu: float, first: int | None) -> str | None:
        most = float("inf") if self.processes is None else self.processes
        tree = _processes(first, most)
        if len(tree) > most:
            return "processes"
        cpu, resident = ended_cpu, 0
        for process in tree:
            try:
                fields = stat_of(process)
            except OSError:
                continue  # it has just ended
            cpu += sum(map(int, fields[11:15])) / TICKS
            resident += int(fields[21]) * _PAGE
        if self.cpu is not None and cpu > self.cpu:
            return "cpu_seconds"
        if self.memory is None:
            return None
        files = _in_memory(first)
        # What several share is counted once for each here, so this is the most that it can be.
        if resident + files > self.memory and _proportional(tree, files) > self.memory:
            return "memory_bytes"
        return None


def limit_process(spec: Spec) -> None:
    """Set the limits of this process and of whatever it starts; one that is lower already stays."""
    for name, kind in RLIMITS.items():
        wanted = _number(spec, name)
        if wanted is not None:
            _, most = resource.getrlimit(kind)
            value = int(wanted) if most == resource.RLIM_INFINITY else min(int(wanted), most)
            resource.setrlimit(kind, (value, value))


def ended_by_file_size(spec: Spec, code: int) -> bool:
    """Return whether a process ended of the signal for a file that grew too large."""
    # As the kernel says it, or a sandbox or a shell.
    return b"file_bytes" in spec.fields and code in (-signal.SIGXFSZ, 128 + signal.SIGXFSZ)


def _number(spec: Spec, name: bytes) -> float | None:
    value = spec.fields.get(name)
    return None if value is None else float(value)


def _processes(first: int | None, most: float) -> list[str]:
    """Return the folders below ``/proc`` of what runs, or of more than ``most``."""
    if first is not None:
        try:
            return inhabitants(first)
        except OSError:
            pass
    return descendants(os.getpid(), most)


def _proportional(tree: list[str], files: int) -> int:
    """Return the memory of processes with what is shared counted once, and files in memory."""
    total = mapped = 0
    for process in tree:
        try:
            with open(f"{process}/smaps_rollup", "rb") as rollup:
                lines = [line.split() for line in rollup.read().split(b"\n")]
        except OSError:
            continue
        sizes = {line[0]: int(line[1]) * 1024 for line in lines if line[2:] == [b"kB"]}
        total += sizes.get(b"Pss:", 0)
        mapped += sizes.get(b"Pss_Shmem:", 0)
    # A file in memory that is also mapped stands in both.
    return total + max(files - mapped, 0)


def _in_memory(first: int | None) -> int:
    """Return the bytes of files in the file systems that a sandbox keeps in memory."""
    if first is None:
        return 0
    total, root = 0, root_of(first)
    for folder in ("dev", "run", "var"):
        try:
            seen = os.statvfs(f"{root}/{folder}")
        except OSError:
            continue
        total += (seen.f_blocks - seen.f_bfree) * seen.f_frsize
    return total
