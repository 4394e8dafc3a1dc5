"""Private working trees: a git directory of its own that borrows the mirror's objects.

Not ``git worktree``: with that, a session could write hooks and configuration of the shared
repository, move its branches and delete its objects.
"""

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from debug_mcp.folders import delete_tree
from debug_mcp.worktrees.git import Run, git

# What set-up and test runs leave behind, so that it does not end up in anybody's branch.
_LOCKS = ("index.lock", "HEAD.lock")
_FILES = ("HEAD", "index", "config")
_EXCLUDED = (
    "__pycache__/", "*.pyc", ".pytest_cache/", ".mypy_cache/", ".ruff_cache/", ".hypothesis/",
    ".tox/", ".nox/", ".venv/", "*.egg-info/", ".coverage", "node_modules/",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Identity:
    """Who commits in a session."""

    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Checkout:
    """What a new tree starts from."""

    tree: Path
    objects: Path
    branch: str
    commit: str
    refs: list[tuple[str, str]]
    upstream_head: str | None
    identity: Identity
    # Where a remote upstream is, for a command that has the network; a path would tell too much.
    origin: str | None = None
    # Paths of the tree that are built and not written by anybody.
    excluded: tuple[str, ...] = ()


def lay_out(checkout: Checkout) -> None:
    """Write the git directory of a new tree; the files come with ``fill``.

    By hand and not by ``git init``: some small files, and no process.
    """
    folder = checkout.tree / ".git"
    for name in ("objects/info", "objects/pack", "refs/heads", "refs/tags", "info"):
        (folder / name).mkdir(parents=True)
    branch = folder / "refs/heads" / checkout.branch
    branch.parent.mkdir(parents=True, exist_ok=True)
    branch.write_text(f"{checkout.commit}\n")
    (folder / "HEAD").write_text(f"ref: refs/heads/{checkout.branch}\n")
    (folder / "objects/info/alternates").write_text(f"{checkout.objects}\n")
    (folder / "packed-refs").write_bytes(_packed_refs(checkout.refs))
    if checkout.upstream_head is not None:
        origin = folder / "refs/remotes/origin"
        origin.mkdir(parents=True)
        (origin / "HEAD").write_text(f"ref: refs/remotes/origin/{checkout.upstream_head}\n")
    excluded = (*_EXCLUDED, *(f"/{_literally(path)}" for path in checkout.excluded))
    (folder / "info/exclude").write_text("".join(f"{line}\n" for line in excluded))
    (folder / "config").write_text(_config(checkout.identity, checkout.origin))
    shallow = checkout.objects.parent / "shallow"
    if shallow.exists():
        (folder / "shallow").write_bytes(shallow.read_bytes())


def _literally(path: str) -> str:
    """Return the pattern that means this path alone."""
    return re.sub(r"([\\*?\[\]\s])", r"\\\1", path)


def lay_out_again(checkout: Checkout) -> None:
    """Give a tree that nobody has used a new git directory, if it has one; its index stays.

    So nothing of a prepared tree but its files and the index reaches the session that gets it.
    """
    former = checkout.tree.with_name(f"{checkout.tree.name}.git")
    with contextlib.suppress(FileNotFoundError):
        (checkout.tree / ".git").rename(former)
    lay_out(checkout)
    with contextlib.suppress(FileNotFoundError):
        (former / "index").rename(checkout.tree / ".git/index")
    delete_tree(former)


def locks(tree: Path) -> list[tuple[str, int]]:
    """Return git's locks on a tree that are there now: name and inode."""
    found = []
    with _git_directory(tree) as folder:
        for name in _LOCKS if folder is not None else ():
            with contextlib.suppress(OSError):
                found.append((name, os.stat(name, dir_fd=folder, follow_symlinks=False).st_ino))
    return found


def drop_locks(tree: Path, seen: list[tuple[str, int]]) -> None:
    """Remove locks that a git which was killed left; none may hold those that were seen."""
    there = dict(locks(tree))
    with _git_directory(tree) as folder:
        for name, inode in seen:
            if there.get(name) == inode:
                with contextlib.suppress(OSError):
                    os.unlink(name, dir_fd=folder)


def oddity(tree: Path) -> str | None:
    """Name what stands in a tree's git directory where git expects a file: it could wait for ever.

    None when nothing does; a command may have put a FIFO there.
    """
    with _git_directory(tree) as folder:
        for name in _FILES if folder is not None else ():
            with contextlib.suppress(OSError):
                if not stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                    return f".git/{name}"
    return None


@contextlib.contextmanager
def _git_directory(tree: Path) -> Iterator[int | None]:
    """Open it by descriptor, following no link: the tree may be hostile."""
    try:
        folder = os.open(tree / ".git", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        yield None  # not a folder any more: there is nothing that could be locked
        return
    try:
        yield folder
    finally:
        os.close(folder)


async def note_files(run: Run) -> None:
    """Fill the index of a git directory that was laid out around files that are there."""
    await git(run, "read-tree", "HEAD")


async def fill(run: Run) -> None:
    """Write the files of the commit into a tree that was laid out.

    Args:
        run: Git in the session's sandbox, at the tree's root.
    """
    await git(run, "read-tree", "--reset", "-u", "HEAD")


def _packed_refs(refs: list[tuple[str, str]]) -> bytes:
    """Return the upstream's branches as ``origin/*``, and its tags."""
    renamed = sorted(
        (name.replace("refs/heads/", "refs/remotes/origin/", 1).encode("utf-8", "surrogateescape"),
         oid.encode("ascii"))
        for name, oid in refs
    )  # fmt: skip
    lines = [b"# pack-refs with: sorted", *(b"%b %b" % (oid, name) for name, oid in renamed)]
    return b"".join(b"%b\n" % line for line in lines)


def _config(identity: Identity, origin: str | None) -> str:
    url = "" if origin is None else f"\turl = {_quoted(origin)}\n"
    return (
        "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n"
        "\tlogallrefupdates = true\n"
        # So that `git switch NAME` finds the upstream's branches.
        f'[remote "origin"]\n{url}\tfetch = +refs/heads/*:refs/remotes/origin/*\n'
        f"[user]\n\tname = {_quoted(identity.name)}\n\temail = {_quoted(identity.email)}\n"
    )


def _quoted(value: str) -> str:
    """Return a value that git's configuration reads back as it is."""
    plain = "".join(character for character in value if character.isprintable()) or "unknown"
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'
