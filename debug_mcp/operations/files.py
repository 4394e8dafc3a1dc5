"""Operations on the files of a session's tree."""

from debug_mcp.auth.principal import Scope
from debug_mcp.models.files import FileEdit, FileRead, FilesView, FileView
from debug_mcp.operations.registry import Call, Route, operation


@operation(
    scope=Scope.SESSION_READ,
    routes=(Route("GET", "/sessions/{session_id}/files"),),
    title="Read a file or folder",
    read_only=True,
)
async def file_read(call: Call, args: FileRead) -> FileView:
    """Read lines of a file in a session's tree, numbered, or list a folder.

    The number and two spaces are no part of a line. Very long lines are cut with a mark.
    """
    return await call.services.files.read(call.principal, args)


@operation(
    scope=Scope.SESSION_WRITE,
    routes=(Route("PATCH", "/sessions/{session_id}/files"),),
    title="Edit files",
    destructive=True,
)
async def file_edit(call: Call, args: FileEdit) -> FilesView:
    """Change files of a session's tree, all that is named or nothing.

    Each edit is {path, old, new}: old must occur exactly once, so give enough lines around it;
    {path, content}: the whole file, new folders are made; or {path, delete: true}. Or send a patch,
    as git diff prints it. A command that is running is not waited for and sees the change.
    """
    return await call.services.files.edit(call.principal, args)
