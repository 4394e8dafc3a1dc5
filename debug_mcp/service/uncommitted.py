"""The person's uncommitted work as the start of a session, and a word about it when it is left out.

Only for who launched the server over stdio: their checkout is nobody else's to read.
"""

import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import anyio
from anyio.abc import TaskGroup

from debug_mcp.auth.principal import LOCAL, Principal
from debug_mcp.config import user_environment
from debug_mcp.errors import (
    Conflict,
    DebugMcpError,
    InvalidInput,
    NextCall,
    PermissionDenied,
    ToolFailed,
)
from debug_mcp.folders import delete_tree
from debug_mcp.models.repositories import Repository
from debug_mcp.models.sessions import SessionCreate, WorkSession
from debug_mcp.service.confinement import Confinement
from debug_mcp.service.corrected import create_again
from debug_mcp.worktrees import uncommitted
from debug_mcp.worktrees.patches import Numbers
from debug_mcp.worktrees.uncommitted import Changes, Glass, Person
from debug_mcp.worktrees.upstreams import is_local

_FIELD = "include_uncommitted"
_NAMED = 3
# A checkout of some 10,000 files; looking at a larger one must not hold a session up.
_SMALL_INDEX_BYTES = 1 << 20
_LOOK_SECONDS = 2


@dataclass(frozen=True, slots=True)
class Taken:
    """What a session got of it, and what is to be said of the rest."""

    numbers: Numbers
    said: tuple[str, ...]


@dataclass
class Look:
    """One that goes on beside the making of a session."""

    count: int = 0
    shown: list[str] = field(default_factory=list)
    # Set when it is over, or known to be too slow for anybody to wait.
    waited: anyio.Event = field(default_factory=anyio.Event)
    done: anyio.Event = field(default_factory=anyio.Event)
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    async def end(self) -> None:
        """Give it up; nothing of it is left behind."""
        self.scope.cancel()
        with anyio.CancelScope(shield=True):
            await self.done.wait()

    async def said(self) -> str | None:
        """Return what it found, if it did in time."""
        with anyio.move_on_after(_LOOK_SECONDS):
            await self.waited.wait()
        await self.end()
        if not self.count:
            return None
        more = f" and {self.count - _NAMED} more" if self.count > _NAMED else ""
        return (
            f"the person's uncommitted changes are not in this session ({_some(self.shown)}{more})"
        )


