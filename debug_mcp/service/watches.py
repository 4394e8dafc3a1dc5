"""What a wait can look for beside the end: something in the output, or a test that fails."""

from pathlib import Path
from typing import Protocol

from debug_mcp.errors import InvalidInput
from debug_mcp.models.commands import Command, UntilView
from debug_mcp.runner import output, search
from debug_mcp.runner.patterns import Pattern
from debug_mcp.service.reports import News, read_report
from debug_mcp.testreports.model import Report, Status

FAILURE = "failure"
_FAILING = (Status.FAILED, Status.ERROR)


class Watch(Protocol):
    """Looks for something in what a command leaves; reads files, so call it in a thread."""

    def grown(self) -> bool:
        """Return whether there may be more to look at than at the last look."""

    def look(self) -> tuple[UntilView | None, bool]:
        """Return what was found, and whether there is more to look at now."""

    @property
    def searched_to(self) -> int | None:
        """Everything in the output before is searched, where the output is what is searched."""


def check_until(until: str | None, *, report: bool) -> None:
    """Refuse what cannot be waited for.

    Raises:
        InvalidInput: The pattern is malformed, or there will be no test results to look at.
    """
    if until == FAILURE and not report:
        raise InvalidInput(
            "until 'failure' looks at test results, and report: false turns them off; the word "
            "itself is re:failure",
            field="until",
        )
    if until is not None and until != FAILURE:
        Pattern(until, "until")


def watch_for(until: str | None, command: Command, directory: Path, since: int) -> Watch | None:
    """Return what looks for ``until``, in the output from ``since`` on or in the test results.

    Raises:
        InvalidInput: As ``check_until`` says.
    """
    check_until(until, report=command.request.report)
    if until is None:
        return None
    if until == FAILURE:
        return FailureWatch(directory)
    return OutputWatch(directory / "output", until, since)


class OutputWatch:
    """Looks for a text or a pattern in the output."""

    def __init__(self, path: Path, until: str, since: int) -> None:
        self._path = path
        self._watch = search.Watch(path, Pattern(until, "until"), since)

    def grown(self) -> bool:
        """Return whether the output is longer than what was looked at."""
        return output.size(self._path) > self._watch.size

    def look(self) -> tuple[UntilView | None, bool]:
        """Look at one window of the output."""
        hit, more = self._watch.look()
        if hit is None:
            return None, more
        return UntilView(by="match", offset=hit.offset, text=hit.text), more

    @property
    def searched_to(self) -> int | None:
        """How far it looked."""
        return self._watch.offset


class FailureWatch:
    """Looks for the first test that fails.

    All results are read only when the new ones speak of a failure: a large suite writes megabytes.
    """

    searched_to: int | None = None

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._news = News(directory)

    def grown(self) -> bool:
        """Return whether results came; the next look tells which."""
        return True

    def look(self) -> tuple[UntilView | None, bool]:
        """Look at the results that came since the last look."""
        if not self._news.mention((b'"failed"', b'"uncollected"')):
            return None, False
        report = read_report(self._directory)
        return (None if report is None else _first_failure(report)), False


def _first_failure(report: Report) -> UntilView | None:
    for name in report.uncollected:
        return UntilView(by="match", test=name)
    for name, result in report.tests.items():
        if result.status in _FAILING:
            return UntilView(by="match", test=name)
    return None
