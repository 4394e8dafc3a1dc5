"""Session: a private working tree at a commit, plus an optional patch.

The class is ``WorkSession``, because the protocol and debuggers have sessions too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AliasChoices, Field, StringConstraints

from debug_mcp.errors import NextCall
from debug_mcp.models.base import Arguments, IdempotencyKey, Moment, View, WaitSeconds
from debug_mcp.models.environment import Environment

PATCH_CHARACTERS = 4 * 1024 * 1024
WORKSPACE = "/workspace"


class Isolation(StrEnum):
    """The boundary around a session's commands."""

    BWRAP = "bwrap"
    LANDLOCK = "landlock"
    NONE = "none"


EXPIRED = "expired"


class SessionState(StrEnum):
    """Where a session stands."""

    PREPARING = "preparing"
    READY = "ready"
    CLOSING = "closing"
    CLOSED = "closed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class WorkSession:
    """A stored session.

    Attributes:
        base: The full commit id that its tree started from.
        name: A label, unique among the open sessions of its principal.
        env: Variables of every command in it, over the repository's own.
        expires_at: Its end at the latest.
        idle_seconds: How long it may go unused.
        used_at: When it was last used, to a twentieth of that; the end of a command counts.
        environment: The id of the environment that its commands have, or wait for.
    """

    id: str
    repository_id: str
    principal: str
    state: SessionState
    ref: str
    base: str
    isolation: Isolation
    instance: str
    created_at: datetime
    patch_digest: str | None = None
    closed_why: str | None = None
    exported_ref: str | None = None
    name: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    expires_at: datetime | None = None
    idle_seconds: int | None = None
    used_at: datetime | None = None
    closed_at: datetime | None = None
    environment: str | None = None

    @property
    def unused_until(self) -> datetime | None:
        """When it ends if nobody uses it; None when it never does."""
        ends = [] if self.expires_at is None else [self.expires_at]
        if self.used_at is not None and self.idle_seconds is not None:
            ends.append(self.used_at + timedelta(seconds=self.idle_seconds))
        return min(ends, default=None)


SessionId = Annotated[str, Field(min_length=1, max_length=64)]


Label = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=100, pattern=r"^[^\n\r]+$"),
]


class SessionCreate(Arguments):
    """Arguments of ``session_create``."""

    repository: str | None = Field(
        default=None,
        max_length=4096,
        description="name, URL or path (registered on the way); optional when there is only one",
    )
    ref: str = Field(
        default="HEAD",
        max_length=250,
        description="branch, tag or commit; default HEAD of the upstream",
        validation_alias=AliasChoices("ref", "commit"),
    )
    patch: str | None = Field(
        default=None, max_length=PATCH_CHARACTERS, description="unified diff, as git diff prints it"
    )
    include_uncommitted: bool = Field(
        default=False,
        description="also what the person has not committed (local repository, at its HEAD)",
    )
    sync: bool = Field(default=True, description="false: do not ask the upstream for news")
    name: Label | None = Field(default=None, description="label, as you like")
    env: Environment = Field(default={}, description="variables of all its commands")
    ttl_seconds: int | None = Field(
        default=None, ge=1, description="closed after this long, work saved; default 7 days"
    )
    wait_seconds: WaitSeconds = Field(
        default=20, description="for the set-up; default 20, at most 50"
    )
    idempotency_key: IdempotencyKey = None


class SessionExport(Arguments):
    """Arguments of ``session_export``."""

    session_id: SessionId
    kind: Literal["branch", "patch", "bundle"] = Field(
        default="branch", alias="as", description="default branch"
    )
    message: str | None = Field(default=None, max_length=10_000, description="commit message")
    branch: str | None = Field(
        default=None, max_length=200, description="default: debug-mcp/<session_id>"
    )
    push: bool = Field(
        default=False, description="make a new branch of the upstream too; never force"
    )


class SessionClose(Arguments):
    """Arguments of ``session_close``."""

    session_id: SessionId


class PatchView(View):
    """What a patch changed: ``lines`` is ``+added -removed``."""

    digest: str
    files: list[str]
    lines: str


class UncommittedView(View):
    """What of the person's uncommitted work is in a session: ``lines`` is ``+added -removed``."""

    files: list[str]
    more_files: int | None = None
    lines: str


class ProjectView(View):
    """The Python that commands get, which one the tree asks for, and how the tree is tested."""

    python: str | None = None
    requires_python: str | None = None
    tests: str | None = None


class SetupView(View):
    """What became of a session's set-up: a command's outcome; without one it goes on.

    ``environment`` is what it built, for all sessions that need the same. ``command_id`` is absent
    where another principal's session built that.
    """

    outcome: str | None = None
    command_id: str | None = None
    environment: str | None = None


class PathsView(View):
    """Where the session's folders are, when commands see real paths."""

    workspace: str
    home: str


class SessionView(View):
    """A session as a caller sees it."""

    session_id: str
    name: str | None = None
    state: SessionState
    repository: str
    ref: str
    commit: str
    synced_at: Moment | None = None
    uncommitted: UncommittedView | None = None
    patch: PatchView | None = None
    workspace: str = WORKSPACE
    isolation: Isolation
    network: bool = False
    paths: PathsView | None = None
    setup: SetupView | None = None
    project: ProjectView | None = None
    env: tuple[str, ...] = ()
    expires_at: Moment | None = None
    hint: str | None = None
    next: NextCall | None = None


class ExportView(View):
    """Work that left its session.

    ``fetch`` or ``apply`` is the command line that brings it into the person's checkout;
    ``pushed`` is the branch of the upstream that has it. ``others`` are further branches, tags and
    stashes, which ``fetch_others`` brings.
    """

    session_id: str
    branch: str | None = None
    commit: str | None = None
    base: str
    files: tuple[str, ...] = ()
    lines: str | None = None
    fetch: str | None = None
    apply: str | None = None
    artifact_id: str | None = None
    uri: str | None = None
    pushed: str | None = None
    others: tuple[str, ...] = ()
    more_others: int | None = None
    fetch_others: str | None = None
    hint: str | None = None


class ClosedView(View):
    """A session that ended, and what was saved of it."""

    session_id: str
    state: SessionState
    closed_why: str | None = None
    exported: ExportView | None = None
    hint: str | None = None
