"""Work of sessions in the mirror, and from there to the upstream or into a file.

All of it is git on the mirror, which no session can write: what a session made comes as a bundle.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from debug_mcp.errors import Conflict, ToolFailed
from debug_mcp.worktrees.connections import Connection
from debug_mcp.worktrees.git import FULL_COMMIT, Run, git_call
from debug_mcp.worktrees.mirrors import OURS, Mirror

BRANCHES = "refs/heads/"


async def import_bundle(mirror: Mirror, bundle: Path, base: str, ref: str) -> str:
    """Take the HEAD of a bundle that a session made as ``ref``; return its commit.

    Args:
        mirror: Where to.
        bundle: Commits on top of ``base`` and what came before it.
        base: A commit of ours.
        ref: One of our own; it is moved, whatever it names.

    Raises:
        ToolFailed: The bundle is damaged, or misses commits that we do not have either.
    """
    await _import(mirror, bundle, base, f"+HEAD:{ref}")
    return await mirror.commit(ref)


async def import_refs(mirror: Mirror, bundle: Path, base: str, prefix: str) -> None:
    """Take all refs of a bundle below ``prefix``. Args and errors as of ``import_bundle``."""
    await _import(mirror, bundle, base, f"+{OURS}/*:{prefix}*")


async def name_known(mirror: Mirror, refs: Mapping[str, str], prefix: str) -> bool:
    """Keep names that a session gave to commits of the upstream; return whether there are any.

    A bundle has no commit that its receiver knows, and so no name for it either.
    """
    published = await _published(mirror, refs.values())
    known = {name: oid for name, oid in refs.items() if oid in published}
    lines = "".join(f"update {prefix}{name[5:]} {oid}\n" for name, oid in known.items())
    if known:
        call = mirror.call("update-ref", "--stdin")
        await git_call(mirror.run, replace(call, stdin=lines.encode()))
    return bool(known)


async def _published(mirror: Mirror, objects: Iterable[str]) -> set[str]:
    """Return those of some object ids that are commits in the upstream's history."""
    asked = "".join(f"{oid}\n" for oid in objects if FULL_COMMIT.fullmatch(oid))
    look = replace(mirror.call("cat-file", "--batch-check"), stdin=asked.encode())
    answer = (await git_call(mirror.run, look)).decode("ascii", "replace")
    commits = {line.split()[0] for line in answer.splitlines() if " commit " in line}
    walk = mirror.call("rev-list", "--stdin", "--not", "--glob=refs/heads", "--glob=refs/tags")
    given = "".join(f"{oid}\n" for oid in commits)
    missing = await git_call(mirror.run, replace(walk, stdin=given.encode()))
    return commits - set(missing.decode("ascii").split())


async def names_below(mirror: Mirror, prefix: str) -> list[str]:
    """Return the names of refs below a prefix, without it.

    A removed repository that nobody needs has no mirror any more, and so none.
    """
    if not mirror.path.exists():
        return []
    listed = await mirror.git("for-each-ref", "--format=%(refname)", prefix)
    names = listed.decode("utf-8", "replace").splitlines()
    return [name.removeprefix(prefix) for name in names]


async def _import(mirror: Mirror, bundle: Path, base: str, refspec: str) -> None:
    # The base gets a ref while git takes only what it can reach: the upstream may have
    # rewritten its history since the session started there.
    await mirror.git("update-ref", f"{OURS}/bases/{base}", base)
    try:
        await mirror.git(
            "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance",
            "--no-recurse-submodules", "--end-of-options", str(bundle), refspec,
        )  # fmt: skip
    except ToolFailed as error:
        # Where it is on the host is nothing to the caller.
        raise ToolFailed(error.message.replace(str(bundle), "the session")) from error


async def bundle(mirror: Mirror, ref: str, base: str, target: Path) -> None:
    """Write the commits of a ref of ours that ``base`` has not to a bundle; it holds the ref.

    Raises:
        ToolFailed: It cannot be written.
    """
    await mirror.git("bundle", "create", "--quiet", str(target), ref, f"^{base}")


async def push(mirror: Mirror, ref: str, branch: str, connection: Connection, run: Run) -> None:
    """Make a new branch of the upstream from a ref of ours; never move one that is there.

    Args:
        mirror: Where it is.
        ref: What to push, by its full name.
        branch: The name without ``refs/heads/``.
        connection: How to get there.
        run: Git with the connection's environment.

    Raises:
        Conflict: There is such a branch, at another commit.
        ToolFailed: The upstream refuses, or cannot be reached; the message is git's own.
    """
    url, commit, full = connection.upstream.url, await mirror.commit(ref), f"{BRANCHES}{branch}"
    listed = await git_call(
        run, mirror.call("ls-remote", "--end-of-options", url, full, over=connection)
    )
    there = listed.decode("utf-8", "replace").partition("\t")[0]
    if there == commit:
        return  # an earlier call, whose answer was lost
    if there:
        raise Conflict(
            f"the upstream has a branch {branch!r} already, at {there[:12]}; nothing was pushed",
            field="branch",
        )
    # The empty lease: it must still not be there when the upstream takes it.
    arguments = (
        "push", "--quiet", "--no-verify", "--recurse-submodules=no",
        f"--force-with-lease={full}:", "--end-of-options", url, f"{commit}:{full}",
    )  # fmt: skip
    await git_call(run, mirror.call(*arguments, over=connection))
