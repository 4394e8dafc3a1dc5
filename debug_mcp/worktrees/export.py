"""Work on its way out of a session: a commit, a bundle, a patch. It leaves as bytes.

Every function takes git in the session's sandbox, at the tree's root: hooks, filters and
configuration that a command planted there run, if at all, inside the boundary.
"""

from collections.abc import Mapping
from dataclasses import replace

from debug_mcp.errors import ToolFailed
from debug_mcp.worktrees.git import GitCall, Result, Run, git, git_call, parse_commit

_OUT = "refs/debug-mcp/"
_TAKE = ("--add", "--remove", "--replace")
_ODD = """!xargs -0 sh -c 'for path do
if [ -e "$path" ] && ! [ -f "$path" ] && ! [ -d "$path" ] && ! [ -L "$path" ]; then
printf "%s\\0" "$path"; fi; done' sh"""


async def commit_everything(run: Run, message: str) -> list[str]:
    """Commit what is changed or untracked, if anything is.

    Returns what stays out: folders that are git repositories of their own, as ``git add`` would
    take no file of theirs either, and fails at one without a commit; and pipes, sockets and devices
    that stand where a file was.
    """
    listing = await git(
        run, "ls-files", "-t", "-z", "--modified", "--deleted", "--others", "--exclude-standard"
    )
    entries = [(entry[:1], entry[2:]) for entry in listing.split(b"\0") if entry]
    removed = {path for tag, path in entries if tag == b"R"}
    changed = {path for _, path in entries} - removed
    own = sorted(path for path in changed if path.endswith(b"/"))
    # First what is gone: a folder may stand where a file was, and a file where a folder was.
    await _update_index(run, ("--force-remove",), removed)
    taken = changed - set(own)
    try:
        await _update_index(run, _TAKE, taken)
    except ToolFailed as error:
        if "unsupported file type" not in error.message:
            raise
        odd = await _odd(run, taken)
        own += sorted(odd)
        await _update_index(run, ("--force-remove",), odd)
        await _update_index(run, _TAKE, taken - odd)
    staged = await run(GitCall(("diff", "--cached", "--quiet", "--no-ext-diff")))
    if staged.exit_code != 0:
        await git(run, "commit", "--quiet", "--no-verify", "--file=-", stdin=message.encode())
    return [path.decode("utf-8", "replace") for path in own]


async def _odd(run: Run, paths: set[bytes]) -> set[bytes]:
    """Return those of some paths that are neither file, link nor folder."""
    alias = ("alias.debug-mcp-odd", _ODD)
    listed = b"".join(path + b"\0" for path in sorted(paths))
    found = await git_call(run, GitCall(("debug-mcp-odd",), listed, (alias,)))
    return {path for path in found.split(b"\0") if path}


async def unfiltered(run: Run) -> Run:
    """Return git without the filters that are configured in the tree's git directory."""
    listed = await run(GitCall(("config", "--name-only", "-z", "--get-regexp", r"^filter\.")))
    keys = listed.output.decode("utf-8", "surrogateescape").split("\0")
    names = {key.partition(".")[2].rpartition(".")[0] for key in keys if key}
    off = tuple(
        (f"filter.{name}.{key}", value)
        for name in sorted(names)
        for key, value in (("clean", ""), ("smudge", ""), ("process", ""), ("required", "false"))
    )

    async def without(call: GitCall) -> Result:
        return await run(replace(call, options=(*call.options, *off)))

    return without


async def _update_index(run: Run, options: tuple[str, ...], paths: set[bytes]) -> None:
    if paths:
        listed = b"".join(path + b"\0" for path in sorted(paths))
        await git(run, "update-index", *options, "-z", "--stdin", stdin=listed)


async def head(run: Run) -> str:
    """Return the commit of HEAD."""
    return parse_commit(
        await git(run, "rev-parse", "--verify", "--end-of-options", "HEAD^{commit}")
    )


async def branch(run: Run) -> str | None:
    """Return the full name of the branch that is checked out, or None."""
    found = await run(GitCall(("symbolic-ref", "--quiet", "HEAD")))
    return found.output.decode("utf-8", "replace").strip() or None


async def has_commits(run: Run, base: str) -> bool:
    """Return whether HEAD has commits that ``base`` has not."""
    return bool(await git(run, "rev-list", "--max-count=1", "HEAD", f"^{base}", "--"))


async def is_sound(run: Run, base: str) -> bool:
    """Return whether git can still work in the tree: a command may have broken its directory."""
    try:
        history = await run(GitCall(("rev-list", "--max-count=1", "HEAD", base, "--")))
        index = await run(GitCall(("diff", "--cached", "--quiet", "--no-ext-diff")))
    except ToolFailed:
        return False
    return history.exit_code == 0 and index.exit_code in (0, 1)


async def bundle(run: Run, base: str, into: int) -> None:
    """Write a bundle of the commits of HEAD that ``base`` has not to an open file.

    There must be one. It goes to a file, because work may be larger than memory should hold.
    """
    arguments = ("bundle", "create", "--quiet", "-", "HEAD", f"^{base}")
    await git_call(run, GitCall(arguments, into=into))


async def others(run: Run, known: Mapping[str, str]) -> dict[str, str]:
    """Return what else a session made: branches, tags, notes and stashes, with their objects.

    Args:
        run: Git in the session's sandbox.
        known: Commits of branches and tags that it started with, by their full names.
    """
    kinds = ("refs/heads", "refs/tags", "refs/notes")
    listed = await git(run, "for-each-ref", "--format=%(objectname) %(refname)", *kinds)
    refs = {}
    for line in listed.decode("utf-8", "replace").splitlines():
        oid, _, name = line.partition(" ")
        if known.get(name) != oid:
            refs[name] = oid
    stashed = await run(GitCall(("log", "--walk-reflogs", "--format=%H", "refs/stash", "--")))
    for number, oid in enumerate(stashed.output.decode("ascii", "replace").split()):
        refs[f"refs/stashes/{number}"] = oid
    return refs


async def bundle_of(run: Run, refs: Mapping[str, str], base: str, into: int) -> bool:
    """Write a bundle of refs of a session to an open file; return whether there was anything new.

    They stand in it below ``refs/debug-mcp/``, since a bundle names refs and not commits.
    """
    lines = "".join(f"update {_OUT}{name[5:]} {oid}\n" for name, oid in refs.items())
    await git(run, "update-ref", "--stdin", stdin=lines.encode())
    made = await run(
        GitCall(("bundle", "create", "--quiet", "-", f"--glob={_OUT}*", f"^{base}"), into=into)
    )
    if made.exit_code != 0 and "empty bundle" not in made.message:
        raise ToolFailed(f"git bundle failed: {made.message}", exit_code=made.exit_code)
    return made.exit_code == 0


async def patch(run: Run, base: str, into: int) -> None:
    """Write the difference from ``base`` to HEAD to an open file, binary files included."""
    arguments = (
        "diff", "--binary", "--no-ext-diff", "--no-textconv", "--no-color",
        "--end-of-options", base, "HEAD", "--",
    )  # fmt: skip
    await git_call(run, GitCall(arguments, into=into))
