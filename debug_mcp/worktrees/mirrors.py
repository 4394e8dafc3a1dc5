"""Mirrors: bare repositories of our own that follow an upstream. No session can write to one.

Explicit refspecs, because ``--mirror`` would bring every pull request and prune our own refs.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from debug_mcp.alike import closest
from debug_mcp.errors import InvalidInput, NotFound, ToolFailed
from debug_mcp.worktrees.connections import Connection
from debug_mcp.worktrees.extents import Extent, counter, listing_arguments, parse_extent
from debug_mcp.worktrees.fetches import (
    Listing,
    fetch_arguments,
    listing,
    look_arguments,
    met_file_limit,
    parse_listing,
    script,
)
from debug_mcp.worktrees.git import FULL_COMMIT, GitCall, Run, check_ref, git_call, parse_commit

OURS = "refs/debug-mcp"
UPSTREAM_HEAD = f"{OURS}/upstream-head"
_HEAD = f"+HEAD:{UPSTREAM_HEAD}"
# What an upstream gave on request: pull requests, mostly.
_REQUESTED = f"{OURS}/requested"
_EXPORTED = (f"{OURS}/exports", f"{OURS}/rest")
_SYMREF = "ref: refs/heads/"
_BRANCHES = "refs/heads/"
_COMMIT = re.compile(r"[0-9a-fA-F]{4,64}")
_CANDIDATES = 20
# How hosts name the refs of their pull and merge requests.
_REQUEST = re.compile(r"(?:pull|merge-requests)/\d+/(?:head|merge)")
# Beside git's own files: what the upstream listed at the last fetch, and how deep that was.
_NOTED = "debug-mcp-listing"
_DEPTH = "debug-mcp-depth"
# Borrowers break when objects vanish.
_SETTINGS = {"gc.auto": "0", "gc.pruneExpire": "never", "core.logAllRefUpdates": "false"}


class UpstreamHead(NamedTuple):
    """The upstream's default branch; ``HEAD`` for the name when it stands on no branch."""

    ref: str
    commit: str


