"""Reading and editing the files of a session's tree, from outside.

Reads and writes go from descriptor to descriptor, so a hostile tree cannot lead them out of itself.
Only a patch is given to git, in the session's sandbox, on copies of the files that it names.
"""

import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import anyio

from debug_mcp.auth.principal import Principal, Scope
from debug_mcp.errors import Conflict
from debug_mcp.folders import delete_tree
from debug_mcp.models.files import (
    ChangedView,
    FileChange,
    FileEdit,
    FileEditing,
    FileRead,
    FilesView,
    FileView,
)
from debug_mcp.models.sessions import WORKSPACE, WorkSession
from debug_mcp.service.confinement import Confinement
from debug_mcp.service.file_views import look
from debug_mcp.service.locks import locked
from debug_mcp.service.sessions import SessionService
from debug_mcp.service.trees import Trees
from debug_mcp.worktrees import edits, patches, scratch
from debug_mcp.worktrees.drafts import Draft
from debug_mcp.worktrees.files import is_binary, reader
from debug_mcp.worktrees.journal import Content, Journal
from debug_mcp.worktrees.paths import relative

EDIT_SECONDS = 30


class FileService:
    """Edits of one session come one after the other; commands are neither waited for nor held."""

    def __init__(self, sessions: SessionService, trees: Trees, confinement: Confinement) -> None:
        self._sessions = sessions
        self._trees = trees
        self._confinement = confinement

    async def read(self, principal: Principal, args: FileRead) -> FileView:
        """Return a part of a file or of a folder's listing.

        Raises:
            NotFound: There is no such session of the principal's, or no such path.
            InvalidInput: The path leads out of the tree or through a link, or the lines are not
                there.
        """
        principal.require(Scope.SESSION_READ)
        session = await self._sessions.ready(principal, args.session_id)
        tree = self._confinement.folders(session).tree
        path = relative(args.path, (WORKSPACE, str(tree)), "path")
        return await anyio.to_thread.run_sync(look, tree, path, args)

    async def edit(self, principal: Principal, args: FileEdit) -> FilesView:
        """Change files, all or none; also when the server is killed in between.

        Raises:
            NotFound: There is no such session of the principal's, or no such file.
            Conflict: The files are not as the edits expect.
            InvalidInput: A path is none that can be edited, or the patch is malformed.
        """
        principal.require(Scope.SESSION_WRITE)
        session = await self._sessions.ready(principal, args.session_id)
        async with self._locked(session):
            await self._sessions.ready(principal, args.session_id)  # still, now that it is our turn
            if args.patch is not None:
                return await self._apply(session, args.patch)
            return await anyio.to_thread.run_sync(self._make, session, args.edits)

    @contextlib.asynccontextmanager
    async def _locked(self, session: WorkSession) -> AsyncIterator[None]:
        """Hold a session's files alone among edits.

        Raises:
            Busy: Another edit takes too long.
        """
        path = self._trees.folder(session) / "edit.lock"
        why = f"another edit in session {session.id} is not done yet"
        async with locked(path, EDIT_SECONDS, why):
            yield

    async def settle(self, session: WorkSession) -> None:
        """Wait for an edit that is being made, and finish one that a killed server had begun."""
        # A folder that is gone has no edits; nobody is there to be told what got in the way.
        with contextlib.suppress(FileNotFoundError, Conflict):
            async with self._locked(session):
                await anyio.to_thread.run_sync(self._journal(session).finish)

    async def finish_left(self, sessions: Sequence[WorkSession]) -> None:
        """Settle those of the sessions that have an edit begun."""

        def begun() -> list[WorkSession]:
            return [session for session in sessions if self._journal(session).is_begun]

        for session in await anyio.to_thread.run_sync(begun):
            await self.settle(session)

    def _journal(self, session: WorkSession) -> Journal:
        tree = self._confinement.folders(session).tree
        return Journal(self._trees.folder(session) / "edit", tree)

    def _make(self, session: WorkSession, wanted: list[FileEditing]) -> FilesView:
        tree = self._confinement.folders(session).tree
        draft = Draft(tree)
        for edit in wanted:
            path = relative(edit.path, (WORKSPACE, str(tree)), "edits")
            draft[path] = _edited(draft, path, edit)
        return self._commit(session, draft)

    async def _apply(self, session: WorkSession, patch: str) -> FilesView:
        diff = patches.read(patch)
        copies = self._trees.folder(session) / "scratch"
        draft = Draft(self._confinement.folders(session).tree, links=True)
        try:
            await anyio.to_thread.run_sync(scratch.lay_out, copies, diff, draft)
            await patches.apply(self._confinement.git_in(session, copies), patch, reader(copies))
            return await anyio.to_thread.run_sync(self._collected, session, copies, draft)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(delete_tree, copies)

    def _collected(self, session: WorkSession, copies: Path, draft: Draft) -> FilesView:
        scratch.collect(copies, draft)
        return self._commit(session, draft)

    def _commit(self, session: WorkSession, draft: Draft) -> FilesView:
        changes = draft.changes()
        if not changes:
            return FilesView(hint="nothing to change: the files are like that already")
        self._journal(session).commit(changes)
        hints = [hint for change in changes if (hint := _line_ends(draft, change.path))]
        return FilesView(
            changed=tuple(
                _changed(change.path, draft.before(change.path), change.content)
                for change in changes
            ),
            hint="; ".join(hints) or None,
        )


def _edited(draft: Draft, path: str, edit: FileEditing) -> Content | None:
    """Return what one edit makes of a file."""
    if edit.content is not None:
        return Content(edit.content.encode("utf-8", "surrogateescape"))
    there = draft.existing(path)
    if edit.old is None or edit.new is None:
        return None
    return Content(edits.replace_once(there.data, edit.old, edit.new, path))


def _changed(path: str, before: Content | None, after: Content | None) -> ChangedView:
    old, new = before.data if before else b"", after.data if after else b""
    change = FileChange.MODIFIED if before and after else FileChange.ADDED
    counted = None if is_binary(old) or is_binary(new) else edits.count(old, new).lines
    return ChangedView(path=path, change=change if after else FileChange.DELETED, lines=counted)


def _line_ends(draft: Draft, path: str) -> str | None:
    """Say so when a file's line ends became others: it is hardly ever meant."""
    before, after = draft.before(path), draft[path]
    if before and after and b"\r\n" in before.data and b"\n" in after.data:
        return None if b"\r\n" in after.data else f"{path} had CRLF line ends and has LF now"
    return None
