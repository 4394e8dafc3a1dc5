"""A person's uncommitted work: read out of their checkout, with nothing of theirs written.

Git looks at their files through a git directory of ours: a copy of their index, their objects to
borrow, and of their configuration only what says how files are read. So no hook, filter or monitor
of theirs runs, and what git writes is written here. Their files become a tree object, which reaches
a session as a pack; there it is checked out on top of the commit.
"""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from debug_mcp.errors import InvalidInput, ToolFailed
from debug_mcp.worktrees.git import FULL_COMMIT, GitCall, Result, Run, git, git_call, parse_commit
from debug_mcp.worktrees.patches import Numbers, changes

LIMIT_BYTES = 256 * 1024 * 1024
_LARGEST_NAMED = 3
# How files are read; anything else could name a program.
_SETTINGS = "excludesfile|autocrlf|eol|filemode|symlinks|ignorecase|precomposeunicode"
_NOTHING = "000000"


@dataclass(frozen=True, slots=True)
class Person:
    """Where a person's checkout is, what it stands on, and how its files are read."""

    tree: Path
    head: str
    index: Path
    objects: Path
    info: Path
    options: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Changes:
    """What differs from the commit: paths as git has them, in bytes.

    What is only staged is in neither list, as the index has it already. ``nested`` are
    repositories inside of the checkout, ``submodules`` those that moved: they stay out.
    """

    count: int = 0
    shown: list[str] = field(default_factory=list)
    written: list[bytes] = field(default_factory=list)
    removed: list[bytes] = field(default_factory=list)
    unmerged: list[str] = field(default_factory=list)
    nested: list[str] = field(default_factory=list)
    submodules: list[str] = field(default_factory=list)

    def note(self, path: bytes, *, gone: bool = False, staged: bool = False) -> None:
        """Count a path, and keep where its content comes from."""
        self.count += 1
        self.shown.append(_shown(path))
        if not staged:
            (self.removed if gone else self.written).append(path)


async def locate(run: Run, path: str, ignore: Path) -> Person:
    """Find a person's checkout.

    Args:
        run: Git with the person's configuration.
        path: A folder of their repository.
        ignore: The file of patterns to ignore that counts where they have named none.

    Raises:
        ToolFailed: It is no checkout, such as a bare repository; the message is git's own.
    """
    output = await git(
        run, "-C", path, "rev-parse", "--path-format=absolute", "--show-toplevel",
        "--git-path", "index", "--git-path", "objects", "--git-path", "info", "HEAD^{commit}",
    )  # fmt: skip
    lines = os.fsdecode(output).splitlines()
    if len(lines) != 5 or not FULL_COMMIT.fullmatch(lines[4]):
        raise ToolFailed(f"{path} cannot be read: its path has a line break in it")
    asked = ("config", "--null", "--show-scope", "--type=path", "--get-regexp")
    found = await run(GitCall(("-C", path, *asked, rf"^core\.({_SETTINGS})$")))
    parts = os.fsdecode(found.output).split("\0")
    settings = {}
    # What is nearer to the repository comes later; what we force on git is no setting of theirs.
    for scope, entry in zip(parts[0::2], parts[1::2], strict=False):
        key, equals, value = entry.partition("\n")
        if scope != "command":
            settings[key] = value if equals else "true"
    options = {"core.excludesfile": str(ignore), **settings}
    tree, index, objects, info = (Path(line) for line in lines[:4])
    return Person(tree, lines[4], index, objects, info, tuple(options.items()))


