"""Whether a commit is good or bad, or cannot be told to be either."""

from dataclasses import dataclass

from debug_mcp.models.bisections import Judgement, StepView
from debug_mcp.models.commands import Outcome
from debug_mcp.service.evidence_steps import Ran
from debug_mcp.testreports.model import Report, Status

# As for `git bisect run`: the command itself says that a commit cannot be tested.
CANNOT_BE_TESTED = 125
# pytest: wrong usage (no such test), nothing collected.
_NO_SUCH_TEST = (4, 5)
_BY_ITSELF = (Outcome.SUCCEEDED, Outcome.FAILED)
_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Judged:
    """What was found at a commit."""

    commit: str
    judgement: Judgement
    why: str | None = None
    ran: Ran | None = None

    @property
    def view(self) -> StepView:
        """The step as callers see it."""
        command = None if self.ran is None else self.ran.command
        return StepView(
            commit=self.commit[:_SHOWN],
            judgement=self.judgement,
            why=self.why,
            command_id=None if command is None else command.id,
            seconds=None if command is None else command.elapsed_seconds,
        )


def judge(commit: str, ran: Ran, test: str | None) -> Judged:
    """Judge a commit by a run, or by the end of one test in it."""
    why = _why_not(ran)
    if why is not None:
        return Judged(commit, "skipped", why, ran)
    if test is None:
        good = ran.command.exit_code == 0
        return Judged(commit, "good" if good else "bad", None, ran)
    return _by_test(commit, ran, test)


def _by_test(commit: str, ran: Ran, test: str) -> Judged:
    report = ran.report or Report("pytest", complete=False)
    result = report.tests.get(test)
    if result is not None and result.status is Status.PASSED:
        return Judged(commit, "good", None, ran)
    if result is not None and result.status in (Status.FAILED, Status.ERROR):
        error = None if result.failure is None else result.failure.error.partition("\n")[0]
        return Judged(commit, "bad", error, ran)
    if report.current == test and not report.complete:
        return Judged(commit, "bad", "the run ended in the test", ran)
    why = "the test did not run" if result is None else f"the test was {result.status}"
    return Judged(commit, "skipped", why, ran)


def _why_not(ran: Ran) -> str | None:
    """Return why a run says nothing."""
    command, report = ran.command, ran.report
    if command.outcome not in _BY_ITSELF:
        return str(command.outcome)
    if command.exit_code == CANNOT_BE_TESTED:
        return f"exit code {CANNOT_BE_TESTED}"
    if report is None:
        return None
    if report.uncollected:
        return f"{next(iter(report.uncollected))} could not be collected"
    if report.source == "pytest" and not report.tests and command.exit_code in _NO_SUCH_TEST:
        return "there is no such test"
    return None
