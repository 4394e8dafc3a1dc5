"""Results: what the tests of a command said, grouped by cause."""

from typing import Literal

from pydantic import Field

from debug_mcp.models.base import Seconds, View

Source = Literal["pytest", "junit"]


class FailureGroup(View):
    """Failures at one place with one type of exception.

    ``error`` is the first one's. ``tests`` are exact ids, cut to the first few; ``more`` counts
    the rest.
    """

    at: str | None = None
    code: str | None = None
    error: str
    tests: tuple[str, ...]
    more: int | None = None


class SlowTest(View):
    """A test that took long."""

    test: str
    seconds: Seconds


class ResultsView(View):
    """The tests of a command. Each test counts once; its last result stands.

    ``complete``: every run ended and ran what it collected. ``errors`` are tests whose fixtures
    failed; ``collection_errors`` are files that could not be collected. Absent counts are zero.
    """

    source: Source = Field(serialization_alias="from")
    complete: bool
    done: int | None = None
    collected: int | None = None
    passed: int
    failed: int
    errors: int | None = None
    skipped: int | None = None
    xfailed: int | None = None
    xpassed: int | None = None
    collection_errors: int | None = None
    seconds: Seconds | None = None
    current: str | None = None
    current_seconds: Seconds | None = None
    failures: tuple[FailureGroup, ...] = ()
    more_groups: int | None = None
    slowest: tuple[SlowTest, ...] = ()
