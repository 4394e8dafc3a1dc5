"""Reading reports that a hostile or dying program wrote."""

import json

import pytest

from debug_mcp.testreports.model import Status
from debug_mcp.testreports.pytest_events import read_events


def lines(*events: object) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


START = {"event": "start", "root": "/workspace", "tree": "/workspace", "process": 7}
PASSED = {"event": "result", "id": "a.py::t", "when": "call", "outcome": "passed", "seconds": 1}


@pytest.mark.parametrize(
    "noise",
    [
        b"\x00\xff\n",
        b"[" * 100_000 + b"\n",
        b"null\n",
        b'{"event": "result"}\n',
        lines({**PASSED, "when": 3}),
        lines({**PASSED, "when": "never"}),
        lines({"event": "end", "status": "0"}),
        lines({"event": "collected", "tests": "many"}),
        lines({"event": "below", "processes": "all"}),
        b'{"event": "result", "id": "b.py::t", "when": "ca',
    ],
)
def test_a_line_without_sense_is_skipped(noise: bytes) -> None:
    report = read_events([lines(START, PASSED) + noise])
    assert report is not None
    assert [str(result.status) for result in report.tests.values()] == ["passed"]
    assert not report.complete


@pytest.mark.parametrize("content", [b"", b"garbage\n", lines(PASSED)])
def test_a_file_without_a_start_is_no_run(content: bytes) -> None:
    assert read_events([content]) is None


def test_seconds_that_make_no_sense_count_as_none() -> None:
    bad = [{**PASSED, "id": str(n), "seconds": s} for n, s in enumerate(("x", None, -1, [2]))]
    report = read_events([lines(START, *bad)])
    assert report is not None
    assert [result.seconds for result in report.tests.values()] == [0, 0, 0, 0]


def test_a_test_that_is_run_again_has_its_last_result() -> None:
    begin = {"event": "begin", "id": "a.py::t"}
    failed = {**PASSED, "outcome": "failed", "failure": {"error": "E"}}
    report = read_events([lines(START, begin, failed, begin, PASSED)])
    assert report is not None
    assert report.tests["a.py::t"].status is Status.PASSED


def test_a_failure_outweighs_a_fixture_that_failed_after_it() -> None:
    failed = {**PASSED, "outcome": "failed", "failure": {"error": "first"}}
    late = {**PASSED, "when": "teardown", "outcome": "failed", "failure": {"error": "second"}}
    report = read_events([lines(START, failed, late)])
    assert report is not None
    result = report.tests["a.py::t"]
    assert result.status is Status.FAILED
    assert result.failure is not None
    assert result.failure.error == "first"
    assert result.seconds == 2


def test_paths_outside_the_tree_stay_as_they_are() -> None:
    failure = {"error": "E", "path": "/workspaces/x.py", "line": 3}
    failed = {**PASSED, "outcome": "failed", "failure": failure}
    report = read_events([lines(START, failed)])
    assert report is not None
    found = report.tests["a.py::t"].failure
    assert found is not None
    assert found.at == "/workspaces/x.py:3"
