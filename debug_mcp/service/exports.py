"""Saving a session's work in the mirror: as a branch, and what else it made beside that.

Exports of one session wait for one another, also those of other servers. Git's locks that a killed
server left in the tree are removed where no command can hold them.
"""

import contextlib
import shlex
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import anyio

from debug_mcp.config import Layout
from debug_mcp.errors import Conflict, ToolFailed
from debug_mcp.models.commands import CommandState
from debug_mcp.models.sessions import ExportView, WorkSession
from debug_mcp.service.confinement import Confinement
from debug_mcp.service.locks import locked
from debug_mcp.service.repositories import RepositoryService
from debug_mcp.service.trees import Trees
from debug_mcp.store.artifacts import Artifacts
from debug_mcp.store.commands import Commands
from debug_mcp.store.repositories import Repositories
from debug_mcp.store.sessions import Sessions
from debug_mcp.worktrees import checkouts, export, handover, patches
from debug_mcp.worktrees.mirrors import OURS, Mirror

EVERYTHING = "Work in a debug-mcp session"
FILES_SHOWN = 100
LOCK_SECONDS = 50
_SHOWN = 5
_OTHERS_SHOWN = 50
# Where a person's own git takes what else a session made. Only commits may be branches.
_TARGETS = {
    "heads": "refs/heads",
    "notes": "refs/notes",
    "stashes": "refs/heads/stashes",
    "tags": "refs/tags",
}


