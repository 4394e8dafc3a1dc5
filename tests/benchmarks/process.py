"""What the kernel says of a process."""

from pathlib import Path

_KIB_PER_MIB = 1024
_NANOSECONDS_PER_MS = 1_000_000
# Writing this to `clear_refs` sets the peak back to the present size (proc(5)).
_RESET_PEAK = "5"


def memory(pid: int) -> float:
    """Return the resident size in MiB."""
    return _status(pid, "VmRSS")


def peak_memory(pid: int) -> float:
    """Return the largest resident size since the start or ``reset_peak``, in MiB."""
    return _status(pid, "VmHWM")


def reset_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text(_RESET_PEAK)


def cpu_time(pid: int) -> float:
    """Return the milliseconds that all its threads have been on a processor.

    From ``schedstat``, which counts nanoseconds; ``stat`` counts ticks of 10 ms.
    """
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / _NANOSECONDS_PER_MS


def _status(pid: int, field: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) / _KIB_PER_MIB
    raise LookupError(f"process {pid} has no {field}")
