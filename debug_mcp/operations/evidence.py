"""Operations that show what a change does."""

from debug_mcp.auth.principal import Scope
from debug_mcp.models.bisections import BisectRun, BisectView
from debug_mcp.models.comparisons import CompareRun, CompareView
from debug_mcp.models.flakiness import FlakyRun, FlakyView
from debug_mcp.operations.registry import Call, Route, operation


@operation(
    scope=Scope.COMMAND_RUN,
    also=(Scope.REPOSITORY_READ, Scope.SESSION_READ, Scope.SESSION_WRITE),
    further={"a URL or a path as `repository`": Scope.REPOSITORY_WRITE},
    routes=(
        Route("POST", "/comparisons", creates="/comparisons/{compare_id}", without=("compare_id",)),
        Route(
            "GET",
            "/comparisons/{compare_id}",
            defaults={"wait_seconds": 0},
            without=tuple(CompareRun.model_fields.keys() - {"compare_id", "wait_seconds"}),
        ),
    ),
    title="Compare a patch with its base",
    destructive=True,
    open_world=True,
)
async def compare_run(call: Call, args: CompareRun) -> CompareView:
    """Run the same tests on base and head, each in a session, and show which tests flipped.

    A session's own work is head: session_id. What flips is run again before it is reported.
    """
    return await call.services.comparisons.run(call.principal, args)


@operation(
    scope=Scope.COMMAND_RUN,
    also=(Scope.REPOSITORY_READ, Scope.SESSION_READ, Scope.SESSION_WRITE),
    routes=(
        Route("POST", "/flaky-runs", creates="/flaky-runs/{flaky_id}", without=("flaky_id",)),
        Route(
            "GET",
            "/flaky-runs/{flaky_id}",
            defaults={"wait_seconds": 0},
            without=tuple(FlakyRun.model_fields.keys() - {"flaky_id", "wait_seconds"}),
        ),
    ),
    title="Repeat tests to find the flaky ones",
    destructive=True,
    open_world=True,
)
async def flaky_run(call: Call, args: FlakyRun) -> FlakyView:
    """Repeat a command on a session's work, each time in a copy: pass rate per test."""
    return await call.services.flakiness.run(call.principal, args)


@operation(
    scope=Scope.COMMAND_RUN,
    also=(Scope.REPOSITORY_READ, Scope.SESSION_READ, Scope.SESSION_WRITE),
    further={"a URL or a path as `repository`": Scope.REPOSITORY_WRITE},
    routes=(
        Route("POST", "/bisections", creates="/bisections/{bisect_id}", without=("bisect_id",)),
        Route(
            "GET",
            "/bisections/{bisect_id}",
            defaults={"wait_seconds": 0},
            without=tuple(BisectRun.model_fields.keys() - {"bisect_id", "wait_seconds"}),
        ),
    ),
    title="Find the commit that broke something",
    destructive=True,
    open_world=True,
)
async def bisect_run(call: Call, args: BisectRun) -> BisectView:
    """Find the first commit where a test or command fails; exit 125 skips."""
    return await call.services.bisections.run(call.principal, args)
