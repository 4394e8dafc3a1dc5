"""Reading what our pytest plugin wrote: several runs, killed ones and runs inside runs too.

The files are written by a program that nobody has read: a line that makes no sense is skipped.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from debug_mcp.testreports.model import RANK, Failure, Report, Result, Status

_STATUSES = {
    ("call", "passed"): Status.PASSED,
    ("call", "failed"): Status.FAILED,
    ("setup", "failed"): Status.ERROR,
    ("teardown", "failed"): Status.ERROR,
    ("setup", "skipped"): Status.SKIPPED,
    ("call", "skipped"): Status.SKIPPED,
    ("setup", "xfailed"): Status.XFAILED,
    ("call", "xfailed"): Status.XFAILED,
    ("call", "xpassed"): Status.XPASSED,
}
# pytest's exit statuses of a run that went to its end: passed, failed, nothing collected.
_ENDED = frozenset({0, 1, 5})


@dataclass(slots=True)
class _Run:
    """One run of pytest, as far as its events tell. Ids are relative to ``root`` until the end."""

    root: str = ""
    tree: str = ""
    process: int = 0
    parents: frozenset[int] = frozenset()
    collected: int = 0
    status: int | None = None
    current: str | None = None
    tests: dict[str, Result] = field(default_factory=dict)
    uncollected: dict[str, Failure] = field(default_factory=dict)

    def take(self, event: Mapping[str, Any]) -> None:
        match event:
            case {"event": "start", "root": str(), "tree": str(), "process": int(process)}:
                self.root, self.tree, self.process = event["root"], event["tree"], process
            case {"event": "below", "processes": [*parents]}:
                self.parents = frozenset(parent for parent in parents if isinstance(parent, int))
            case {"event": "collected", "tests": int(tests)}:
                self.collected = max(self.collected, tests)
            case {"event": "uncollected", "id": str(name), "failure": dict(failure)}:
                self.uncollected[self._id(name)] = self._failure(failure)
            case {"event": "begin", "id": str(name)}:
                self.current = self._id(name)
                # Run again (by a plugin that repeats failures): the last time counts.
                self.tests.pop(self.current, None)
            case {"event": "result", "id": str(name), "outcome": str(), "when": str()}:
                self._result(self._id(name), event)
            case {"event": "end", "status": int(status)}:
                self.status, self.current = status, None
            case _:
                pass

    def _result(self, name: str, event: Mapping[str, Any]) -> None:
        status = _STATUSES.get((event["when"], event["outcome"]))
        if status is None:
            return
        failure = event.get("failure")
        found = Result(
            status,
            _number(event.get("seconds")),
            self._failure(failure) if isinstance(failure, dict) else None,
        )
        before = self.tests.get(name)
        if before is not None:
            stands = max(before, found, key=lambda result: RANK[result.status])
            found = Result(stands.status, before.seconds + found.seconds, stands.failure)
        self.tests[name] = found

    def _failure(self, given: Mapping[str, Any]) -> Failure:
        path, line, code = given.get("path"), given.get("line"), given.get("code")
        return Failure(
            error=str(given.get("error") or "failed without a word"),
            path=_relative(path, self.tree) if isinstance(path, str) else None,
            line=line if isinstance(line, int) else None,
            code=code if isinstance(code, str) and code else None,
        )

    def _id(self, name: str) -> str:
        """Return a test's id from the tree's root, as it can be given to pytest there."""
        below = _relative(self.root, self.tree)
        return name if below in (".", self.root) or not name else f"{below}/{name}"

    @property
    def complete(self) -> bool:
        return self.status in _ENDED and len(self.tests) >= self.collected


def read_events(files: Iterable[bytes]) -> Report | None:
    """Fold the files of one command, oldest first; None when no run of pytest left any.

    A half-written last line is skipped.
    """
    runs = [run for content in files if (run := _run(content)).root]
    processes = {run.process for run in runs}
    # What a test starts is that test's business, not a result of its own.
    outer = [run for run in runs if not run.parents & processes]
    if not outer:
        return None
    tests: dict[str, Result] = {}
    uncollected: dict[str, Failure] = {}
    for run in outer:
        tests |= run.tests
        uncollected |= run.uncollected
    return Report(
        source="pytest",
        complete=all(run.complete for run in outer),
        tests=tests,
        uncollected=uncollected,
        collected=sum(run.collected for run in outer) or None,
        current=next((run.current for run in reversed(outer) if run.current), None),
    )


def _run(content: bytes) -> _Run:
    run = _Run()
    for event in _events(content):
        run.take(event)
    return run


def _events(content: bytes) -> Iterator[Mapping[str, Any]]:
    for line in content.splitlines():
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(event, dict):
            yield event


def _relative(path: str, tree: str) -> str:
    """Return a path relative to the tree when it is below it."""
    inside = path == tree or path.startswith(f"{tree}/")
    return os.path.relpath(path, tree) if tree and inside else path


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and value >= 0 else 0.0
