"""Pass rates over many runs, and how sure they are."""

import pytest

from debug_mcp.testreports.flakiness import Rates, interval
from debug_mcp.testreports.model import Failure, Report, Result, Status


def report(**statuses: Status) -> Report:
    tests = {
        f"test_x.py::{name}": Result(status, failure=_failure(name, status))
        for name, status in statuses.items()
    }
    return Report("pytest", complete=True, tests=tests)


def _failure(name: str, status: Status) -> Failure | None:
    return Failure(f"E: {name}") if status in (Status.FAILED, Status.ERROR) else None


@pytest.mark.parametrize(
    ("passed", "runs", "low", "high"),
    [
        # Worked out with statsmodels' proportion_confint(method="wilson").
        (10, 10, 0.7225, 1.0),
        (0, 10, 0.0, 0.2775),
        (8, 10, 0.4902, 0.9433),
        (80, 100, 0.7112, 0.8666),
        (0, 0, 0.0, 1.0),
    ],
)
def test_the_interval_is_wilson_s(passed: int, runs: int, low: float, high: float) -> None:
    assert interval(passed, runs) == pytest.approx((low, high), abs=1e-4)


def test_a_test_is_counted_where_it_ended() -> None:
    rates = Rates()
    rates.take(1, report(a=Status.FAILED, b=Status.SKIPPED), "failed")
    rates.take(0, report(a=Status.ERROR, b=Status.PASSED), "failed")
    rates.take(2, report(a=Status.PASSED, b=Status.XFAILED), "succeeded")
    found = rates.all()
    assert (found["test_x.py::a"].passed, found["test_x.py::a"].failed) == (1, 2)
    assert (found["test_x.py::b"].passed, found["test_x.py::b"].failed) == (1, 0)


def test_the_failure_of_the_lowest_run_stands_whichever_ended_first() -> None:
    rates = Rates()
    for number in (3, 1, 2):
        failed = Result(Status.FAILED, failure=Failure(f"run {number}"))
        rates.take(number, Report("pytest", complete=True, tests={"a": failed}), "failed")
    rate = rates.all()["a"]
    assert (rate.first, rate.failure) == (1, Failure("run 1"))


def test_a_file_that_is_collected_at_times_is_unstable() -> None:
    rates = Rates()
    broken = {"test_x.py": Failure("ImportError")}
    rates.take(0, report(a=Status.PASSED), "succeeded")
    rates.take(1, Report("pytest", complete=True, uncollected=broken), "failed")
    rate = rates.all()["test_x.py"]
    assert (rate.passed, rate.failed) == (1, 1)


def test_the_test_in_which_a_run_was_cut_short_failed() -> None:
    rates = Rates()
    hung = Report("pytest", complete=False, current="test_x.py::hangs")
    rates.take(0, hung, "timed_out")
    rates.take(1, report(hangs=Status.PASSED), "succeeded")
    rate = rates.all()["test_x.py::hangs"]
    assert (rate.passed, rate.failed) == (1, 1)
    assert rate.failure == Failure("did not end: the run timed_out in it")
