"""Half a gibibyte of output: how fast, how much of it is kept, what the server needs for it."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from debug_mcp.config import MIB, Layout
from tests.benchmarks.bench import Bench, clocked, interleaved, timed
from tests.benchmarks.client import Client
from tests.benchmarks.process import memory, peak_memory, reset_peak
from tests.benchmarks.table import Budget, Line, Measure

_ROUNDS = 5
_RAM_DISK = Path("/dev/shm")
_NEEDED = 4  # times the output, so that a small RAM disk does not fill up


def lines(bench: Bench) -> Iterator[Line]:
    size = (128 if bench.quick else 512) * MIB
    repository = bench.upstream()
    speed = Budget("at least", 0.7, "ratio")
    yield from _lines(bench, repository, bench.folder, "disk", size, speed)
    if os.access(_RAM_DISK, os.W_OK) and shutil.disk_usage(_RAM_DISK).free > _NEEDED * size:
        folder = bench.stack.enter_context(tempfile.TemporaryDirectory(dir=_RAM_DISK))
        speed = Budget("at least", 1)
        yield from _lines(bench, repository, Path(folder), "RAM disk", size, speed)


def _lines(
    bench: Bench, repository: str, folder: Path, where: str, size: int, speed: Budget
) -> Iterator[Line]:
    program = ["head", "-c", str(size), "/dev/zero"]
    layout = Layout(folder / "data")
    client = bench.ready(bench.launch(layout.root, output_bytes=size))
    session_id = bench.session(client, repository)
    client.call("command_run", session_id=session_id, command=["true"])
    idle = memory(client.pid)
    reset_peak(client.pid)

    # Each deletes its file before the other begins: memory that was in use is faster than fresh.
    def straight(look: Callable[[Path], object] = bool) -> float:
        path = folder / "direct"
        milliseconds = timed(lambda: _write(program, path))
        look(path)
        path.unlink()
        return size / milliseconds / 1e6

    def through(look: Callable[[Path], object] = bool) -> float:
        milliseconds, view = clocked(lambda: _run(client, session_id, program))
        path = layout.commands / view["command_id"] / "output"
        look(path)
        path.unlink()
        return size / milliseconds / 1e6

    seen: list[tuple[int, str]] = []
    for write in (straight, through):
        write(lambda path: seen.append((path.stat().st_size, _digest(path))))
    (written, digest), (kept, kept_digest) = seen
    assert kept != written or kept_digest == digest, "the bytes differ"
    ours, bare = interleaved(_ROUNDS, through, straight)
    yield Line(
        f"output to the {where}",
        Measure(ours, "GB/s"),
        Measure(bare, "GB/s"),
        "the program straight to a file",
        speed,
    )
    yield Line(
        f"output to the {where}: kept",
        Measure([kept], "bytes"),
        Measure([written], "bytes"),
        "written",
        Budget("exactly", 1, "ratio"),
    )
    yield Line(
        f"output to the {where}: peak above idle",
        Measure([peak_memory(client.pid) - idle], "MiB"),
        budget=Budget("at most", 20),
    )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(program: list[str], path: Path) -> None:
    with path.open("wb") as file:
        subprocess.run(program, stdout=file, check=True)


def _run(client: Client, session_id: str, program: list[str]) -> dict[str, Any]:
    view = client.call(
        "command_run", session_id=session_id, command=program, timeout_seconds=60, wait_seconds=50
    )
    assert view["outcome"] == "succeeded", view
    return view
