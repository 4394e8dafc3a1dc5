"""How often tests passed in many runs of the same, and how sure that is."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from debug_mcp.testreports.model import Failure, Report, Status

# Of the normal distribution: 95 % lie within so many deviations.
Z = 1.959964


@dataclass(slots=True)
class Rate:
    """How often one test passed and failed; ``first`` is the lowest run in which it failed."""

    passed: int = 0
    failed: int = 0
    first: int | None = None
    failure: Failure | None = None

    @property
    def runs(self) -> int:
        """How often it came to an end that counts: skipped is none."""
        return self.passed + self.failed

    def count_failure(self, run: int, failure: Failure) -> None:
        """Count a failure, and keep that of the lowest run."""
        self.failed += 1
        if self.first is None or run < self.first:
            self.first, self.failure = run, failure


def interval(passed: int, runs: int) -> tuple[float, float]:
    """Return the bounds between which the true rate lies with 95 % confidence.

    Wilson's score interval (E. B. Wilson, "Probable inference, the law of succession, and
    statistical inference", JASA 22, 1927): unlike the one from the normal approximation it says
    something for few runs and for rates of 0 and 1, as L. D. Brown, T. T. Cai and A. DasGupta
    show ("Interval estimation for a binomial proportion", Statistical Science 16, 2001).
    """
    if runs == 0:
        return 0.0, 1.0
    rate, spread = passed / runs, Z * Z / runs
    middle = (rate + spread / 2) / (1 + spread)
    half = Z / (1 + spread) * math.sqrt(rate * (1 - rate) / runs + spread / (4 * runs))
    return max(middle - half, 0.0), min(middle + half, 1.0)


class Rates:
    """The rates of all tests, run by run; each run is counted and not kept."""

    def __init__(self) -> None:
        self._rates: dict[str, Rate] = {}
        self._collected: dict[str, int] = {}
        self._uncollected: set[str] = set()

    def take(self, run: int, report: Report, ended: str) -> None:
        """Count a run, and how it ended: where that was in mid-test, the test failed."""
        for name, failure in report.uncollected.items():
            self._uncollected.add(name)
            self._rate(name).count_failure(run, failure)
        for name, result in report.tests.items():
            if result.status is Status.PASSED:
                self._rate(name).passed += 1
            elif result.status in (Status.FAILED, Status.ERROR):
                failure = result.failure or Failure("failed without a word")
                self._rate(name).count_failure(run, failure)
        if report.current is not None and not report.complete:
            failure = Failure(f"did not end: the run {ended} in it")
            self._rate(report.current).count_failure(run, failure)
        for path in {name.partition("::")[0] for name in report.tests} - report.uncollected.keys():
            self._collected[path] = self._collected.get(path, 0) + 1

    def all(self) -> Mapping[str, Rate]:
        """Return the rates by test; a file that could not be collected is one, too."""
        for path in self._uncollected:
            self._rates[path].passed = self._collected.get(path, 0)
        return dict(sorted(self._rates.items()))

    def _rate(self, name: str) -> Rate:
        return self._rates.setdefault(name, Rate())
