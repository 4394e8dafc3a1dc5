"""What a caller is shown of a flaky run."""

from collections.abc import Mapping

from debug_mcp.errors import NextCall
from debug_mcp.models.commands import Command, Outcome
from debug_mcp.models.evidence import EvidenceRow, EvidenceState
from debug_mcp.models.flakiness import FlakyAsked, FlakyTest, FlakyView, RunsView, Verdict
from debug_mcp.service.result_views import ERROR_CHARACTERS, failure_groups
from debug_mcp.testreports.flakiness import Rate, interval
from debug_mcp.testreports.model import Failure

SHOWN = 50
SHUFFLE = "DEBUG_MCP_SHUFFLE"


def seed(row: EvidenceRow, number: int) -> str:
    """Return what the order of the tests of one run is made from."""
    return f"{row.id}-{number}"


def runs_view(asked: FlakyAsked, commands: Mapping[int, Command]) -> RunsView:
    """Return how the command ended in the runs that are done."""
    done = len(commands)
    succeeded = sum(each.outcome is Outcome.SUCCEEDED for each in commands.values())
    seconds = sum(each.elapsed_seconds or 0 for each in commands.values())
    return RunsView(
        asked=asked.repeats,
        done=done,
        succeeded=succeeded,
        failed=done - succeeded,
        success_rate=succeeded / done if done else None,
        interval=interval(succeeded, done) if done else None,
        seconds=seconds / done if done else None,
    )


def going_on(row: EvidenceRow) -> FlakyView:
    """Return the view of a flaky run that is not done yet."""
    waiting: NextCall = {"tool": "flaky_run", "arguments": {"flaky_id": row.id}}
    runs = RunsView.model_validate(row.progress) if row.progress else None
    return FlakyView(flaky_id=row.id, state=row.state, runs=runs, next=waiting)


def flaky_view(
    row: EvidenceRow,
    asked: FlakyAsked,
    commands: Mapping[int, Command],
    rates: Mapping[str, Rate],
) -> FlakyView:
    """Return the view of a flaky run that is done."""
    runs = runs_view(asked, commands)
    unstable = {name: rate for name, rate in rates.items() if rate.passed and rate.failed}
    failing = {
        name: rate.failure or Failure("failed")
        for name, rate in rates.items()
        if rate.failed and not rate.passed
    }
    groups = failure_groups(failing)
    tests = [_test(row, asked, commands, *pair) for pair in list(unstable.items())[:SHOWN]]
    left = {"unstable": len(unstable) - SHOWN, "always_failing": len(groups) - SHOWN}
    return FlakyView(
        flaky_id=row.id,
        state=EvidenceState.FINISHED,
        verdict=_verdict(runs, unstable=bool(unstable), failing=bool(failing)),
        runs=runs,
        unstable=tuple(tests),
        always_failing=tuple(groups[:SHOWN]),
        always_passing=sum(not rate.failed for rate in rates.values()) if rates else None,
        more={name: count for name, count in left.items() if count > 0},
        hint=_hint(asked, runs, rates, commands),
        next=_next(asked, tests, failing),
    )


def _test(
    row: EvidenceRow, asked: FlakyAsked, commands: Mapping[int, Command], name: str, rate: Rate
) -> FlakyTest:
    failure, first = rate.failure or Failure("failed"), rate.first or 0
    return FlakyTest(
        test=name,
        passed=rate.passed,
        failed=rate.failed,
        pass_rate=rate.passed / rate.runs,
        interval=interval(rate.passed, rate.runs),
        at=failure.at,
        code=failure.code,
        error=failure.error[:ERROR_CHARACTERS],
        command_id=commands[first].id,
        seed=seed(row, first) if asked.random_order else None,
    )


def _verdict(runs: RunsView, *, unstable: bool, failing: bool) -> Verdict:
    if unstable or (runs.succeeded and runs.failed):
        return "flaky"
    if failing:
        return "failing"
    return "stable" if runs.succeeded else "inconclusive"


def _hint(
    asked: FlakyAsked,
    runs: RunsView,
    rates: Mapping[str, Rate],
    commands: Mapping[int, Command],
) -> str | None:
    if runs.failed and not any(rate.failed for rate in rates.values()):
        first = min(n for n, each in commands.items() if each.outcome is not Outcome.SUCCEEDED)
        why = f"no test is known to have failed: command {commands[first].id} has the output"
        return why if rates else f"there are no test results; {why}"
    if not runs.failed:
        most = 100 * (1 - interval(runs.done, runs.done)[0])
        return (
            f"nothing failed in {runs.done} runs: with 95 % confidence nothing does so in more "
            f"than {most:.0f} % of them"
        )
    if asked.random_order and any(rate.passed and rate.failed for rate in rates.values()):
        return f"the same order again: command_run with env {{{SHUFFLE}: seed}}"
    return None


def _next(
    asked: FlakyAsked, tests: list[FlakyTest], failing: Mapping[str, Failure]
) -> NextCall | None:
    """Return the output of the first failure that comes and goes; a steady one is stopped in."""
    if tests:
        arguments: dict[str, object] = {"command_id": tests[0].command_id, "mode": "errors"}
        return {"tool": "command_output", "arguments": arguments}
    if failing:
        arguments = {"session_id": asked.session_id, "test": next(iter(failing))}
        return {"tool": "debug_run", "arguments": arguments}
    return None
