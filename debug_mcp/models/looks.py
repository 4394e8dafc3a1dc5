"""Looking at a session: where it stands, and what its work differs in from a commit."""

from pydantic import Field

from debug_mcp.errors import NextCall
from debug_mcp.models.artifacts import CollectedView
from debug_mcp.models.base import Arguments, Moment, View
from debug_mcp.models.commands import CommandRow
from debug_mcp.models.sessions import Isolation, PathsView, SessionId, SessionState, SetupView

PATHS = 200


class SessionGet(Arguments):
    """Arguments of ``session_get``."""

    session_id: SessionId | None = None
    cursor: str | None = Field(default=None, max_length=64, description="next_cursor of a page")
    limit: int = Field(default=20, ge=1, le=100, description="of the list; at most 100")


class SessionDiff(Arguments):
    """Arguments of ``session_diff``."""

    session_id: SessionId
    base: str | None = Field(
        default=None,
        max_length=250,
        description="branch, tag or commit of the session; default: where it started",
    )
    paths: list[str] = Field(
        default=[], max_length=PATHS, description="only these files and folders"
    )
    stat_only: bool = Field(default=False, description="files and numbers of lines, no patch")


class HeadView(View):
    """Where a session's HEAD is; ``ahead`` counts the commits since the session's start."""

    branch: str | None = None
    commit: str | None = None
    ahead: int | None = None


class ChangesView(View):
    """What is not committed in a session, by number of files, and the first of them."""

    modified: int | None = None
    added: int | None = None
    deleted: int | None = None
    untracked: int | None = None
    files: tuple[str, ...] = ()
    more_files: int | None = None


class QueueLengthView(View):
    """What goes on in a session."""

    running: tuple[str, ...] = ()
    queued: int | None = None


class SavedView(View):
    """Work that left a session; ``fetch`` brings it into the person's checkout."""

    branch: str | None = None
    commit: str | None = None
    fetch: str | None = None
    others: tuple[str, ...] = ()
    more_others: int | None = None
    fetch_others: str | None = None


class SessionRow(View):
    """A session in a list."""

    session_id: str
    name: str | None = None
    state: SessionState
    repository: str
    ref: str
    commit: str
    created_at: Moment
    closed_why: str | None = None


class SessionStatusView(View):
    """One session, or ``sessions``: all of the caller's, newest first.

    ``person`` are command lines for the person beside the agent.
    """

    session_id: str | None = None
    name: str | None = None
    state: SessionState | None = None
    repository: str | None = None
    ref: str | None = None
    commit: str | None = None
    created_at: Moment | None = None
    expires_at: Moment | None = None
    closed_at: Moment | None = None
    closed_why: str | None = None
    env: tuple[str, ...] = ()
    isolation: Isolation | None = None
    network: bool | None = None
    workspace: str | None = None
    paths: PathsView | None = None
    setup: SetupView | None = None
    head: HeadView | None = None
    changes: ChangesView | None = None
    queue: QueueLengthView | None = None
    commands: tuple[CommandRow, ...] = ()
    exported: SavedView | None = None
    artifacts: tuple[CollectedView, ...] = ()
    person: tuple[str, ...] = ()
    sessions: tuple[SessionRow, ...] = ()
    next_cursor: str | None = None
    hint: str | None = None
    next: NextCall | None = None


class ChangedFileView(View):
    """A file that differs: git's letter, and lines where it is text."""

    path: str
    status: str
    lines: str | None = None


class DiffView(View):
    """How a session's tree differs from ``base``, committed since or not, untracked files included.

    ``omitted_bytes`` of the patch are not shown; the artifact has all of it, and can be applied.
    """

    session_id: str
    base: str
    lines: str
    files: tuple[ChangedFileView, ...] = ()
    more_files: int | None = None
    patch: str | None = None
    omitted_bytes: int | None = None
    artifact_id: str | None = None
    uri: str | None = None
    hint: str | None = None
    next: NextCall | None = None
