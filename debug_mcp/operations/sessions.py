"""Operations on sessions."""

from debug_mcp.auth.principal import Scope
from debug_mcp.models.sessions import (
    ClosedView,
    ExportView,
    SessionClose,
    SessionCreate,
    SessionExport,
    SessionView,
)
from debug_mcp.operations.registry import Call, operation


@operation(scope=Scope.SESSION_WRITE, title="Open a session")
async def session_create(call: Call, args: SessionCreate) -> SessionView:
    """Open a session: a private working tree of a repository at a commit, plus an optional patch.

    Start here; the answer says how tests are run. Nothing done in a session touches the person's
    checkout or another session. Open several to try several patches.
    """
    return await call.services.sessions.create(call.principal, args)


@operation(scope=Scope.SESSION_WRITE, title="Export a session's work")
async def session_export(call: Call, args: SessionExport) -> ExportView:
    """Commit everything changed in the session (ignored files apart) and keep it as a branch.

    The answer has the git fetch line that brings the branch into the person's checkout: show it to
    them.
    """
    return await call.services.exports.export(call.principal, args)


@operation(scope=Scope.SESSION_WRITE, title="Close a session", destructive=True)
async def session_close(call: Call, args: SessionClose) -> ClosedView:
    """Close a session: its commands are ended and its tree is removed.

    Work in it is exported first, as a branch and as the artifact final.patch. Outputs and
    artifacts stay readable.
    """
    return await call.services.closing.close(call.principal, args)
