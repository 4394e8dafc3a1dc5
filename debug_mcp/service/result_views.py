"""What a caller is shown of test results: counts, then failures grouped by cause."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import islice

from debug_mcp.models.results import FailureGroup, ResultsView, SlowTest
from debug_mcp.testreports.model import Failure, Report, Status

GROUPS = 10
TESTS_IN_GROUP = 5
ERROR_CHARACTERS = 400
_SLOW_SECONDS = 1.0
_SLOWEST = 3


def results_view(report: Report, ended_at: datetime) -> ResultsView:
    """Return the view of a report, at most about 6,000 characters.

    Args:
        report: What the tests said.
        ended_at: When the command ended, or now.

    Failures with one place and one type of exception have one cause more often than not: on a
    real suite four failures of two causes repeated 64 % of their text.
    """
    groups = _groups(dict(_failures(report)))
    shown = tuple(_group(failures) for failures in islice(groups.values(), GROUPS))
    failed = report.count(Status.FAILED)
    going_on = not report.complete
    return ResultsView(
        source=report.source,
        complete=report.complete,
        done=len(report.tests) if going_on else None,
        collected=report.collected if going_on else None,
        passed=report.count(Status.PASSED),
        failed=failed,
        errors=report.count(Status.ERROR) or None,
        skipped=report.count(Status.SKIPPED) or None,
        xfailed=report.count(Status.XFAILED) or None,
        xpassed=report.count(Status.XPASSED) or None,
        collection_errors=len(report.uncollected) or None,
        seconds=sum(result.seconds for result in report.tests.values()),
        current=report.current,
        current_seconds=current_seconds(report, ended_at),
        failures=shown,
        more_groups=len(groups) - len(shown) or None,
        slowest=_slowest(report),
    )


def current_seconds(report: Report, ended_at: datetime) -> float | None:
    """Return for how long the test had been running that was running at the end."""
    began = report.current_since
    return None if began is None else max((ended_at - began).total_seconds(), 0)


_Failures = dict[str, Failure]


def failure_groups(failures: Mapping[str, Failure]) -> list[FailureGroup]:
    """Return failures grouped by cause."""
    return [_group(group) for group in _groups(failures).values()]


def _groups(found: Mapping[str, Failure]) -> Mapping[tuple[str | None, str], _Failures]:
    """Return the failures by place and type of exception, each by its test, in order."""
    groups: dict[tuple[str | None, str], _Failures] = {}
    for name, failure in found.items():
        groups.setdefault((failure.at, failure.kind), {})[name] = failure
    return groups


def _failures(report: Report) -> Iterable[tuple[str, Failure]]:
    yield from report.uncollected.items()
    for name, result in report.tests.items():
        if result.status in (Status.FAILED, Status.ERROR):
            yield name, result.failure or Failure("failed without a word")


def first_failure(report: Report) -> str | None:
    """Return the id of the first test that failed, or of a file that could not be collected."""
    return next((name for name, _ in _failures(report)), None)


def _group(failures: _Failures) -> FailureGroup:
    first = next(iter(failures.values()))
    names = tuple(islice(failures, TESTS_IN_GROUP))
    return FailureGroup(
        at=first.at,
        code=first.code,
        error=_cut(first.error),
        tests=names,
        more=len(failures) - len(names) or None,
    )


def _cut(error: str) -> str:
    return error if len(error) <= ERROR_CHARACTERS else error[: ERROR_CHARACTERS - 1] + "…"


def _slowest(report: Report) -> tuple[SlowTest, ...]:
    slow = [
        SlowTest(test=name, seconds=result.seconds)
        for name, result in report.tests.items()
        if result.seconds >= _SLOW_SECONDS
    ]
    return tuple(sorted(slow, key=lambda test: -test.seconds)[:_SLOWEST])
