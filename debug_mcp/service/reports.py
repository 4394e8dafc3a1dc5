"""Where the test results of a command are written while it runs, and how they are read again.

Each command has a folder of its own for them, outside the session's tree and home: they stay with
the command when the session is gone.
"""

import contextlib
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from debug_mcp.beneath import Refused, check_regular, opened_beneath
from debug_mcp.runner.sandbox import Bind
from debug_mcp.testreports import injected_folder
from debug_mcp.testreports.junit import Unreadable, read_junit
from debug_mcp.testreports.model import Report, Result
from debug_mcp.testreports.pytest_events import read_events

_FOLDER = "reports"
_JUNIT = "junit"
# As a command in the sandbox sees them.
_REPORTS = "/run/debug-mcp/reports"
_PLUGIN = "/run/debug-mcp/pytest"
# One file for each run of pytest; a suite of 100,000 tests writes about 25 MB.
FILES = 200
TOTAL_BYTES = 64 << 20


def make_folder(directory: Path) -> tuple[Bind, Bind]:
    """Make a command's folder for results; return what it must see: that and the plugin."""
    folder = directory / _FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Bind(folder, _REPORTS, writable=True), Bind(injected_folder(), _PLUGIN)


def reporting(
    reports: str, plugin: str, tree: str, environment: Mapping[str, str]
) -> dict[str, str]:
    """Return an environment in which pytest reports its results.

    Args:
        reports: Where to write them, as the command sees it.
        plugin: The plugin's folder, as the command sees it.
        tree: The tree's root, as the command sees it.
        environment: What the command would get otherwise; its own PYTHONPATH comes first.
    """
    own = environment.get("PYTHONPATH")
    return {
        **environment,
        "PYTHONPATH": f"{own}{os.pathsep}{plugin}" if own else plugin,
        # A list of what is installed must not name what only stands on PYTHONPATH.
        "PIP_EXCLUDE": "debug-mcp-report",
        "DEBUG_MCP_REPORT": reports,
        "DEBUG_MCP_TREE": tree,
    }


def read_report(directory: Path) -> Report | None:
    """Return what the tests of a command said until now; reads files, so call it in a thread."""
    files = _all_files(directory / _FOLDER)
    report = read_events(content for _, content in files)
    if report is None:
        return _of_other_runners(directory)
    if report.current is None:
        return report
    # The last thing written was that this test begins.
    return replace(report, current_since=datetime.fromtimestamp(files[-1][0] / 1e9, UTC))


def _all_files(folder: Path) -> list[tuple[int, bytes]]:
    """Return when each file of a folder was last written (ns) and its content, oldest first."""
    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return []
    try:
        return list(_files(opened))
    finally:
        os.close(opened)


def note_results(directory: Path, contents: Sequence[Path]) -> None:
    """Keep JUnit files that a command wrote as its results, beside what it kept of them itself."""
    folder = directory / _JUNIT
    folder.mkdir(mode=0o700, exist_ok=True)
    for number, content in enumerate(contents[:FILES]):
        # A copy: a file with two names is taken for a trick when it is read.
        shutil.copyfile(content, folder / f"{number}.xml")


def _of_other_runners(directory: Path) -> Report | None:
    """Return what JUnit files say; None where there is none that says anything."""
    tests: dict[str, Result] = {}
    for _, content in _all_files(directory / _JUNIT):
        with contextlib.suppress(Unreadable):
            tests.update(read_junit(content).tests)
    return Report("junit", complete=True, tests=tests) if tests else None


class News:
    """Reads what the tests of a command said since the last time, each byte once."""

    def __init__(self, directory: Path) -> None:
        self._folder = directory / _FOLDER
        self._seen: dict[str, int] = {}

    def mention(self, words: Sequence[bytes]) -> bool:
        """Return whether one of the words stands in a line that has come whole since then."""
        try:
            folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            names = sorted(entry.name for entry in islice(os.scandir(folder), FILES))
            lines = [self._lines(folder, name) for name in names]
        finally:
            os.close(folder)
        return any(word in line for line in lines for word in words)

    def _lines(self, folder: int, name: str) -> bytes:
        start = self._seen.get(name, 0)
        with contextlib.suppress(Refused), opened_beneath(folder, name) as fd:
            size = check_regular(fd, TOTAL_BYTES).st_size
            data = os.pread(fd, max(size - start, 0), start)
            whole = data[: data.rfind(b"\n") + 1]
            self._seen[name] = start + len(whole)
            return whole
        return b""


def _files(folder: int) -> Iterator[tuple[int, bytes]]:
    """Yield when each was last written (ns) and its content, oldest first.

    A program may have put there whatever it likes.
    """
    left = TOTAL_BYTES
    found = []
    with os.scandir(folder) as entries:
        for entry, _ in zip(entries, range(FILES), strict=False):
            changed = entry.stat(follow_symlinks=False).st_mtime_ns
            found.append((min(changed, time.time_ns()), entry.name))
    for written, name in sorted(found):
        with contextlib.suppress(Refused), opened_beneath(folder, name) as fd:
            size = check_regular(fd, left).st_size
            left -= size
            yield written, os.pread(fd, size, 0)
