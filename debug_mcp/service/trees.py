"""The working trees of sessions on this machine: made from the mirror, mended, removed."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import anyio

from debug_mcp.config import Layout
from debug_mcp.folders import delete_tree
from debug_mcp.models.environments import Recipe
from debug_mcp.models.repositories import Repository
from debug_mcp.models.sessions import WorkSession
from debug_mcp.service.confinement import Confinement
from debug_mcp.service.pool import Pool
from debug_mcp.service.repositories import RepositoryService
from debug_mcp.service.uncommitted import Taken, Uncommitted
from debug_mcp.store.repositories import Repositories
from debug_mcp.worktrees import checkouts, patches
from debug_mcp.worktrees.checkouts import Checkout, Identity
from debug_mcp.worktrees.files import reader
from debug_mcp.worktrees.git import GitCall
from debug_mcp.worktrees.uncommitted import Person
from debug_mcp.worktrees.upstreams import is_local


@dataclass(frozen=True, slots=True)
class Made:
    """What a new session's tree has beside its commit."""

    patch: patches.Numbers | None = None
    uncommitted: Taken | None = None


class Trees:
    """Every session has a folder of its own, with its tree, its home and its temporary files."""

    def __init__(
        self,
        repository_rows: Repositories,
        repositories: RepositoryService,
        confinement: Confinement,
        pool: Pool,
        uncommitted: Uncommitted,
        layout: Layout,
    ) -> None:
        self._repository_rows = repository_rows
        self._repositories = repositories
        self._confinement = confinement
        self._pool = pool
        self._uncommitted = uncommitted
        self._layout = layout

    def folder(self, session: WorkSession) -> Path:
        """Return where everything of a session is on the host."""
        return self._layout.sessions / session.id

    async def make(
        self,
        session: WorkSession,
        repository: Repository,
        head_ref: str | None,
        patch: str | None,
        person: Person | None = None,
    ) -> Made:
        """Check the session's commit out, then the person's uncommitted work, then the patch.

        Args:
            session: Whose tree.
            repository: Its repository.
            head_ref: The upstream's default branch, if its HEAD is on one.
            patch: What to apply, if anything.
            person: Where uncommitted work is to be taken from, if it is.

        Raises:
            Conflict: The patch does not apply. What is there by then is the caller's to remove.
            InvalidInput: The uncommitted work is too large.
            ToolFailed: The uncommitted work cannot be read.
        """
        folders = self._confinement.folders(session)
        checkout = await self._checkout(session, repository, head_ref)

        def lay_out() -> str | None:
            for folder in (folders.home, folders.temporary):
                folder.mkdir(mode=0o700, parents=True)
            prepared = self._pool.take(repository, session.base, folders.tree)
            if prepared is None:
                folders.tree.mkdir(mode=0o700)
            checkouts.lay_out_again(checkout)
            return prepared

        at = await anyio.to_thread.run_sync(lay_out)
        self._pool.refill(repository, self._repositories.mirror(repository))
        run = self._confinement.git_in(session)
        if at != session.base:
            await checkouts.fill(run)
        taken = None
        if person is not None:
            place = self.folder(session) / "uncommitted"
            taken = await self._uncommitted.take(person, session, place, folders.tree)
        if patch is None:
            return Made(uncommitted=taken)
        numbers = await patches.apply(run, patch, reader(folders.tree))
        await patches.note_new(run, patch)
        return Made(numbers, taken)

    async def remove(self, session: WorkSession) -> None:
        """Delete a session's tree, home and temporary files."""
        await anyio.to_thread.run_sync(delete_tree, self.folder(session))

    async def renew_git(self, session: WorkSession) -> None:
        """Give a tree a new git directory, at the commit where it started.

        The files stay as they are. No command of the session may be running.
        """
        repository = await self._repository_rows.get(session.repository_id)
        checkout = await self._checkout(session, repository, None)

        def replace() -> None:
            damaged = checkout.tree / ".git"
            if damaged.is_symlink() or damaged.exists():
                # Out of the tree, by its name alone: it may be a link to anywhere.
                damaged.rename(Path(tempfile.mkdtemp(dir=self.folder(session))) / "damaged-git")
            checkouts.lay_out(checkout)

        await anyio.to_thread.run_sync(replace)
        await checkouts.note_files(self._confinement.git_in(session))

    async def _checkout(
        self, session: WorkSession, repository: Repository, head_ref: str | None
    ) -> Checkout:
        mirror, setup = self._repositories.mirror(repository), repository.setup
        return Checkout(
            tree=self._confinement.folders(session).tree,
            objects=mirror.objects,
            branch=f"debug-mcp/{session.id}",
            commit=session.base,
            refs=await mirror.refs(),
            upstream_head=head_ref,
            identity=await self._identity(repository),
            origin=None if is_local(repository.url) else repository.url,
            excluded=tuple(setup.outputs) if isinstance(setup, Recipe) else (),
        )

    async def _identity(self, repository: Repository) -> Identity:
        """Return who the person is in their repository; commits are made in their name."""
        # A remote repository has no configuration here, nor has one that is gone.
        there = ("-C", repository.url) if await anyio.Path(repository.url).is_dir() else ()
        asked = ("config", "--null", "--get-regexp", r"^user\.(name|email)$")
        found = await self._confinement.host_git(GitCall((*there, *asked)))
        entries = found.output.decode("utf-8", "replace").split("\0")
        # What is nearer to the repository comes later.
        settings = {key: value.strip() for key, _, value in (e.partition("\n") for e in entries)}
        return Identity(
            settings.get("user.name") or "debug-mcp",
            settings.get("user.email") or "debug-mcp@localhost",
        )
