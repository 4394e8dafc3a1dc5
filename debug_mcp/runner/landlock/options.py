"""What a session's commands get at the level ``landlock``, and whether that works here."""

import contextlib
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from debug_mcp.runner import landlock
from debug_mcp.runner.etc import ETC
from debug_mcp.runner.landlock import calls, rules
from debug_mcp.runner.toolchains import SYSTEM_ROOTS

PROGRAM = Path(landlock.__file__).with_name("__main__.py")
LAUNCHER = (sys.executable, "-I", "-S", str(PROGRAM))
PROBE_SECONDS = 10
# Of the whole machine; what of a process is nobody else's business, the kernel keeps to itself.
_COMMON = (Path("/proc"), Path("/dev/random"), Path("/dev/urandom"))
_DEVICES = tuple(Path("/dev") / name for name in ("null", "zero", "full", "tty"))
# Another file is not read: 0. The other way round there is no boundary.
_TRIED = ("/bin/sh", "-c", 'cat "$0" 2>/dev/null && exit 3; exit 0')


def access(
    readable: Iterable[Path], hidden: Path, own: Iterable[Path], writable: Iterable[Path]
) -> list[str]:
    """Return the options that name what may be opened.

    Args:
        readable: Beside the system's own.
        hidden: A folder that is not to be seen in anything of that, if it is there.
        own: What may be read wherever it is.
        writable: What may be written, beside devices that hold nothing.
    """
    common = (*SYSTEM_ROOTS, *_COMMON, *_everybodys(ETC), *readable)
    seen = [part for place in common for part in _without(place, hidden)]
    return [
        *(word for path in (*seen, *own) for word in ("--read", str(path))),
        *(word for path in (*_DEVICES, *writable) for word in ("--write", str(path))),
    ]


def _everybodys(folder: Path) -> Iterator[Path]:
    """Yield what anybody may read; a program that is refused such a file takes that for a fault."""
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda each: each.name):
            with contextlib.suppress(OSError):  # a link to nowhere
                if entry.stat().st_mode & stat.S_IROTH:
                    yield Path(entry.path)


def _without(place: Path, hidden: Path) -> Iterator[Path]:
    """Yield what is in a folder but for one that is below it: a right holds for all below."""
    real = place.resolve()
    if not hidden.is_relative_to(real):
        yield place
    elif real != hidden:
        for below in sorted(real.iterdir()):
            yield from _without(below, hidden)


def probe() -> str | None:
    """Return why this level cannot be had here; None where it really works.

    Blocks for some milliseconds: call it in a thread.
    """
    if os.geteuid() == 0:
        return "Landlock is not used for root, who could read the environment of other processes"
    if os.uname().machine not in calls.MACHINES:
        return f"Landlock comes with a filter of system calls, which {os.uname().machine} lacks"
    abi = rules.version()
    if abi == 0:
        return "this kernel has no Landlock, or it is turned off"
    if abi < rules.LEAST_ABI:
        return f"this kernel's Landlock is too old (version {abi}; {rules.LEAST_ABI} is needed)"
    with tempfile.NamedTemporaryFile() as outside, tempfile.TemporaryFile() as options:
        wanted = access((), Path(outside.name), (), ())
        options.write(b"".join(os.fsencode(word) + b"\0" for word in wanted))
        options.seek(0)
        asked = (*LAUNCHER, "--args", str(options.fileno()), "--", *_TRIED, outside.name)
        try:
            done = subprocess.run(
                asked, capture_output=True, env={}, timeout=PROBE_SECONDS, check=False,
                pass_fds=[options.fileno()],
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"Landlock could not be tried: {error}"
    if done.returncode == 0:
        return None
    return f"Landlock does not work here: {done.stderr.decode('utf-8', 'replace').strip()}"


def holes() -> str:
    """Say what this level does not keep from commands on this kernel."""
    seen = "commands see the machine's list of processes, and have no network of their own"
    if rules.version() < rules.SCOPED_ABI:
        return f"{seen}; on this kernel they can also signal other processes of this user"
    return seen
