"""Evidence as rows: accepted, worked on by one server, waited for, and taken over when that dies.

What the work is, each kind says itself (``does``). It is made of steps with idempotency keys, so a
server that takes it over begins anew and finds what was done.
"""

import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import anyio
from anyio.abc import TaskGroup

from debug_mcp.auth.principal import LOCAL, Principal, Scope
from debug_mcp.errors import Conflict, DebugMcpError, NotFound
from debug_mcp.models.base import Arguments, View, now
from debug_mcp.models.evidence import EvidenceKind, EvidenceRow, EvidenceState
from debug_mcp.service.evidence_steps import Steps
from debug_mcp.service.instance import Instance
from debug_mcp.store.evidence import Evidence
from debug_mcp.store.idempotency import Request

_NOUNS = {
    EvidenceKind.COMPARE: "comparison",
    EvidenceKind.FLAKY: "flaky run",
    EvidenceKind.BISECT: "bisection",
}
_NEEDED = frozenset(
    {Scope.REPOSITORY_READ, Scope.SESSION_READ, Scope.SESSION_WRITE, Scope.COMMAND_RUN}
)
_LOOK_SECONDS = 0.5
_CLOSE_SECONDS = 5.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Done:
    """What came of it, and the sessions that nobody needs any more."""

    view: View
    over: Sequence[str] = ()


Work = Callable[[Principal, EvidenceRow], Awaitable[Done]]


def require(principal: Principal) -> None:
    """Check that a principal may do whatever evidence is made of.

    Raises:
        PermissionDenied: It may not.
    """
    for scope in sorted(_NEEDED):
        principal.require(scope)


class EvidenceService:
    """Drives the rows of all kinds."""

    def __init__(self, rows: Evidence, steps: Steps, instance: Instance, tasks: TaskGroup) -> None:
        self._rows = rows
        self._steps = steps
        self._instance = instance
        self._tasks = tasks
        self._works: dict[EvidenceKind, Work] = {}
        self._finished: dict[str, anyio.Event] = {}

    def does(self, kind: EvidenceKind, work: Work) -> None:
        """Say how evidence of a kind is brought to its end."""
        self._works[kind] = work

    async def known(self, request: Request | None) -> EvidenceRow | None:
        """Return what this very request asked for before, or None."""
        return await self._rows.asked_for(request)

    async def accept(
        self,
        principal: Principal,
        kind: EvidenceKind,
        repository_id: str,
        asked: Arguments,
        request: Request | None,
        first: Callable[[EvidenceRow], Awaitable[object]],
    ) -> EvidenceRow:
        """Store what is asked and begin it; what is wrong with its ``first`` step is said at once.

        Raises:
            Conflict: The idempotency key means something else.
            DebugMcpError: What the first step raises.
        """
        row = EvidenceRow(
            id="",
            kind=kind,
            principal=principal.name,
            repository_id=repository_id,
            state=EvidenceState.RUNNING,
            instance=self._instance.id,
            asked=asked.model_dump(mode="json", exclude_defaults=True),
            created_at=now(),
        )
        # Shielded: what is accepted is begun, also for a caller that gives up now.
        with anyio.CancelScope(shield=True):
            row, new = await self._rows.accept(row, request)
            if new:
                try:
                    await first(row)
                except DebugMcpError as error:
                    # The caller hears why, and may use the key for what it meant.
                    await self._rows.finish(row.id, {"failed": error.message}, free_key=True)
                    raise
                self._begin(principal, row)
        return row

    async def owned(self, principal: Principal, kind: EvidenceKind, name: str) -> EvidenceRow:
        """Return the principal's evidence of this id.

        Raises:
            NotFound: There is none of this kind; the candidates are the newest.
        """
        row = await self._rows.owned(name, kind, principal.owner)
        if row is None:
            raise NotFound(
                f"no {_NOUNS[kind]} {name!r} of yours",
                field=f"{kind}_id",
                candidates=await self._rows.recent_ids(kind, principal.owner),
            )
        return row

    async def waited(self, row: EvidenceRow, seconds: float) -> EvidenceRow:
        """Wait for its end, at most so long; return what is stored then.

        Raises:
            Conflict: It came to nothing.
        """
        event = self._finished.get(row.id)
        with anyio.move_on_after(seconds):
            while row.state is EvidenceState.RUNNING:
                if event is not None:
                    await event.wait()
                else:  # another server is at work on it
                    await anyio.sleep(_LOOK_SECONDS)
                row = await self._rows.get(row.id)
        row = await self._rows.get(row.id)
        if row.result is not None and "failed" in row.result:
            raise Conflict(
                f"{_NOUNS[row.kind]} {row.id} came to nothing: {row.result['failed']}; "
                "ask anew, without its key",
                field=f"{row.kind}_id",
            )
        return row

    async def note(self, row: EvidenceRow, progress: dict[str, Any]) -> None:
        """Store how far it is, for callers that wait with any server."""
        await self._rows.note(row.id, progress)

    async def take_over(self) -> None:
        """Go on with what servers that are gone had begun."""
        for row in await self._rows.running():
            if not self._instance.lives(row.instance) and await self._rows.adopt(
                row.id, row.instance, self._instance.id
            ):
                mine = row.principal == LOCAL.name
                self._begin(LOCAL if mine else Principal(row.principal, _NEEDED), row)

    def _begin(self, principal: Principal, row: EvidenceRow) -> None:
        self._finished[row.id] = anyio.Event()
        self._tasks.start_soon(self._work, principal, row)

    async def _work(self, principal: Principal, row: EvidenceRow) -> None:
        """Bring it to its end."""
        over: Sequence[str] = ()
        try:
            done = await self._works[row.kind](principal, row)
            result, over = done.view.model_dump(mode="json"), done.over
        except DebugMcpError as error:
            result = {"failed": error.message}
        except Exception as error:  # noqa: BLE001  # one row's fault must not end the server
            _log.warning("%s %s failed", _NOUNS[row.kind], row.id, exc_info=True)
            result = {"failed": f"the server failed: {type(error).__name__}: {error}"}
        await self._rows.finish(row.id, result)
        self._finished.pop(row.id).set()
        # Shielded: a server that was there for this one call ends as soon as it is answered.
        with anyio.move_on_after(_CLOSE_SECONDS, shield=True):
            for session_id in over:
                with contextlib.suppress(DebugMcpError):  # its time is over soon
                    await self._steps.close(principal, session_id)