class ExportService:
    """Work leaves a session as bundles; refs are the server's."""

    def __init__(
        self,
        store: Sessions,
        repository_rows: Repositories,
        commands: Commands,
        repositories: RepositoryService,
        trees: Trees,
        artifacts: Artifacts,
        confinement: Confinement,
        layout: Layout,
    ) -> None:
        self._store = store
        self._artifacts = artifacts
        self._repository_rows = repository_rows
        self._commands = commands
        self._repositories = repositories
        self._trees = trees
        self._confinement = confinement
        self._layout = layout

    async def save_rest(self, session: WorkSession, *, filtered: bool = True) -> ExportView | None:
        """Keep all work: the tree under the branch of the last export, and what else there is.

        None when there is no work. Unless ``filtered`` files are kept as they are: a filter that a
        command configured may fail (gitattributes(5)).
        """
        last = session.exported_ref
        branch = last.removeprefix(own(session)) if last else f"debug-mcp/{session.id}"
        exported = await self.save(session, branch, filtered=filtered)
        if not await self._save_others(session):
            return exported
        view = exported or ExportView(session_id=session.id, base=session.base)
        return view.model_copy(update=await self._others(session))

    async def last(self, session: WorkSession) -> ExportView | None:
        """Return what was last exported, without its files; None when nothing was."""
        others = await self._others(session)
        if session.exported_ref is None and not others:
            return None
        view = ExportView(session_id=session.id, base=session.base)
        if session.exported_ref is not None:
            branch = session.exported_ref.removeprefix(own(session))
            commit = await (await self._mirror(session)).commit(session.exported_ref)
            fetch = self._fetch_line(session, session.exported_ref, branch)
            view = view.model_copy(update={"branch": branch, "commit": commit, "fetch": fetch})
        return view.model_copy(update=others)

    async def save(
        self,
        session: WorkSession,
        branch: str,
        message: str = EVERYTHING,
        *,
        filtered: bool = True,
    ) -> ExportView | None:
        """Keep a session's work as a branch beside the mirror's own; None when there is none.

        Raises:
            Busy: Another export of it goes on.
            Conflict: The branch cannot stand beside another.
            ToolFailed: Git cannot do it; the message is its own.
        """
        run = self._confinement.git_in(session)
        async with self._alone(session):
            if not filtered:
                run = await export.unfiltered(run)
            left_out = await export.commit_everything(run, message)
            if not await export.has_commits(run, session.base):
                return None
            commit = await export.head(run)
            ref = f"{own(session)}{branch}"
            await self._import(
                session,
                lambda fd: export.bundle(run, session.base, fd),
                lambda mirror, bundle: self._take(mirror, bundle, session, ref),
            )
            await self._store.note_export(session.id, ref)
            numbers = await patches.changes(run, session.base, commit)
        return ExportView(
            session_id=session.id,
            branch=branch,
            commit=commit,
            base=session.base,
            files=numbers.files[:FILES_SHOWN],
            lines=numbers.lines,
            hint=await self._hint(session, numbers.files, left_out),
            fetch=self._fetch_line(session, ref, branch),
        )

    @contextlib.asynccontextmanager
    async def _alone(self, session: WorkSession) -> AsyncIterator[None]:
        """Hold a session's exports, and free its tree of locks that nobody holds any more."""
        path = self._trees.folder(session) / "export.lock"
        async with locked(path, LOCK_SECONDS, f"session {session.id} is being exported"):
            tree = self._confinement.folders(session).tree
            # Which are there is asked first: with no command since, nothing can hold those.
            there = await anyio.to_thread.run_sync(checkouts.locks, tree)
            begun = [
                command
                for command in await self._commands.unfinished(session.id)
                if command.state is not CommandState.QUEUED
            ]
            if there and not begun:
                await anyio.to_thread.run_sync(checkouts.drop_locks, tree, there)
            yield

    async def _save_others(self, session: WorkSession) -> bool:
        """Keep the branches, tags, notes and stashes of a session; return whether there are any."""
        run = self._confinement.git_in(session)
        mirror = await self._mirror(session)
        # The branch that it was given says nothing as long as it stands where it began.
        known = {**dict(await mirror.refs()), f"refs/heads/debug-mcp/{session.id}": session.base}
        here = await export.branch(run)
        refs = {
            name: oid for name, oid in (await export.others(run, known)).items() if name != here
        }
        if not refs:
            return False
        repository = await self._repository_rows.get(session.repository_id)
        async with self._repositories.locked(repository):
            named = await handover.name_known(mirror, refs, _rest(session))
        found: list[bool] = []

        async def write(fd: int) -> None:
            found.append(await export.bundle_of(run, refs, session.base, fd))

        async def take(mirror: Mirror, bundle: Path) -> None:
            if found[-1]:
                await handover.import_refs(mirror, bundle, session.base, _rest(session))

        await self._import(session, write, take)
        return found[-1] or named

    async def _others(self, session: WorkSession) -> dict[str, object]:
        """Return the facts of a view about what else was saved."""
        mirror = await self._mirror(session)
        prefix = _rest(session)
        names = await handover.names_below(mirror, prefix)
        if not names:
            return {}
        kinds = sorted({name.partition("/")[0] for name in names})
        specs = [f"{prefix}{kind}/*:{_TARGETS[kind]}/{session.id}/*" for kind in kinds]
        return {
            "others": tuple(names[:_OTHERS_SHOWN]),
            "more_others": max(len(names) - _OTHERS_SHOWN, 0) or None,
            "fetch_others": shlex.join(["git", "fetch", str(mirror.path), *specs]),
        }

    async def _mirror(self, session: WorkSession) -> Mirror:
        return self._repositories.mirror(await self._repository_rows.get(session.repository_id))

    def _fetch_line(self, session: WorkSession, ref: str, branch: str) -> str:
        mirror = self._layout.repositories / session.repository_id
        refspec = f"{ref}:refs/heads/{branch}"
        return f"git fetch {shlex.quote(str(mirror))} {shlex.quote(refspec)}"

    async def _hint(
        self, session: WorkSession, files: tuple[str, ...], left_out: list[str]
    ) -> str | None:
        """Point at reports in the branch, and at what is not in it.

        Who collects a file seldom wants to commit it.
        """
        kept = {artifact.name for artifact in await self._artifacts.of_session(session.id)}
        both = [name for name in files if name in kept]
        said = []
        if both:
            said.append(
                f"{', '.join(both[:_SHOWN])} in the branch was also kept as an artifact; if it is "
                "no part of the work, remove it or ignore it, and export again"
            )
        if len(files) > FILES_SHOWN:
            said.append(f"{len(files) - FILES_SHOWN} more files are in the branch")
        own = [name for name in left_out if name.endswith("/")]
        odd = [name for name in left_out if not name.endswith("/")]
        for names, what in ((own, "a git repository of its own"), (odd, "neither file nor link")):
            if names:
                said.append(f"{', '.join(names[:_SHOWN])} stayed out: {what}")
        return "; ".join(said) or None

    async def _import(
        self,
        session: WorkSession,
        write: Callable[[int], Awaitable[None]],
        take: Callable[[Mirror, Path], Awaitable[None]],
    ) -> None:
        """Have a session's git write a bundle, and take it into the mirror."""
        repository = await self._repository_rows.get(session.repository_id)
        # Beside the tree, where no command can reach it.
        with tempfile.NamedTemporaryFile(dir=self._trees.folder(session)) as file:
            await write(file.fileno())
            async with self._repositories.locked(repository):
                await take(self._repositories.mirror(repository), Path(file.name))

    async def _take(self, mirror: Mirror, bundle: Path, session: WorkSession, ref: str) -> None:
        try:
            await handover.import_bundle(mirror, bundle, session.base, ref)
        except ToolFailed as error:
            if "cannot lock ref" not in error.message:
                raise
            branch = ref.removeprefix(own(session))
            raise Conflict(
                f"the branch {branch!r} cannot stand beside one that was exported before: "
                "one name would be a folder of the other",
                field="branch",
            ) from error


def own(session: WorkSession) -> str:
    """Return the prefix of a session's exports: no two sessions write to one ref."""
    return f"{OURS}/exports/{session.id}/"


def _rest(session: WorkSession) -> str:
    return f"{OURS}/rest/{session.id}/"
