"""The audit log: every call that changes something, stored before its answer, and every refusal.

An entry says who did what to which object, when, from where and with what outcome: ids and names,
never arguments, so no secret, environment or patch gets into it. It is appended to a list in memory
and stored in groups. A call that changed something waits for that, as its group needs no disk to be
flushed; a refusal does not. So a server that is killed loses of changes only those that it had not
answered, which the ledger has all the same.
"""

import contextlib
import logging
import re
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import anyio

from debug_mcp.auth.principal import Principal, Scope
from debug_mcp.auth.tokens import is_secret
from debug_mcp.errors import Busy, DebugMcpError, NotFound, PermissionDenied, Unauthenticated
from debug_mcp.models.audit import CANCELLED, DONE, FAULT, AuditList, AuditView, Entry, EntryView
from debug_mcp.models.base import View, now
from debug_mcp.service.observers import Observers
from debug_mcp.service.origins import origin
from debug_mcp.store.audit import Audit

# How long an entry that nobody waits for may wait for others to be stored with.
BEHIND_SECONDS = 0.1
# How long a call waits for its entry: a ledger that is out of order holds up no answer for longer.
PATIENCE_SECONDS = 1
RETRY_SECONDS = 5
# Kept while the ledger cannot be written; beyond that the oldest go, and the log says how many.
PENDING = 10_000
_AT_ONCE = 500

# What is recorded of a call that changes nothing: somebody may be trying doors.
REFUSALS = frozenset({error.code for error in (PermissionDenied, NotFound, Unauthenticated, Busy)})

# What a call was about: the most particular that the answer or, before it, the arguments name.
_OBJECTS = (
    "compare_id", "debug_id", "command_id", "artifact_id", "session_id", "token_id", "token",
    "repository", "name",
)  # fmt: skip
OBJECT_ID = re.compile(r"[a-z]{1,2}_[0-9a-z]{1,16}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,99}")

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Watched:
    """A call under way. What it is about, and whether it changes anything, may be known late."""

    object_id: str | None
    changes: bool


