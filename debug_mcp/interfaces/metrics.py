"""``/metrics``: numbers for Prometheus, of this server and of its data directory.

What happens is counted when it is over, in memory; what there is, is counted when somebody asks.
No label holds a name, an id or anything else that a caller chose.
"""

from collections.abc import Callable, Iterable, Mapping

import anyio
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from debug_mcp import __version__
from debug_mcp.auth.principal import Principal, Scope
from debug_mcp.errors import DebugMcpError
from debug_mcp.interfaces.problems import problem
from debug_mcp.models.audit import Entry
from debug_mcp.models.commands import CommandState
from debug_mcp.models.repositories import RepositoryState
from debug_mcp.models.sessions import SessionState
from debug_mcp.service.load import LoadSeen
from debug_mcp.service.observers import Found, SeenEnd
from debug_mcp.service.services import Services

METRICS_PATH = "/metrics"
# A cheap call takes a millisecond; a wait takes at most 50 s.
_CALLS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50)
_RUNS = (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 600, 1800, 3600, 4 * 3600, 24 * 3600)
_QUEUES = (0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 600, 3600)
_UNAUTHORIZED = 401


class Metrics:
    """All numbers of one server, in a registry of their own: nothing here is global."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        info = Gauge("debug_mcp_info", "1, and which version.", ["version"], registry=registry)
        info.labels(__version__).set(1)
        self._calls = Histogram(
            "debug_mcp_call_seconds",
            "Calls over every way in, waits included.",
            ["operation", "outcome"],
            buckets=_CALLS,
            registry=registry,
        )
        self._runs = Histogram(
            "debug_mcp_command_run_seconds",
            "How long commands ran that this server saw end.",
            ["kind", "outcome"],
            buckets=_RUNS,
            registry=registry,
        )
        self._queues = Histogram(
            "debug_mcp_command_queue_seconds",
            "How long they waited before.",
            ["kind"],
            buckets=_QUEUES,
            registry=registry,
        )
        self._responses = Counter(
            "debug_mcp_http_responses", "HTTP responses.", ["status"], registry=registry
        )
        self._failures = Counter(
            "debug_mcp_token_failures", "Requests without a valid token.", registry=registry
        )
        self._looks = Counter(
            "debug_mcp_pool_looks",
            "Sessions that looked for a prepared tree, by what they found.",
            ["found"],
            registry=registry,
        )
        for found in Found:
            self._looks.labels(found)
        self._open = Gauge(
            "debug_mcp_http_open", "Requests under way.", ["kind"], registry=registry
        )
        self._count_open: Callable[[], Mapping[str, int]] = dict
        self._gauges = _Gauges(registry)
        services.observers.at_each_call(self._called)
        services.observers.at_each_end(self._ended)
        services.observers.at_each_look_for_a_tree(self._looked)

    def count_open(self, count: Callable[[], Mapping[str, int]]) -> None:
        """Have the requests that are under way counted by this, by their kind."""
        self._count_open = count

    def answered(self, status: int) -> None:
        """Count a response."""
        self._responses.labels(str(status)).inc()
        if status == _UNAUTHORIZED:
            self._failures.inc()

    async def page(self, accept: str) -> tuple[bytes, str]:
        """Return the numbers as they are now, and the type in which they are written."""
        self._gauges.set(await self._services.load.look())
        for kind, number in self._count_open().items():
            self._open.labels(kind).set(number)
        encode, media_type = choose_encoder(accept)
        return await anyio.to_thread.run_sync(encode, self._registry), media_type

    def _called(self, call: Entry) -> None:
        self._calls.labels(call.operation, call.outcome).observe(call.seconds)

    def _looked(self, found: Found) -> None:
        self._looks.labels(found).inc()

    def _ended(self, end: SeenEnd) -> None:
        kind = end.command.kind
        self._runs.labels(kind, end.outcome).observe(end.run_seconds)
        self._queues.labels(kind).observe(end.queue_seconds)


class _Gauges:
    """What there is in the data directory, which other servers may share."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, what: str, labels: tuple[str, ...] = ()) -> Gauge:
            return Gauge(f"debug_mcp_{name}", what, labels, registry=registry)

        self._commands = gauge("commands", "Commands that have not ended.", ("state",))
        self._sessions = gauge("sessions", "Sessions.", ("state",))
        self._repositories = gauge("repositories", "Repositories.", ("state",))
        self._trees = gauge("pool_trees", "Trees prepared for sessions to come.")
        self._tree_bytes = gauge("pool_bytes", "Disk that they take.")
        self._ledger = gauge("store_bytes", "Size of the ledger.")
        self._free = gauge("disk_free_bytes", "Disk that is free for the data directory.")

    def set(self, seen: LoadSeen) -> None:
        unfinished = [state for state in CommandState if state is not CommandState.FINISHED]
        _set(self._commands, unfinished, seen.commands)
        _set(self._sessions, list(SessionState), seen.sessions)
        _set(self._repositories, list(RepositoryState), seen.repositories)
        self._trees.set(seen.prepared_trees)
        self._tree_bytes.set(seen.prepared_bytes)
        self._ledger.set(seen.ledger_bytes)
        self._free.set(seen.free_bytes)


def _set(gauge: Gauge, states: Iterable[str], numbers: Mapping[str, int]) -> None:
    for state in states:  # those without any too: a graph without zeros misleads
        gauge.labels(state).set(numbers.get(state, 0))


def metrics_routes(
    metrics: Metrics, principal_of: Callable[[], Principal | None]
) -> list[BaseRoute]:
    """Return the route.

    Args:
        metrics: What is shown.
        principal_of: Says who asks; None where everybody may.
    """

    async def page(request: Request) -> Response:
        try:
            principal = principal_of()
            if principal is not None:
                principal.require(Scope.ADMIN)
            body, media_type = await metrics.page(request.headers.get("accept", ""))
        except DebugMcpError as error:
            return problem(error)
        headers = {"Content-Type": media_type, "Cache-Control": "no-store"}
        return Response(body, headers=headers)

    return [Route(METRICS_PATH, page)]
