"""Registering repositories and keeping their mirrors fresh."""

import contextlib
import fcntl
import os
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import anyio

from debug_mcp.auth.principal import Principal, Scope
from debug_mcp.config import Layout
from debug_mcp.errors import Busy, Conflict, DebugMcpError, InvalidInput, NotFound
from debug_mcp.models.base import now
from debug_mcp.models.repositories import (
    Head,
    Repository,
    RepositoryInit,
    RepositoryState,
    RepositoryView,
)
from debug_mcp.service.confinement import Confinement
from debug_mcp.store.repositories import Repositories
from debug_mcp.worktrees.mirrors import Mirror, UpstreamHead

LOCK_SECONDS = 50
_LOCK_PAUSE_SECONDS = 0.05


class RepositoryService:
    """Repositories are shared by everybody who may read them; their names are unique."""

    def __init__(self, store: Repositories, layout: Layout, confinement: Confinement) -> None:
        self._store = store
        self._layout = layout
        self._confinement = confinement

    async def init(self, principal: Principal, args: RepositoryInit) -> RepositoryView:
        """Register a repository, or fetch it again when its name is known.

        Raises:
            InvalidInput: The URL is not one that can be registered.
            Conflict: The name stands for another URL.
            ToolFailed: The upstream cannot be read.
        """
        principal.require(Scope.REPOSITORY_WRITE)
        repository = await self._register(args.url, args.name)
        await self.refresh(repository)
        repository = await self._store.get(repository.id)
        return RepositoryView(
            repository=repository.name,
            state=repository.state,
            head=_head(repository),
            branches=tuple(await self.mirror(repository).branches()),
            next={"tool": "session_create", "arguments": {"repository": repository.name}},
        )

    async def find(self, principal: Principal, wanted: str | None) -> Repository:
        """Return the repository of a name; one that is named by its path is registered.

        Raises:
            NotFound: There is none of this name.
            InvalidInput: No name was given and there is not exactly one.
        """
        principal.require(Scope.REPOSITORY_READ)
        known = await self._store.all()
        names = [repository.name for repository in known]
        if wanted is None:
            if len(known) == 1:
                return known[0]
            raise InvalidInput(
                "which repository?" if known else "no repository is registered yet: name its path",
                field="repository",
                candidates=names,
            )
        for repository in known:
            if repository.name == wanted:
                return repository
        if "/" not in wanted:
            raise NotFound(
                f"no repository {wanted!r}; an absolute path registers one",
                field="repository",
                candidates=names,
            )
        principal.require(Scope.REPOSITORY_WRITE)
        return await self._register(wanted, None)

    def mirror(self, repository: Repository) -> Mirror:
        """Return the mirror of a repository."""
        path = self._layout.repositories / repository.id
        return Mirror(path, self._confinement.host_git)

    async def refresh(self, repository: Repository) -> UpstreamHead:
        """Bring the mirror up to date, making it when it is not there yet.

        Raises:
            ToolFailed: The upstream cannot be read.
            Busy: Another server is at it for too long.
        """
        mirror = self.mirror(repository)
        async with self.locked(repository):
            if await anyio.Path(mirror.path).exists():
                head = await mirror.fetch()
                await self._store.note_head(repository.id, head.ref, head.commit)
                # The server that cloned it may have died before it could say so.
                await self._store.advance(
                    repository.id, RepositoryState.READY, head=(head.ref, head.commit)
                )
                return head
            return await self._clone(repository, mirror)

    @contextlib.asynccontextmanager
    async def locked(self, repository: Repository) -> AsyncIterator[None]:
        """Hold the mirror alone, among all servers; the lock ends with the process that has it.

        Raises:
            Busy: It is taken for too long.
        """
        path = self._layout.repositories / f"{repository.id}.lock"
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            with anyio.move_on_after(LOCK_SECONDS) as waiting:
                # A file lock of another process rings no bell: look.
                while not _try_lock(fd):  # noqa: ASYNC110
                    await anyio.sleep(_LOCK_PAUSE_SECONDS)
            if waiting.cancelled_caught:
                raise Busy(
                    f"repository {repository.name} is being fetched by another call",
                    retry_after_seconds=5,
                )
            yield
        finally:
            os.close(fd)

    async def _clone(self, repository: Repository, mirror: Mirror) -> UpstreamHead:
        """Clone beside the place and move it there: a mirror is whole or not there."""
        await self._store.advance(repository.id, RepositoryState.CLONING)
        unfinished = Mirror(mirror.path.with_suffix(".tmp"), self._confinement.host_git)
        await anyio.to_thread.run_sync(lambda: shutil.rmtree(unfinished.path, ignore_errors=True))
        try:
            head = await unfinished.create(repository.url)
        except DebugMcpError as error:
            await self._store.advance(repository.id, RepositoryState.FAILED, error=error.message)
            raise
        await anyio.Path(unfinished.path).rename(mirror.path)
        await self._store.advance(
            repository.id, RepositoryState.READY, head=(head.ref, head.commit)
        )
        return head

    async def _register(self, url: str, name: str | None) -> Repository:
        source = await anyio.to_thread.run_sync(_local_source, url)
        wanted = Repository(
            id="",
            name=name or _name_of(source),
            url=str(source),
            state=RepositoryState.CLONING,
            created_at=now(),
        )
        stored = await self._store.register(wanted)
        if stored.url != wanted.url:
            raise Conflict(
                f"the name {stored.name!r} stands for {stored.url}; give this one another name",
                field="name",
                next_call={
                    "tool": "repository_init",
                    "arguments": {"url": url, "name": f"{stored.name}-2"},
                },
            )
        return stored


def _head(repository: Repository) -> Head | None:
    if repository.head_ref is None or repository.head_commit is None:
        return None
    return Head(ref=repository.head_ref, commit=repository.head_commit)


def _local_source(url: str) -> Path:
    """Return the repository that a path or ``file://`` URL names; a folder inside one will do.

    Raises:
        InvalidInput: It is not an absolute path, or there is no repository.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("", "file") or re.match(r"^[^/]+@[^/]+:", url) or "::" in url:
        raise InvalidInput(
            f"{url!r}: this version registers repositories on this machine only; clone it and "
            "give the absolute path",
            field="url",
        )
    path = Path(unquote(parts.path) if parts.scheme else url).expanduser()
    if "\0" in url or not path.is_absolute():
        raise InvalidInput(f"{url!r} is not an absolute path", field="url")
    path = Path(os.path.normpath(path))
    for folder in (path, *path.parents):
        bare = (folder / "HEAD").is_file() and (folder / "objects").is_dir()
        if bare or (folder / ".git").exists():
            return folder
    raise InvalidInput(
        f"{path} {'is not in a git repository' if path.exists() else 'does not exist'}",
        field="url",
    )


def _name_of(source: Path) -> str:
    base = source.parent.name if source.name == ".git" else source.name.removesuffix(".git")
    cleaned = re.sub(r"[^A-Za-z0-9._-]+", "-", base).strip("-._")
    return cleaned[:100] or "repository"


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
