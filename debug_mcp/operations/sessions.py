"""Operations on sessions."""

from debug_mcp.auth.principal import Scope
from debug_mcp.models.looks import DiffView, SessionDiff, SessionGet, SessionStatusView
from debug_mcp.models.sessions import (
    ClosedView,
    ExportView,
    SessionClose,
    SessionCreate,
    SessionExport,
    SessionView,
)
from debug_mcp.operations.registry import Call, Route, operation


@operation(
    scope=Scope.SESSION_WRITE,
    also=(Scope.REPOSITORY_READ,),
    further={"a URL or a path as `repository`": Scope.REPOSITORY_WRITE},
    routes=(Route("POST", "/sessions", creates="/sessions/{session_id}"),),
    title="Open a session",
)
async def session_create(call: Call, args: SessionCreate) -> SessionView:
    """Open a session: a private working tree of a repository at a commit, plus an optional patch.

    Start here; the answer says how tests are run. Nothing done in a session touches the person's
    checkout or another session. Open several to try several patches.
    """
    return await call.services.sessions.create(call.principal, args)


@operation(
    scope=Scope.SESSION_READ,
    routes=(
        Route("GET", "/sessions", without=("session_id",)),
        Route("GET", "/sessions/{session_id}", without=("cursor", "limit")),
    ),
    title="Look at a session",
    read_only=True,
)
async def session_get(call: Call, args: SessionGet) -> SessionStatusView:
    """Show where a session stands: changes, queue, recent commands, exported work, artifacts.

    Of a closed session it says where its work is. Without session_id: the list of your sessions.
    """
    return await call.services.statuses.get(call.principal, args)


@operation(
    scope=Scope.SESSION_READ,
    routes=(Route("GET", "/sessions/{session_id}/diff"),),
    title="Show a session's changes",
    read_only=True,
)
async def session_diff(call: Call, args: SessionDiff) -> DiffView:
    """Show how the session's tree differs from its start, committed or not, new files included.

    A patch over 12 KB is cut, and kept whole as an artifact.
    """
    return await call.services.differences.diff(call.principal, args)


@operation(
    scope=Scope.SESSION_WRITE,
    further={"`push`": Scope.REPOSITORY_PUSH},
    routes=(Route("POST", "/sessions/{session_id}/export"),),
    title="Export a session's work",
    open_world=True,
)
async def session_export(call: Call, args: SessionExport) -> ExportView:
    """Commit everything changed in the session (ignored files apart) and keep it as a branch.

    The answer has the command line that brings it into the person's checkout: show it to them.
    As patch or bundle it becomes an artifact. push makes a new branch of the upstream.
    """
    return await call.services.handovers.export(call.principal, args)


@operation(
    scope=Scope.SESSION_WRITE,
    routes=(Route("DELETE", "/sessions/{session_id}"),),
    title="Close a session",
    idempotent=True,
    destructive=True,
)
async def session_close(call: Call, args: SessionClose) -> ClosedView:
    """Close a session: its commands are ended and its tree is removed.

    Work in it is exported first, as a branch and as the artifact final.patch. Outputs and
    artifacts stay readable.
    """
    return await call.services.closing.close(call.principal, args)