class AuditService:
    """Keeps and shows what was done."""

    def __init__(self, store: Audit, observers: Observers | None = None) -> None:
        self._store = store
        self._observers = observers or Observers()
        self._pending: deque[Entry] = deque()
        self._lost = 0
        self._wake = anyio.Event()
        self._hurry = anyio.Event()
        self._recorded = self._settled = 0
        self._some_settled = anyio.Event()
        self._failing = False
        self._storing = anyio.Lock()

    @contextlib.contextmanager
    def watching(
        self,
        principal: Principal | None,
        operation: str,
        object_id: str | None = None,
        *,
        changes: bool = True,
    ) -> Iterator[Watched]:
        """Record the block: always if it changes something, else only if it is refused."""
        watched, at, began = Watched(object_id, changes), now(), time.monotonic()
        outcome = CANCELLED
        try:
            yield watched
            outcome = DONE
        except DebugMcpError as error:
            outcome = error.code
            raise
        except Exception:
            outcome = FAULT
            raise
        finally:
            seconds = time.monotonic() - began
            entry = _entry(principal, operation, watched.object_id, outcome, at, seconds)
            self._observers.called(entry)
            if watched.changes or outcome in REFUSALS:
                self._record(entry)

    async def stored(self) -> None:
        """Return when all is stored that was recorded until now, or cannot be stored just now."""
        target = self._recorded
        with anyio.move_on_after(PATIENCE_SECONDS):
            while self._settled < target and not self._failing:
                self._hurry.set()
                await self._some_settled.wait()

    def refused(self, principal: Principal | None, operation: str, error: DebugMcpError) -> None:
        """Record what was refused before any operation was reached."""
        entry = _entry(principal, operation, None, error.code, now(), 0)
        self._observers.called(entry)
        self._record(entry)

    def used_first(self, principal: Principal) -> None:
        """Record that a token is used for the first time, and from where."""
        token = principal.token_id
        self._record(_entry(principal, "token_first_use", token, DONE, now(), 0))

    async def listing(self, principal: Principal, args: AuditList) -> AuditView:
        """Return a page of entries, those of a moment ago too."""
        principal.require(Scope.ADMIN)
        await self._store_pending()
        found = await self._store.page(args, args.limit + 1)
        shown = found[: args.limit]
        return AuditView(
            entries=[_view(entry) for entry in shown],
            next_cursor=str(shown[-1].number) if len(found) > args.limit else None,
        )

    async def serve(self) -> None:
        """Store what is recorded, until cancelled; what is left then is stored before the end."""
        try:
            while True:
                await self._wake.wait()
                with anyio.move_on_after(BEHIND_SECONDS):
                    await self._hurry.wait()
                self._wake, self._hurry = anyio.Event(), anyio.Event()
                try:
                    await self._store_pending()
                    self._failing = False
                except Exception:  # noqa: BLE001  # ledger busy, disk full: it goes on after that
                    _log.warning("the audit log cannot be written just now", exc_info=True)
                    self._failing = True
                    self._settle(0)
                    await anyio.sleep(RETRY_SECONDS)
                    self._wake.set()
        finally:
            with anyio.CancelScope(shield=True):
                await self.close()

    async def close(self) -> None:
        """Store what is left, if that can be done."""
        try:
            await self._store_pending()
        except Exception:  # noqa: BLE001  # it is the end: the log says so
            _log.exception("%d entries of the audit log are lost", len(self._pending))

    async def _store_pending(self) -> None:
        # Whoever reads the log waits for what somebody else is storing.
        async with self._storing:
            if self._lost:
                _log.error("%d entries of the audit log are lost", self._lost)
                self._lost = 0
            while self._pending:
                some = [self._pending.popleft() for _ in range(min(_AT_ONCE, len(self._pending)))]
                try:
                    # Once it is handed over it is stored: whoever gives up must not do it again.
                    with anyio.CancelScope(shield=True):
                        await self._store.add(some)
                except Exception:
                    self._pending.extendleft(reversed(some))
                    raise
                self._settle(len(some))

    def _record(self, entry: Entry) -> None:
        if len(self._pending) >= PENDING:
            self._pending.popleft()
            self._lost += 1
            self._settled += 1
        self._pending.append(entry)
        self._recorded += 1
        self._wake.set()

    def _settle(self, count: int) -> None:
        self._settled += count
        self._some_settled.set()
        self._some_settled = anyio.Event()


def _entry(
    principal: Principal | None,
    operation: str,
    object_id: str | None,
    outcome: str,
    at: datetime,
    seconds: float,
) -> Entry:
    source = origin()
    return Entry(
        at=at,
        principal=principal.name if principal else None,
        token_id=principal.token_id if principal else None,
        operation=operation,
        object_id=object_id if _is_known(object_id, outcome) else None,
        outcome=outcome,
        seconds=seconds,
        request_id=source.request_id,
        peer=source.peer,
    )


def object_in(facts: View | Mapping[str, Any]) -> str | None:
    """Return the id or name of what an answer or a call's arguments are about, if there is one."""
    for member in _OBJECTS:
        value = facts.get(member) if isinstance(facts, Mapping) else getattr(facts, member, None)
        if isinstance(value, str) and _is_name(value):
            return value
    return None


def _is_name(text: str | None) -> bool:
    """Return whether a text is an id or a name; somebody may have sent a secret in its place."""
    return text is not None and _NAME.fullmatch(text) is not None and not is_secret(text)


def _is_known(text: str | None, outcome: str) -> bool:
    """Return whether a text may be kept: a name is one only where there is such a thing."""
    return _is_name(text) if outcome == DONE else bool(text and OBJECT_ID.fullmatch(text))


def _view(entry: Entry) -> EntryView:
    return EntryView(
        at=entry.at,
        principal=entry.principal,
        token_id=entry.token_id,
        operation=entry.operation,
        object_id=entry.object_id,
        outcome=entry.outcome,
        seconds=round(entry.seconds, 3),
        request_id=entry.request_id,
        peer=entry.peer,
    )
