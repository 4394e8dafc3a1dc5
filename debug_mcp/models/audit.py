"""The audit log: who changed what, and who was refused."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from pydantic import AwareDatetime, Field

from debug_mcp.models.base import Arguments, Moment, View

DONE = "done"
CANCELLED = "cancelled"
FAULT = "fault"

Word = Annotated[str, Field(min_length=1, max_length=200)]


@dataclass(frozen=True, slots=True)
class Entry:
    """One call that changed something, or that was refused.

    ``outcome`` is ``done``, the code of an error, ``cancelled`` (the caller went away first) or
    ``fault`` (of the server). ``object_id`` is what it was about, or what it made. ``peer`` is the
    address that asked, None where it was a process of this machine. ``number`` is given by the
    store, and later entries have greater ones.
    """

    at: datetime
    principal: str | None
    token_id: str | None
    operation: str
    object_id: str | None
    outcome: str
    seconds: float
    request_id: str
    peer: str | None
    number: int = 0


class AuditList(Arguments):
    """Arguments of reading the audit log."""

    principal: Word | None = None
    token_id: Word | None = None
    operation: Word | None = None
    object_id: Word | None = None
    outcome: Word | None = Field(
        default=None, description="done, cancelled, fault, or the code of an error"
    )
    since: AwareDatetime | None = Field(default=None, description="ISO 8601, this moment included")
    until: AwareDatetime | None = Field(default=None, description="ISO 8601, this moment excluded")
    limit: int = Field(default=100, ge=1, le=1000, description="entries at most; default 100")
    cursor: str | None = Field(
        default=None, pattern=r"^[0-9]{1,15}$", description="next_cursor of a page"
    )


class EntryView(View):
    """One call that changed something, or that was refused. ``seconds`` is how long it took."""

    at: Moment
    principal: str | None = None
    token_id: str | None = None
    operation: str
    object_id: str | None = None
    outcome: str
    seconds: float
    request_id: str
    peer: str | None = None


class AuditView(View):
    """Entries, newest first; ``next_cursor`` where there are more."""

    entries: list[EntryView]
    next_cursor: str | None = None
