"""What every reader of test results returns, wherever they come from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal


class Status(StrEnum):
    """How a test ended. ``ERROR``: one of its fixtures failed, not the test itself."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"
    XFAILED = "xfailed"
    XPASSED = "xpassed"


# A test has several results: of its fixtures, of itself, of subtests. The highest one stands.
RANK = {
    status: rank
    for rank, status in enumerate(
        (
            Status.PASSED,
            Status.XPASSED,
            Status.SKIPPED,
            Status.XFAILED,
            Status.ERROR,
            Status.FAILED,
        )
    )
}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a test failed: ``path`` is relative to the tree, ``code`` the line that failed."""

    error: str
    path: str | None = None
    line: int | None = None
    code: str | None = None

    @property
    def at(self) -> str | None:
        """``path:line``, where they are known."""
        return None if self.path is None else f"{self.path}:{self.line}"

    @property
    def kind(self) -> str:
        """The type of the exception, or what stands before the first colon."""
        return self.error.partition("\n")[0].partition(":")[0].strip()


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one test. ``seconds`` counts its fixtures."""

    status: Status
    seconds: float = 0.0
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """The tests of one command.

    ``tests`` by id, relative to the tree's root; the last result of each. ``uncollected`` are the
    files that could not be collected. ``collected`` is how many tests its runs found, where they
    said so; ``current`` is the test that runs, or ran when its run was killed; ``current_since`` is
    when it began, for readers that know.
    """

    source: Literal["pytest", "junit"]
    complete: bool
    tests: Mapping[str, Result] = field(default_factory=dict)
    uncollected: Mapping[str, Failure] = field(default_factory=dict)
    collected: int | None = None
    current: str | None = None
    current_since: datetime | None = None

    def count(self, status: Status) -> int:
        """Return how many tests ended so."""
        return sum(result.status is status for result in self.tests.values())
