"""Work on its way out of a session: a commit, a bundle, a patch. It leaves as bytes.

Every function takes git in the session's sandbox, at the tree's root: hooks, filters and
configuration that a command planted there run, if at all, inside the boundary.
"""

from debug_mcp.worktrees.git import GitCall, Run, git, parse_commit


async def commit_everything(run: Run, message: str) -> list[str]:
    """Commit what is changed or untracked, if anything is.

    Returns the folders that stay out because they are git repositories of their own: ``git add``
    would take no file of theirs either, and fails at one without a commit.
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
    await _update_index(run, ("--add", "--remove", "--replace"), changed - set(own))
    staged = await run(GitCall(("diff", "--cached", "--quiet", "--no-ext-diff")))
    if staged.exit_code != 0:
        await git(run, "commit", "--quiet", "--no-verify", "--file=-", stdin=message.encode())
    return [path.decode("utf-8", "replace") for path in own]


async def _update_index(run: Run, options: tuple[str, ...], paths: set[bytes]) -> None:
    if paths:
        listed = b"".join(path + b"\0" for path in sorted(paths))
        await git(run, "update-index", *options, "-z", "--stdin", stdin=listed)


async def head(run: Run) -> str:
    """Return the commit of HEAD."""
    return parse_commit(
        await git(run, "rev-parse", "--verify", "--end-of-options", "HEAD^{commit}")
    )


async def has_commits(run: Run, base: str) -> bool:
    """Return whether HEAD has commits that ``base`` has not."""
    return bool(await git(run, "rev-list", "--max-count=1", "HEAD", f"^{base}", "--"))


async def is_sound(run: Run, base: str) -> bool:
    """Return whether git can still work in the tree: a command may have broken its directory."""
    history = await run(GitCall(("rev-list", "--max-count=1", "HEAD", base, "--")))
    index = await run(GitCall(("diff", "--cached", "--quiet", "--no-ext-diff")))
    return history.exit_code == 0 and index.exit_code in (0, 1)


async def bundle(run: Run, base: str) -> bytes:
    """Return a bundle of the commits of HEAD that ``base`` has not; there must be one."""
    return await git(run, "bundle", "create", "--quiet", "-", "HEAD", f"^{base}")


async def patch(run: Run, base: str) -> bytes:
    """Return the difference from ``base`` to HEAD, binary files included."""
    return await git(
        run, "diff", "--binary", "--no-ext-diff", "--no-textconv", "--no-color",
        "--end-of-options", base, "HEAD", "--",
    )  # fmt: skip
