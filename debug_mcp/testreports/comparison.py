"""Which tests ended otherwise on one side than on the other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from debug_mcp.testreports.model import Failure, Report, Result, Status

_FAILING = (Status.FAILED, Status.ERROR)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Tests by id; each stands in one member at most, but for new ones that fail at once."""

    newly_failing: Mapping[str, Failure] = field(default_factory=dict)
    newly_passing: tuple[str, ...] = ()
    still_failing: Mapping[str, tuple[Failure, Failure]] = field(default_factory=dict)
    still_passing: int = 0
    only_in_base: tuple[str, ...] = ()
    only_in_head: tuple[str, ...] = ()
    unstable: tuple[str, ...] = ()

    @property
    def flips(self) -> tuple[str, ...]:
        """The tests whose end changed."""
        return (*self.newly_failing, *self.newly_passing)

    @property
    def error_changed(self) -> dict[str, tuple[str, str]]:
        """The tests that fail on both sides, with the first line of each error where it differs."""
        firsts = {
            name: (_first(before.error), _first(after.error))
            for name, (before, after) in self.still_failing.items()
        }
        return {name: pair for name, pair in firsts.items() if pair[0] != pair[1]}


def compare(base: Sequence[Report], head: Sequence[Report]) -> Comparison:
    """Compare the runs of two sides.

    Where a run leaves a test out, the others count; the first run of each side has all of them.
    """
    before, after = _Side(base), _Side(head)
    unstable = before.unstable | after.unstable
    newly_failing, still_failing, newly_passing, still_passing = {}, {}, [], 0
    for name, failure in after.failing.items():
        if name in unstable:
            continue
        if name in before.failing:
            still_failing[name] = (before.failing[name], failure)
        else:
            newly_failing[name] = failure
    for name in after.passing - unstable:
        if name in before.failing:
            newly_passing.append(name)
        else:
            still_passing += name in before.passing
    return Comparison(
        newly_failing=newly_failing,
        newly_passing=tuple(sorted(newly_passing)),
        still_failing=still_failing,
        still_passing=still_passing,
        only_in_base=tuple(sorted(before.names - after.names - after.hidden(before.names))),
        only_in_head=tuple(sorted(after.names - before.names - before.hidden(after.names))),
        unstable=tuple(sorted(unstable)),
    )


class _Side:
    """All runs of one side together."""

    def __init__(self, runs: Sequence[Report]) -> None:
        self.failing: dict[str, Failure] = {}
        self.passing: set[str] = set()
        self.names: set[str] = set()
        self.uncollected: set[str] = set()
        for run in runs:
            self._take(run)
        self.unstable = self.passing & self.failing.keys()

    def _take(self, run: Report) -> None:
        for name, failure in run.uncollected.items():
            self.failing[name] = failure
            self.names.add(name)
            self.uncollected.add(name)
        for name, result in run.tests.items():
            self.names.add(name)
            if result.status in _FAILING:
                self.failing[name] = _failure(result)
            elif result.status is Status.PASSED:
                self.passing.add(name)

    def hidden(self, names: set[str]) -> set[str]:
        """Return those of some tests whose file could not be collected on this side."""
        return {name for name in names if name.partition("::")[0] in self.uncollected}


def _failure(result: Result) -> Failure:
    return result.failure or Failure("failed without a word")


def _first(error: str) -> str:
    return error.partition("\n")[0]
