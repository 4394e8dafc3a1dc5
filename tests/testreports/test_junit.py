"""Reading JUnit files of several runners, and refusing what is none."""

import subprocess
import sys
from pathlib import Path

import pytest

from debug_mcp.testreports.junit import Unreadable, read_junit
from debug_mcp.testreports.model import Status


def test_pytests_own_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "def test_a(): pass\n"
        "def test_b(): assert 1 == 2\n"
        "def test_c(): pytest.skip('no')\n"
        "def test_d(nothing): pass\n"
    )
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--junitxml=junit.xml"],
        cwd=tmp_path,
        capture_output=True,
    )
    report = read_junit((tmp_path / "junit.xml").read_bytes())
    assert {name: str(result.status) for name, result in report.tests.items()} == {
        "test_it::test_a": "passed",
        "test_it::test_b": "failed",
        "test_it::test_c": "skipped",
        "test_it::test_d": "error",
    }
    failure = report.tests["test_it::test_b"].failure
    assert failure is not None
    assert failure.error == "assert 1 == 2"


def test_a_single_suite_nested_suites_and_places_are_read() -> None:
    one = b"""<testsuite name="s"><testcase name="n" time="0.25" file="src/a.c" line="12">
        <failure type="Mismatch" message="3 is not 4"/></testcase></testsuite>"""
    report = read_junit(one)
    result = report.tests["n"]
    assert (result.status, result.seconds) == (Status.FAILED, 0.25)
    assert result.failure is not None
    assert (result.failure.at, result.failure.error) == ("src/a.c:12", "Mismatch: 3 is not 4")

    inner = b'<testsuite name="b"><testcase classname="c" name="n"/></testsuite>'
    nested = b"<testsuites><testsuite>" + inner + b"</testsuite></testsuites>"
    assert list(read_junit(nested).tests) == ["c::n"]


def test_a_time_that_is_no_number_does_not_lose_the_test() -> None:
    report = read_junit(b'<testsuite><testcase name="n" time="soon"/></testsuite>')
    assert report.tests["n"].seconds == 0


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<testsuite>",
        b"<html/>",
        b"\x00\x01",
        b'<!DOCTYPE x [<!ENTITY a "b">]><testsuite/>',
        b"<testsuite>" * 5000 + b"</testsuite>" * 5000,
    ],
)
def test_what_is_no_report_is_refused(content: bytes) -> None:
    with pytest.raises(Unreadable):
        read_junit(content)