class Uncommitted:
    """Looks at a person's checkout, and takes from it."""

    def __init__(self, confinement: Confinement, tasks: TaskGroup) -> None:
        self._confinement = confinement
        self._tasks = tasks

    def check(self, principal: Principal, repository: Repository, args: SessionCreate) -> None:
        """Do nothing when the uncommitted work of a repository can be had, or is not wanted.

        Raises:
            PermissionDenied: The caller is not the person.
            InvalidInput: The repository is not on this machine.
        """
        if not args.include_uncommitted:
            return
        if principal.name != LOCAL.name:
            raise PermissionDenied(
                "uncommitted work is in the checkout of who runs the server, which is theirs alone "
                "(over stdio); send yours as patch",
                field=_FIELD,
            )
        if not is_local(repository.url):
            raise InvalidInput(
                f"{repository.name} follows {repository.url}, which has no uncommitted work; name "
                "the path of a checkout on this machine as repository, or send the work as patch",
                field=_FIELD,
            )

    async def person(
        self, repository: Repository, commit: str, args: SessionCreate
    ) -> Person | None:
        """Return where the person's uncommitted work is, if it is wanted.

        Raises:
            Conflict: It is not on top of ``commit``.
            InvalidInput: The repository has no working tree.
        """
        if not args.include_uncommitted:
            return None
        try:
            person = await self._locate(repository)
        except ToolFailed as error:
            raise InvalidInput(
                f"{repository.name} has no working tree with uncommitted work: {error.message}",
                field=_FIELD,
            ) from error
        if person.head != commit:
            raise Conflict(
                f"the uncommitted work is on top of {person.head[:12]}, where the person's HEAD "
                f"is, and the session would start at {commit[:12]}",
                field="ref",
                next_call=with_uncommitted(repository, args),
            )
        return person

    async def take(self, person: Person, session: WorkSession, folder: Path, tree: Path) -> Taken:
        """Put the person's uncommitted work into a session's tree.

        Args:
            person: Where it is.
            session: The session, which no command has entered yet.
            folder: A place for our own files, which is not there yet and not there afterwards.
            tree: The session's tree, at the commit.

        Raises:
            InvalidInput: It is too large.
            ToolFailed: Something of it cannot be read.
        """
        objects = self._confinement.folders(session).objects
        async with self._glass(folder, person, objects) as glass:
            found = await glass.look()
            await anyio.to_thread.run_sync(uncommitted.check_size, person, found)
            filtered = await glass.filtered(found)
            taken = await glass.take(found, tree / ".git/objects/pack")
            numbers = await glass.numbers(taken)
        await uncommitted.put(self._confinement.git_in(session), person.head, taken)
        return Taken(numbers, tuple(_notes(found, filtered, person)))

    def look(
        self,
        principal: Principal,
        repository: Repository,
        args: SessionCreate,
        commit: str,
        folder: Path,
    ) -> Look:
        """Begin to look for uncommitted work that a session starts without.

        Not where a patch was sent, which may be that work; nor at another commit than theirs.
        """
        look = Look()
        theirs = principal.name == LOCAL.name and is_local(repository.url)
        if not theirs or args.include_uncommitted or args.patch is not None:
            look.waited.set()
            look.done.set()
        else:
            self._tasks.start_soon(self._look, repository, commit, folder, look)
        return look

    async def _look(self, repository: Repository, commit: str, folder: Path, look: Look) -> None:
        try:
            with look.scope:
                person = await self._locate(repository)
                if person.head != commit:
                    return
                if person.index.stat().st_size > _SMALL_INDEX_BYTES:
                    look.waited.set()
                async with self._glass(folder, person, person.objects) as glass:
                    found = await glass.look()
                look.count, look.shown = found.count, found.shown[:_NAMED]
        except (DebugMcpError, OSError, ValueError):
            pass  # it is bare, or unreadable: nothing that this session is concerned with
        finally:
            look.waited.set()
            look.done.set()

    async def _locate(self, repository: Repository) -> Person:
        environment = user_environment()
        home = Path(environment.get("HOME", "/"))
        configured = environment.get("XDG_CONFIG_HOME") or home / ".config"
        ignore = Path(configured, "git/ignore")
        return await uncommitted.locate(self._confinement.host_git, repository.url, ignore)

    @contextlib.asynccontextmanager
    async def _glass(self, folder: Path, person: Person, objects: Path) -> AsyncIterator[Glass]:
        glass = Glass(folder, person, self._confinement.nobodys_git, objects)
        try:
            await anyio.to_thread.run_sync(glass.lay_out)
            yield glass
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(delete_tree, folder)


def with_uncommitted(repository: Repository, args: SessionCreate) -> NextCall:
    """Return the call that opens the session with the uncommitted work, where that is."""
    return create_again(repository, args, without={"ref", "sync"}, include_uncommitted=True)


def _notes(found: Changes, filtered: list[str], person: Person) -> list[str]:
    """Return what is to be said of uncommitted work beside what it changes."""
    said = []
    if not found.count:
        said.append("there was no uncommitted work: the session is at the commit")
    if found.unmerged:
        said.append(f"not merged, taken with their conflict marks: {_some(found.unmerged)}")
    if found.nested:
        said.append(f"stayed out, as repositories of their own: {_some(found.nested)}")
    if found.submodules:
        said.append(f"submodules that moved stayed where they were: {_some(found.submodules)}")
    if os.path.lexists(person.tree / ".gitmodules"):
        said.append("what is changed inside of submodules stayed out")
    if filtered:
        said.append(f"taken as they are, without the filter that is set: {_some(filtered)}")
    return said


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
