"""The list of expected misses is read whole; the suite itself runs with ``make conformance``."""

import pytest

from tests.conformance.__main__ import EXPECTED, RUNS, read_expected


def test_reasons_are_read_by_run_and_check() -> None:
    text = "# why\n\nfirst run:\n  scenario/check: a reason: with a colon\n"
    assert read_expected(text) == {"first run": {"scenario/check": "a reason: with a colon"}}


def test_a_miss_without_a_reason_is_not_read() -> None:
    with pytest.raises(ValueError, match="not understood"):
        read_expected("first run:\n  scenario/check:\n")


def test_misses_are_listed_for_runs_that_there_are() -> None:
    assert read_expected(EXPECTED.read_text()).keys() <= {run.name for run in RUNS}
