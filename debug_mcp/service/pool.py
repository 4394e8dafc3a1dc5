"""Checkouts that are there before they are asked for.

Servers on one data directory share them. A tree is given away by a rename and refilled in the
background; one that a session had is deleted with it and never comes back.
"""

import shutil
from pathlib import Path

import anyio
from anyio.abc import TaskGroup

from debug_mcp.config import Layout, Settings
from debug_mcp.errors import DebugMcpError
from debug_mcp.folders import delete_tree
from debug_mcp.models.repositories import Repository, RepositoryState
from debug_mcp.runner.sandbox import Folders
from debug_mcp.service.confinement import Confinement
from debug_mcp.service.contents import Contents
from debug_mcp.service.instance import Instance
from debug_mcp.service.locks import lock_at_once
from debug_mcp.service.observers import Found, Observers
from debug_mcp.store.repositories import Repositories
from debug_mcp.worktrees import checkouts
from debug_mcp.worktrees.checkouts import Checkout, Identity
from debug_mcp.worktrees.mirrors import Mirror
from debug_mcp.worktrees.pool import Prepared, Shelf, shelves

_NOBODY = Identity("debug-mcp", "debug-mcp@localhost")


class Pool:
    """Prepared trees of all repositories, bounded in number for each and in disk for all."""

    def __init__(
        self,
        repositories: Repositories,
        contents: Contents,
        confinement: Confinement,
        settings: Settings,
        layout: Layout,
        instance: Instance,
        observers: Observers,
        tasks: TaskGroup,
    ) -> None:
        self._repositories = repositories
        self._confinement = confinement
        self._settings = settings
        self._layout = layout
        self._instance = instance
        self._observers = observers
        self._tasks = tasks
        self._contents = contents
        self._filling: set[str] = set()
        self._too_large: set[str] = set()

    def take(self, repository: Repository, commit: str, target: Path) -> str | None:
        """Move a prepared tree to ``target``; return at which commit it is, None without one.

        Args:
            repository: Whose tree.
            commit: Which is wanted; another is better than none.
            target: Where the tree is to be; nothing is there, its folder is.

        Blocks for a rename: call it in a thread.
        """
        if not self._settings.pool_trees:
            return None
        at = self._shelf(repository.id).take(commit, target)
        other = Found.MISS if at is None else Found.SWITCHED
        self._observers.looked_for_a_tree(Found.HIT if at == commit else other)
        return at

    def refill(self, repository: Repository, mirror: Mirror) -> None:
        """Bring a repository's trees to their number, in the background.

        They stand where its sessions start unless told otherwise.
        """
        if repository.id in self._filling | self._too_large or not self._settings.pool_trees:
            return
        self._filling.add(repository.id)
        self._tasks.start_soon(self._fill, repository, mirror)

    async def drop(self, repository_id: str) -> None:
        """Remove all trees of a repository."""
        folder = self._shelf(repository_id).folder
        await anyio.to_thread.run_sync(delete_tree, folder)

    async def sweep(self) -> None:
        """Remove what dead servers were making, and trees of repositories that are gone."""
        known = {repository.id for repository in await self._repositories.all()}

        def sweep() -> None:
            for shelf in shelves(self._layout.pool):
                if shelf.folder.name in known:
                    shelf.sweep(self._instance.lives)
                else:
                    delete_tree(shelf.folder)

        await anyio.to_thread.run_sync(sweep)

    async def _fill(self, repository: Repository, mirror: Mirror) -> None:
        shelf = self._shelf(repository.id)
        try:
            await anyio.to_thread.run_sync(_make_folders, shelf.folder, self._idle)
            with lock_at_once(shelf.folder.with_suffix(".lock")) as ours:
                while ours and not await self._is_gone(repository):
                    if not await self._step(shelf, mirror, repository.default_ref or "HEAD"):
                        break
        except (DebugMcpError, OSError):
            pass  # sessions are made without it then, and say what is wrong
        finally:
            self._filling.discard(repository.id)

    async def _is_gone(self, repository: Repository) -> bool:
        return (await self._repositories.get(repository.id)).state is RepositoryState.REMOVED

    async def _step(self, shelf: Shelf, mirror: Mirror, ref: str) -> bool:
        """Make or switch one tree, or remove one too many; return whether there may be more to do.

        The newest trees are kept: they are the ones that are switched soonest.
        """
        commit = await mirror.resolve(ref)
        await self._contents.check(mirror, commit)
        trees = await anyio.to_thread.run_sync(shelf.ready)
        for tree in trees[self._settings.pool_trees :]:
            await anyio.to_thread.run_sync(shelf.discard, tree, self._instance.id)
        trees = trees[: self._settings.pool_trees]
        stale = next((tree for tree in trees if tree.commit != commit), None)
        if stale is None and len(trees) >= self._settings.pool_trees:
            return False
        if not await anyio.to_thread.run_sync(self._has_room, trees):
            return False
        if stale is not None:
            path = await anyio.to_thread.run_sync(shelf.begin_with, stale, self._instance.id)
            if path is None:
                return True
        else:
            path = await anyio.to_thread.run_sync(shelf.begin, self._instance.id)
        await self._check_out(shelf, path, commit, mirror.objects)
        return await anyio.to_thread.run_sync(self._within_bounds, shelf)

    async def _check_out(self, shelf: Shelf, path: Path, commit: str, objects: Path) -> None:
        checkout = Checkout(
            tree=path,
            objects=objects,
            branch="debug-mcp/prepared",
            commit=commit,
            refs=[],
            upstream_head=None,
            identity=_NOBODY,
        )
        try:
            await anyio.to_thread.run_sync(checkouts.lay_out_again, checkout)
            folders = Folders(path, self._idle, self._idle, objects)
            await checkouts.fill(self._confinement.git_beside(folders))
            await anyio.to_thread.run_sync(shelf.offer, path, commit)
        except BaseException:  # a half-made tree is nobody's; also when the server ends
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(delete_tree, path)
            raise

    def _has_room(self, trees: list[Prepared]) -> bool:
        """Return whether another tree may be made: the disk is not ours alone."""
        free = shutil.disk_usage(self._layout.root).free
        return free > self._settings.pool_bytes + max((tree.size for tree in trees), default=0)

    def _within_bounds(self, shelf: Shelf) -> bool:
        """Remove the oldest trees beyond the bound on disk; return whether there is room for more.

        A repository whose own tree is over the bound is not prepared again by this server.
        """
        trees = [(tree, other) for other in shelves(self._layout.pool) for tree in other.ready()]
        trees.sort(key=lambda pair: pair[0].made_ns)
        total = sum(tree.size for tree, _ in trees)
        for tree, other in trees:
            if total <= self._settings.pool_bytes:
                return True
            other.discard(tree, self._instance.id)
            total -= tree.size
            if other.folder == shelf.folder:
                self._too_large.add(shelf.folder.name)
                return False
        return True

    @property
    def _idle(self) -> Path:
        """An empty folder that stands for the home and /tmp, which git does not use."""
        return self._layout.pool / ".empty"

    def _shelf(self, repository_id: str) -> Shelf:
        return Shelf(self._layout.pool / repository_id)


def _make_folders(*folders: Path) -> None:
    for folder in folders:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