class Glass:
    """A git directory of ours, to look at a person's checkout through. Its user removes it.

    ``objects`` are the mirror's: whatever their HEAD stands on is there too.
    """

    def __init__(self, folder: Path, person: Person, run: Run, objects: Path) -> None:
        self._folder = folder
        self._person = person
        self._run = run
        self._objects = objects

    def lay_out(self) -> None:
        """Write it; blocks, so call it in a thread."""
        person = self._person
        for name in ("objects/info", "refs", "info"):
            (self._folder / name).mkdir(mode=0o700, parents=True)
        (self._folder / "HEAD").write_text(f"{person.head}\n")
        self._borrow(person.objects)
        copied = [(person.info / name, f"info/{name}") for name in ("exclude", "attributes")]
        shared = person.index.parent.glob("sharedindex.*")
        for source, name in (*copied, (person.index, "index"), *((s, s.name) for s in shared)):
            if source.exists():
                # With its time: git looks again at files that are not older than their index.
                shutil.copy2(source, self._folder / name)

    async def look(self) -> Changes:
        """Return what differs from the commit, ignored files apart."""
        output = await self._git(
            "status", "--porcelain=v2", "-z", "--untracked-files=all", "--no-renames",
            "--ignore-submodules=dirty",
        )  # fmt: skip
        found = Changes()
        for entry in output.split(b"\0"):
            _note(found, entry)
        return found

    async def take(self, found: Changes, packs: Path) -> str:
        """Make a tree object of the person's files; return its id.

        Args:
            found: What ``look`` returned.
            packs: The folder where the tree and what is new in it are written, as one pack.

        Raises:
            ToolFailed: A file cannot be read; the message is git's own.
        """
        # Git sets the time of an object that it would write and finds in what it borrows, so it
        # borrows from us alone while it writes; what is only staged it need not find for that.
        self._borrow(self._objects)
        # Removed first: where a folder was, there may be a file now.
        await self._update(("--force-remove",), found.removed)
        await self._update(("--add", "--remove", "--replace"), found.written)
        tree = parse_commit(await self._git("write-tree", "--missing-ok"))
        self._borrow(self._objects, self._person.objects)
        wanted = f"{tree}\n^{self._person.head}^{{tree}}\n".encode()
        await self._git("pack-objects", "--quiet", "--revs", str(packs / "pack"), stdin=wanted)
        return tree

    async def numbers(self, tree: str) -> Numbers:
        """Return what a tree that was taken changes."""
        return await changes(self._git_here, self._person.head, tree)

    async def filtered(self, found: Changes) -> list[str]:
        """Return which of the files a filter of the person's would have changed (git-lfs, say)."""
        if not found.written:
            return []
        asked = ("check-attr", "--stdin", "-z", "filter")
        output = await self._git(*asked, stdin=_listed(found.written))
        fields = output.split(b"\0")
        values = zip(fields[0::3], fields[2::3], strict=False)
        return [_shown(path) for path, value in values if value not in (b"unspecified", b"unset")]

    def _borrow(self, *objects: Path) -> None:
        lines = "".join(f"{folder}\n" for folder in objects)
        (self._folder / "objects/info/alternates").write_text(lines)

    async def _update(self, how: Sequence[str], paths: list[bytes]) -> None:
        if paths:
            await self._git("update-index", *how, "-z", "--stdin", stdin=_listed(paths))

    async def _git(self, *arguments: str, stdin: bytes = b"") -> bytes:
        return await git_call(self._git_here, GitCall(arguments, stdin))

    async def _git_here(self, call: GitCall) -> Result:
        tree = str(self._person.tree)
        located = (f"--git-dir={self._folder}", f"--work-tree={tree}", "-C", tree)
        arguments = (*located, *call.arguments)
        return await self._run(GitCall(arguments, call.stdin, self._person.options))


def check_size(person: Person, found: Changes) -> None:
    """Do nothing when the files are not too much to copy; blocks, so call it in a thread.

    Raises:
        InvalidInput: They are; the largest are named.
    """
    sizes = {}
    for path in found.written:
        try:
            sizes[path] = (person.tree / os.fsdecode(path)).lstat().st_size
        except OSError:
            sizes[path] = 0  # gone since, or git says better what is wrong with it
    if sum(sizes.values()) > LIMIT_BYTES:
        largest = sorted(sizes, key=lambda path: -sizes[path])[:_LARGEST_NAMED]
        raise InvalidInput(
            f"the uncommitted files have {sum(sizes.values())} bytes, the limit is {LIMIT_BYTES}; "
            f"the largest: {', '.join(map(_shown, largest))}. Files that .gitignore names stay out",
            field="include_uncommitted",
        )


async def put(run: Run, base: str, tree: str) -> None:
    """Check a tree object out on top of a commit, as changes that are not committed.

    New files are noted as such, so that ``git diff`` shows them.

    Args:
        run: Git in the session's sandbox, at the root of a tree that stands at ``base``.
        base: The commit.
        tree: What ``Glass.take`` returned; the session's repository has its pack.
    """
    await git(run, "read-tree", "-m", "-u", base, tree)
    await git(run, "reset", "--quiet", "--intent-to-add", base)


def _note(found: Changes, entry: bytes) -> None:
    """Read one entry of ``git status --porcelain=v2``."""
    kind, _, rest = entry.partition(b" ")
    if kind == b"?":
        if rest.endswith(b"/"):
            found.nested.append(_shown(rest))
        else:
            found.note(rest)
    elif kind == b"1":
        state, submodule, *_, path = rest.split(b" ", 7)
        if submodule.startswith(b"S"):
            found.submodules.append(_shown(path))
        else:
            found.note(path, gone=state[1:] == b"D", staged=state[1:] == b".")
    elif kind == b"u":
        _, submodule, _, _, _, mode, _, _, _, path = rest.split(b" ", 9)
        found.unmerged.append(_shown(path))
        found.note(path, gone=mode == _NOTHING.encode())


def _listed(paths: list[bytes]) -> bytes:
    return b"".join(path + b"\0" for path in paths)


def _shown(path: bytes) -> str:
    return path.decode("utf-8", "replace")
