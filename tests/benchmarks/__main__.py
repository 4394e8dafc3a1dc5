"""Measure everything, or one thing, and say what is within its budget: ``make bench``.

Each line holds a median against a reference that was measured in the same run, in turns with it.
Ratios can be compared between machines; times cannot.
"""

import argparse
import contextlib
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.benchmarks import (
    calls,
    commands,
    debugging,
    environments,
    http,
    idle,
    launch,
    ledger,
    neighbours,
    output,
    parallel,
    recovery,
    sessions,
    streams,
)
from tests.benchmarks.bench import Bench
from tests.benchmarks.table import HEADER, Line

BENCHMARKS: dict[str, Callable[[Bench], Iterator[Line]]] = {
    "launch": launch.lines,
    "calls": calls.lines,
    "commands": commands.lines,
    "output": output.lines,
    "parallel": parallel.lines,
    "sessions": sessions.lines,
    "environments": environments.lines,
    "neighbours": neighbours.lines,
    "debugging": debugging.lines,
    "idle": idle.lines,
    "http": http.lines,
    "streams": streams.lines,
    "ledger": ledger.lines,
    "recovery": recovery.lines,
}

_IDENTITY = "[user]\n\tname = Ada Example\n\temail = ada@example.org\n"


def main() -> int:
    """Print the table; return 1 when something could not be measured.

    A line over its budget is no failure: machines differ, and are busy with other things.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--only", choices=BENCHMARKS, help="this one alone")
    parser.add_argument("--quick", action="store_true", help="a quarter of the samples")
    options = parser.parse_args()
    began = time.monotonic()
    print(
        f"Python {platform.python_version()}, Linux {platform.release()}, {os.cpu_count()} cores, "
        f"load {os.getloadavg()[0]:.2f}\n\n{HEADER}\n{'-' * len(HEADER)}",
        flush=True,
    )
    chosen = [options.only] if options.only else list(BENCHMARKS)
    with tempfile.TemporaryDirectory(prefix="debug-mcp-benchmarks-") as folder:
        _own_home(Path(folder))
        failed = [
            name for name in chosen if not _measure(name, Path(folder, name), quick=options.quick)
        ]
    print(f"\n{time.monotonic() - began:.0f} s", end="")
    print(f"; could not be measured: {', '.join(failed)}" if failed else "")
    return 1 if failed else 0


def _own_home(folder: Path) -> None:
    """Keep everything away from the home and the settings of the person who runs this.

    Python's too: without bytecode files, each launch would compile what changed since.
    """
    for name in list(os.environ):
        if name.startswith(("DEBUG_MCP_", "GIT_", "PYTHON", "XDG_")):
            del os.environ[name]
    os.environ["HOME"] = str(folder)
    (folder / ".gitconfig").write_text(_IDENTITY)


def _measure(name: str, folder: Path, *, quick: bool) -> bool:
    """Print a benchmark's lines as they come; return whether all came."""
    folder.mkdir()
    try:
        with contextlib.ExitStack() as stack:
            stack.callback(shutil.rmtree, folder)  # the last, when nothing works in it any more
            for line in BENCHMARKS[name](Bench(folder, stack, quick=quick)):
                print(line, flush=True)
    except Exception as error:  # noqa: BLE001  # the others can still be measured
        print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