class Mirror:
    """One bare repository. ``run`` is the host's git."""

    def __init__(self, path: Path, run: Run) -> None:
        self.path = path
        self.run = run

    @property
    def objects(self) -> Path:
        """What sessions borrow from, read-only."""
        return self.path / "objects"

    def clone_call(self, connection: Connection, depth: int | None) -> GitCall:
        """Return the call that makes this mirror, unsettled; nothing may be at its path.

        It writes its progress on standard error.
        """
        kept = (part for key, value in _SETTINGS.items() for part in ("--config", f"{key}={value}"))
        shallow = () if depth is None else (f"--depth={depth}", "--no-single-branch")
        return GitCall(
            ("clone", "--bare", "--progress", "--no-local", "--no-recurse-submodules",
             "--template=", *kept, *shallow, "--", connection.upstream.url, str(self.path)),
            options=connection.options,
        )  # fmt: skip

    async def settle(self, depth: int | None = None) -> UpstreamHead | None:
        """Note where the upstream's HEAD stands in a mirror that was just cloned, and return it.

        None when it stands on a branch that has no commit yet.

        Raises:
            InvalidInput: The upstream has no commit at all.
        """
        (self.path / _DEPTH).write_text(str(depth or ""))
        found = await self.run(
            self.call("rev-parse", "--verify", "--quiet", "--end-of-options", "HEAD^{commit}")
        )
        if found.exit_code == 0:
            await self.git("update-ref", UPSTREAM_HEAD, parse_commit(found.output))
        elif not await self.refs():
            raise InvalidInput(
                "the upstream has no commit: make one there and try again", field="url"
            )
        return await self.head()

    async def head(self) -> UpstreamHead | None:
        """Return where the upstream's HEAD stood at the last fetch; None when it has no commit."""
        # Asked several times by each session: a ref that is a file needs no process to be read.
        commit = (_read(self.path / UPSTREAM_HEAD) or "").strip()
        if not FULL_COMMIT.fullmatch(commit):
            found = await self.run(
                self.call(
                    "rev-parse",
                    "--verify",
                    "--quiet",
                    "--end-of-options",
                    f"{UPSTREAM_HEAD}^{{commit}}",
                )
            )
            if found.exit_code != 0:
                return None
            commit = parse_commit(found.output)
        ref = (self.path / "HEAD").read_text().strip()
        name = ref.removeprefix(_SYMREF) if ref.startswith(_SYMREF) else "HEAD"
        return UpstreamHead(name, commit)

    async def fetch(
        self, connection: Connection, run: Run, depth: int | None = None
    ) -> UpstreamHead | None:
        """Bring every branch and tag to where the upstream has it; return its HEAD.

        One look when nothing has changed there since the last time.

        Args:
            connection: How to get there.
            run: Git with the connection's environment.
            depth: Commits of each branch; when it changed, the mirror's history is cut anew.

        Raises:
            ToolFailed: The upstream cannot be read; the message is git's own.
        """
        look, fetch = self._fetch_calls(connection, depth)
        names = await git_call(run, look)
        seen = listing(names.decode("utf-8", "surrogateescape"), depth)
        noted = self.path / _NOTED
        if _read(noted) != seen.text:
            noted.unlink(missing_ok=True)
            head = () if seen.commit is None else (_HEAD,)
            await git_call(run, replace(fetch, arguments=(*fetch.arguments, *head)))
            await self._note(seen)
        # Asked of the mirror: the upstream may have moved between the listing and the fetch.
        return await self.head()

    def fetch_script(
        self, connection: Connection, into: Path, depth: int | None = None
    ) -> tuple[str, ...]:
        """Return the command line that does as ``fetch``, but for what ``settle_fetch`` does.

        It writes its progress on standard error, and what the upstream listed to ``into``.
        """
        look, fetch = self._fetch_calls(connection, depth, "--progress")
        return script(look, fetch, _HEAD, into, self.path / _NOTED, depth)

    async def settle_fetch(self, listed: Path) -> UpstreamHead | None:
        """Note what a fetch brought whose script has ended well; return the upstream's HEAD."""
        seen = parse_listing(_read(listed) or "")
        if _read(self.path / _NOTED) != seen.text:
            await self._note(seen)
        return await self.head()

    def mend(self) -> None:
        """Remove what a fetch that was killed left locked or half-written; none may be running."""
        for pattern in ("*.lock", "refs/**/*.lock", "objects/pack/tmp_*", "objects/??/tmp_obj_*"):
            for path in self.path.glob(pattern):
                path.unlink(missing_ok=True)

    def _fetch_calls(
        self, connection: Connection, depth: int | None, *further: str
    ) -> tuple[GitCall, GitCall]:
        url = connection.upstream.url
        fetch = fetch_arguments(url, *self._deepened(depth), *further)
        return (
            self.call(*look_arguments(url), over=connection),
            self.call(*fetch, over=connection),
        )

    async def _note(self, seen: Listing) -> None:
        """Bring HEAD to where the upstream has it, and keep what it listed."""
        if seen.commit is None:
            await self.git("update-ref", "-d", UPSTREAM_HEAD)
        if seen.branch is not None:
            await self.git("symbolic-ref", "HEAD", f"{_BRANCHES}{seen.branch}")
        elif seen.commit is not None:
            await self.git("update-ref", "--no-deref", "HEAD", UPSTREAM_HEAD)
        (self.path / _DEPTH).write_text(str(seen.depth or ""))
        # Not when it moved between the two looks: then the next call looks again.
        if await self.refs() == seen.refs:
            (self.path / _NOTED).write_text(seen.text, "utf-8", "surrogateescape")

    def _deepened(self, depth: int | None) -> tuple[str, ...]:
        """Return how a fetch makes the history as deep as it shall be, where it is not."""
        if (_read(self.path / _DEPTH) or "") == str(depth or ""):
            return ()
        if depth is not None:
            return (f"--depth={depth}",)
        return ("--unshallow",) if (self.path / "shallow").exists() else ()

    async def extent(self, commit: str, most: int | None = None) -> Extent:
        """Return how much there is to check out of a commit; counting ends beyond ``most``."""
        call = replace(self.call(*listing_arguments(commit)), through=counter(most))
        return parse_extent(await git_call(self.run, call))

    async def missing_parts(self, commit: str) -> tuple[bool, bool]:
        """Return whether a commit has submodules, and files that Git LFS keeps.

        Neither comes with a clone: the tree has empty folders, and pointers.
        """
        names = (".gitmodules", ".gitattributes")
        listed = await self.git("ls-tree", "--name-only", "-z", commit, "--", *names)
        present = listed.decode().split("\0")
        lfs = False
        if ".gitattributes" in present:
            look = ("grep", "--quiet", "--fixed-strings", "-e", "filter=lfs", commit, "--")
            lfs = (await self.run(self.call(*look, ".gitattributes"))).exit_code == 0
        return ".gitmodules" in present, lfs

    async def branches(self) -> list[str]:
        """Return the names of the upstream's branches, sorted, as they can be shown."""
        return [
            shown(name.removeprefix(_BRANCHES))
            for name, _ in await self.refs()
            if name.startswith(_BRANCHES)
        ]

    async def resolve(self, ref: str, sessions: Sequence[str] = ()) -> str:
        """Return the full commit id of a branch, tag, commit id or ``HEAD``.

        Args:
            ref: Its name.
            sessions: Whose exported work may be named too, by commit id.

        Raises:
            InvalidInput: The name could not be one of these.
            NotFound: There is no such ref; the candidates are the branches and newest tags.
        """
        if ref == "HEAD":
            head = await self.head()
            if head is None:
                raise NotFound(
                    "the upstream's HEAD stands on a branch without a commit: name another",
                    field="ref",
                    candidates=(await self.branches())[:_CANDIDATES],
                )
            return head.commit
        name = check_ref(ref, "ref")
        commit = await self._commit_of(name, sessions)
        if commit is None:
            raise NotFound(
                f"no branch, tag or commit {ref!r} in this repository",
                field="ref",
                candidates=_names_like(ref, await self.refs()),
            )
        return commit

    async def request(self, ref: str, connection: Connection, run: Run) -> bool:
        """Fetch what is no branch and no tag: a pull request, or a commit that none of them has.

        Returns whether the upstream gave it; ``resolve`` finds it then.

        Raises:
            ToolFailed: It is larger than what ``run`` may write.
        """
        wanted = f"refs/{ref}" if _REQUEST.fullmatch(ref) else ref
        whole = FULL_COMMIT.fullmatch(wanted)
        # Git takes a commit that is there for one that came from the upstream.
        if await self._first([wanted]) if whole else not wanted.startswith("refs/"):
            return False
        found = await run(
            self.call(
                "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance",
                "--no-recurse-submodules", "--update-shallow", "--end-of-options",
                connection.upstream.url, f"+{wanted}:{_REQUESTED}/{wanted}",
                over=connection,
            )
        )  # fmt: skip
        if met_file_limit(found.message):
            raise ToolFailed(
                f"{ref} is not fetched: the mirror would take more disk than the operator's "
                "setting repository_bytes allows"
            )
        return found.exit_code == 0

    async def refs(self) -> list[tuple[str, str]]:
        """Return (full name, object id) of every branch and tag, sorted by name."""
        output = await self.git(
            "for-each-ref", "--format=%(refname) %(objectname)", "refs/heads", "refs/tags"
        )
        lines = output.decode("utf-8", "surrogateescape").split("\n")
        return sorted(
            (name, oid) for name, _, oid in (line.partition(" ") for line in lines if line)
        )

    async def count(self, prefix: str) -> int:
        """Return how many refs there are below a prefix."""
        return len((await self.git("for-each-ref", "--format=x", prefix)).split())

    async def commit(self, ref: str) -> str:
        """Return the commit of a ref, given by its full name; one of our own is meant.

        Raises:
            ToolFailed: There is no such ref.
        """
        return parse_commit(
            await self.git("rev-parse", "--verify", "--end-of-options", f"{ref}^{{commit}}")
        )

    async def _commit_of(self, name: str, sessions: Sequence[str] = ()) -> str | None:
        """Return the full id of the commit that a branch, tag or commit id stands for, or None.

        Only these: refs of our own hold the work of sessions, which may be somebody else's.
        """
        spellings = [f"refs/tags/{name}", f"{_BRANCHES}{name}"]
        if name.startswith((_BRANCHES, "refs/tags/")):
            spellings.append(name)
        if name.startswith("origin/"):  # as branches are called inside of a session
            spellings.append(name.replace("origin/", _BRANCHES, 1))
        spellings += [f"{_REQUESTED}/{name}", f"{_REQUESTED}/refs/{name}"]
        found = await self._first(spellings)
        if found is not None or not _COMMIT.fullmatch(name):
            return found
        commit = await self._first([name])
        if commit is None or await self._is_published(commit, sessions):
            return commit
        # What the upstream has dropped is still there, for those who know all of its name.
        whole = FULL_COMMIT.fullmatch(name)
        return commit if whole and not await self._is_exported(commit) else None

    async def _first(self, spellings: Sequence[str]) -> str | None:
        """Return the commit of the first of some names that has one."""
        asked = "".join(f"{spelling}^{{commit}}\n" for spelling in spellings)
        call = self.call("cat-file", "--batch-check=%(objecttype) %(objectname)")
        answer = await git_call(self.run, replace(call, stdin=asked.encode()))
        lines = answer.decode("utf-8", "replace").splitlines()
        return next((line[7:] for line in lines if line.startswith("commit ")), None)

    async def _is_published(self, commit: str, sessions: Sequence[str]) -> bool:
        """Return whether the upstream or one of these sessions has a commit in its history.

        The mirror has the work of all sessions, and a few digits of an id are soon guessed.
        """
        # A pattern without a wildcard would mean what is below it.
        prefixes = ("refs/heads", "refs/tags", _REQUESTED, f"{UPSTREAM_HEAD[:-1]}[d]")
        own = (f"{kind}/{session}" for session in sessions for kind in _EXPORTED)
        globs = (f"--glob={prefix}" for prefix in (*prefixes, *own))
        missing = await self.git("rev-list", "--max-count=1", commit, "--not", *globs)
        return not missing.strip()

    async def _is_exported(self, commit: str) -> bool:
        """Return whether it is the work of a session."""
        found = await self.git(
            "for-each-ref", "--count=1", "--format=x", f"--contains={commit}", *_EXPORTED
        )
        return bool(found)

    async def git(self, *arguments: str) -> bytes:
        """Run git on the mirror and return its output.

        Raises:
            ToolFailed: It failed; the message is git's own.
        """
        return await git_call(self.run, self.call(*arguments))

    def call(self, *arguments: str, over: Connection | None = None) -> GitCall:
        """Return a call of git on the mirror, over a connection if it goes to the upstream."""
        options = () if over is None else over.options
        return GitCall((f"--git-dir={self.path}", *arguments), options=options)


def is_request(ref: str) -> bool:
    """Return whether a ref is one that hosts keep for pull and merge requests and their like."""
    named = ref.startswith("refs/") and not ref.startswith((_BRANCHES, "refs/tags/"))
    return named or _REQUEST.fullmatch(ref) is not None


def _names_like(wanted: str, refs: list[tuple[str, str]]) -> list[str]:
    """Return branches and tags that somebody who wrote ``wanted`` may have meant."""
    names = [shown(re.sub(r"^refs/(?:heads|tags)/", "", name)) for name, _ in refs]
    inside = [name for name in names if wanted in name]
    near = closest(wanted, names, _CANDIDATES, 0.3)
    found = list(dict.fromkeys([*near, *inside]))
    return (found or names)[:_CANDIDATES]


def shown(name: str) -> str:
    """Return a name of git's, which need not be UTF-8, as text."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _read(path: Path) -> str | None:
    try:
        return path.read_text("utf-8", "surrogateescape")
    except OSError:
        return None
