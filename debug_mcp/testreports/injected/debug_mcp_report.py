"""The pytest plugin that reports results: one file for each run, one JSON line for each event.

It runs inside the program under test, on whatever Python and pytest that has. Its folder is on
PYTHONPATH, and pytest finds it there by its entry point: where a caller sets another PYTHONPATH it
is silently absent. (With PYTEST_PLUGINS pytest would end with an import error.)

It must not change what it reports. So: one raw descriptor, opened once and closed at the end; one
``write`` for each event; nothing is printed or kept, no exception leaves it, and a file that is
not its own any more is not written to.
"""

import json
import linecache
import os
from typing import Any, Callable, Dict, Iterator, List, Optional, Set, Tuple

import pytest

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
_ERROR_CHARACTERS = 2000
_CODE_CHARACTERS = 300
_PARENTS = 64
_FOREIGN = ("/site-packages/", "/dist-packages/", "/.tox/", "/.nox/")

_Event = Optional[Dict[str, Any]]
_running: "List[_Reporter]" = []


def pytest_configure(config: Any) -> None:
    """Begin a report, unless this is a worker of xdist or a run inside another one's test."""
    folder = os.environ.get("DEBUG_MCP_REPORT")
    if not folder or _running or hasattr(config, "workerinput"):
        return
    try:
        reporter = _Reporter(folder, str(config.rootdir))
    except OSError:
        return
    _running.append(reporter)
    config.pluginmanager.register(reporter, "debug_mcp_reporter")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: Any, items: "List[Any]") -> None:
    """Choose and order the tests, where somebody asked for that."""
    wanted = os.environ.get("DEBUG_MCP_ONLY")
    if wanted:
        _leave_out(config, items, set(wanted.split("\n")))
    seed = os.environ.get("DEBUG_MCP_SHUFFLE")
    if seed:
        import random  # noqa: PLC0415  # no other run pays for it

        # A generator of its own: the program's numbers stay what they are. Every worker of xdist
        # comes to the same order, as it must.
        random.Random(seed).shuffle(items)  # noqa: S311


def _leave_out(config: Any, items: "List[Any]", ids: "Set[str]") -> None:
    """Leave out all but the tests that are to be run once more."""
    tree = os.environ.get("DEBUG_MCP_TREE", str(config.rootdir))
    below = os.path.relpath(str(config.rootdir), tree)
    kept: "List[Any]" = []
    left: "List[Any]" = []
    for item in items:
        name = item.nodeid if below == "." else below + "/" + item.nodeid
        (kept if name in ids else left).append(item)
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = kept


class _Reporter:
    """The hooks of one run; its parameters' names are pytest's."""

    def __init__(self, folder: str, root: str) -> None:
        self._root = root
        self._process = os.getpid()
        name = "%d-%s.jsonl" % (self._process, os.urandom(4).hex())
        self._fd = os.open(os.path.join(folder, name), _FLAGS, 0o600)
        self._file = self._identity()
        tree = os.environ.get("DEBUG_MCP_TREE", root)
        about = {"root": root, "tree": tree, "process": self._process}
        self._note(lambda: dict(about, event="start"))
        self._note(lambda: {"event": "below", "processes": _parents()})

    def pytest_collection_finish(self, session: Any) -> None:
        # With xdist the workers collect; the controller's own list stays empty.
        self._note(lambda: session.items and {"event": "collected", "tests": len(session.items)})

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: Any) -> None:
        self._note(lambda: {"event": "collected", "tests": len(ids)})

    def pytest_collectreport(self, report: Any) -> None:
        self._note(lambda: _uncollected(report, self._root))

    def pytest_runtest_logstart(self, nodeid: str, location: Any) -> None:
        self._note(lambda: {"event": "begin", "id": nodeid})

    def pytest_runtest_logreport(self, report: Any) -> None:
        self._note(lambda: _result(report, self._root))

    def pytest_sessionfinish(self, session: Any, exitstatus: int) -> None:
        self._note(lambda: {"event": "end", "status": int(exitstatus)})

    def pytest_unconfigure(self, config: Any) -> None:
        _running.remove(self)
        try:
            if self._identity() == self._file:
                os.close(self._fd)
        except OSError:
            pass

    def _identity(self) -> "Tuple[int, int]":
        found = os.fstat(self._fd)
        return found.st_dev, found.st_ino

    def _note(self, describe: "Callable[[], _Event]") -> None:
        try:
            event = describe()
            # A test may fork, or close every descriptor: the number may mean another file by now.
            if event and os.getpid() == self._process and self._identity() == self._file:
                os.write(self._fd, json.dumps(event).encode() + b"\n")
        except Exception:
            pass


def _parents() -> "List[int]":
    """Return the processes above this one, so that a run started by a test can be told."""
    found: List[int] = []
    process = os.getppid()
    while process > 1 and len(found) < _PARENTS:
        found.append(process)
        with open("/proc/%d/stat" % process, "rb") as stat:
            process = int(stat.read().rpartition(b")")[2].split()[1])
    return found


def _uncollected(report: Any, root: str) -> _Event:
    if report.outcome != "failed":
        return None
    return {"event": "uncollected", "id": report.nodeid, "failure": _failure(report.longrepr, root)}


def _result(report: Any, root: str) -> _Event:
    outcome = report.outcome
    if hasattr(report, "wasxfail"):
        outcome = "xfailed" if outcome == "skipped" else "xpassed"
    if outcome == "passed" and (report.when != "call" or hasattr(report, "context")):
        return None  # a fixture or a subtest that worked is nothing to tell
    event = {"event": "result", "id": report.nodeid, "when": report.when, "outcome": outcome}
    event["seconds"] = round(report.duration, 4)
    if outcome == "failed":
        event["failure"] = _failure(report.longrepr, root)
    return event


def _failure(representation: Any, root: str) -> "Dict[str, Any]":
    """Return the error, and where in the project it came up, as far as pytest says."""
    failure: Dict[str, Any] = {"error": _error(representation)}
    for path, line in _places(representation):
        full = os.path.join(root, path)
        if full.startswith(root + os.sep) and not any(part in full for part in _FOREIGN):
            code = linecache.getline(full, line).strip()[:_CODE_CHARACTERS]
            failure.update(path=full, line=line, code=code)
            break
    return failure


def _error(representation: Any) -> str:
    crash = getattr(representation, "reprcrash", None)
    if crash is not None:
        text = str(crash.message)
        return ("AssertionError: " + text if text.startswith("assert ") else text)[
            :_ERROR_CHARACTERS
        ]
    lines = [line for line in str(representation).splitlines() if line.strip()]
    marked = [line[1:].strip() for line in lines if line.startswith("E ")]
    return "\n".join(marked or lines[-1:])[:_ERROR_CHARACTERS]


def _places(representation: Any) -> "Iterator[Tuple[str, int]]":
    """Yield path and line, the innermost first: the crash itself may be far inside a library."""
    trace = getattr(representation, "reprtraceback", None)
    for entry in reversed(getattr(trace, "reprentries", None) or []):
        place = getattr(entry, "reprfileloc", None)
        if place is not None:
            yield str(place.path), place.lineno
    crash = getattr(representation, "reprcrash", None)
    if crash is not None:
        yield str(crash.path), crash.lineno
    if hasattr(representation, "firstlineno"):  # a fixture that does not exist
        yield str(representation.filename), representation.firstlineno + 1
