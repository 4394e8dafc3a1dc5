"""Registering repositories and keeping their mirrors fresh."""

import contextlib
import fcntl
import itertools
import os
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

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
_NAME_CHARACTERS = 90  # leaves room for a number
_FILE = "file://"
# A URL of another scheme, `host:path`, or one of git's `helper::address`.
_REMOTE = re.compile(r"(?!file://)(?:[^/]+@[^/]+:|[A-Za-z0-9.+-]+:)")


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
        repository = await self._register(args.url, args.name, "url")
        settings = args.settings()
        if settings:
            await self._store.configure(replace(repository, **settings))
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
        return await self._register(wanted, None, "repository")

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

    async def _register(self, url: str, name: str | None, field: str) -> Repository:
        """Return the repository that stands for a URL, under the name that was asked for if any."""
        source = await anyio.to_thread.run_sync(_local_source, url, field)
        known = await self._store.all()
        for repository in known:
            if repository.name == (name or repository.name) and _same(repository.url, source):
                return repository
        wanted = Repository(
            id="",
            name=name or _name_of(source),
            url=str(source),
            state=RepositoryState.CLONING,
            created_at=now(),
        )
        stored = await self._store.register(wanted)
        if not _same(stored.url, source) and stored.state is RepositoryState.FAILED:
            # Nothing was ever cloned under this name, so nothing depends on it.
            await self._store.advance(stored.id, RepositoryState.REMOVED)
            stored = await self._store.register(wanted)
        if not _same(stored.url, source):
            taken = {repository.name for repository in known}
            free = next(new for new in _numbered(stored.name) if new not in taken)
            raise Conflict(
                f"the name {stored.name!r} stands for {stored.url}; give this one another name",
                field="name",
                next_call={"tool": "repository_init", "arguments": {"url": url, "name": free}},
            )
        return stored


def _head(repository: Repository) -> Head | None:
    if repository.head_ref is None or repository.head_commit is None:
        return None
    return Head(ref=repository.head_ref, commit=repository.head_commit)


def _same(url: str, source: Path) -> bool:
    """Return whether a registered URL is this folder, however either is written."""
    try:
        return url == str(source) or Path(url).samefile(source)
    except OSError:
        return False


def _numbered(name: str) -> Iterator[str]:
    return (f"{name[:_NAME_CHARACTERS]}-{number}" for number in itertools.count(2))


def _local_source(url: str, field: str) -> Path:
    """Return the repository that a path or ``file://`` URL names; a folder inside one will do.

    Raises:
        InvalidInput: It is not an absolute path, or there is no repository.
    """
    if _REMOTE.match(url):
        raise InvalidInput(
            f"{_without_credentials(url)!r}: this version registers repositories on this machine "
            "only; clone it and give the absolute path",
            field=field,
        )
    try:
        path = Path(unquote(url[len(_FILE) :]) if url.startswith(_FILE) else url).expanduser()
        if "\0" in url or not path.is_absolute():
            raise InvalidInput(f"{url!r} is not an absolute path", field=field)
        path = Path(os.path.normpath(path))
        if not path.exists():
            raise InvalidInput(f"{path} does not exist", field=field)
        found = next((folder for folder in (path, *path.parents) if _is_repository(folder)), None)
    except (OSError, RuntimeError) as error:  # no right to look, or a home of nobody
        raise InvalidInput(f"{url!r} cannot be looked at: {error}", field=field) from error
    if found is None:
        raise InvalidInput(f"{path} is not in a git repository", field=field)
    return found.parent if found.name == ".git" else found


def _is_repository(folder: Path) -> bool:
    bare = (folder / "HEAD").is_file() and (folder / "objects").is_dir()
    return bare or (folder / ".git").exists()


def _without_credentials(url: str) -> str:
    return re.sub(r"://[^/@\s]+@", "://", url)


def _name_of(source: Path) -> str:
    cleaned = re.sub(r"[^A-Za-z0-9._-]+", "-", source.name.removesuffix(".git")).strip("-._")
    return cleaned[:_NAME_CHARACTERS] or "repository"


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
