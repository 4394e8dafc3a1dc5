"""Work on its way out of a session: a commit, a bundle, a patch. It leaves as bytes.

Every function takes git in the session's sandbox, at the tree's root: hooks, filters and
configuration that a command planted there run, if at all, inside the boundary.
"""

from debug_mcp.worktrees.git import GitCall, Run, git, parse_commit

BUNDLE_LIMIT_BYTES = 256 * 1024 * 1024


async def commit_everything(run: Run, message: str) -> str:
    """Commit what is changed or untracked, if anything is; return the commit of HEAD."""
    await git(run, "add", "--all")
    staged = await run(GitCall(("diff", "--cached", "--quiet", "--no-ext-diff")))
    if staged.exit_code != 0:
        await git(run, "commit", "--quiet", "--no-verify", "--file=-", stdin=message.encode())
    return await head(run)


async def head(run: Run) -> str:
    """Return the commit of HEAD."""
    return parse_commit(
        await git(run, "rev-parse", "--verify", "--end-of-options", "HEAD^{commit}")
    )


async def has_work(run: Run, base: str) -> bool:
    """Return whether the tree differs from ``base``, or HEAD does."""
    if await head(run) != base:
        return True
    return bool(await git(run, "status", "--porcelain", "-z", "--untracked-files=normal"))


async def bundle(run: Run, base: str) -> bytes:
    """Return a bundle of the commits from ``base`` to HEAD."""
    return await git(run, "bundle", "create", "--quiet", "-", "HEAD", f"^{base}")


async def patch(run: Run, base: str) -> bytes:
    """Return the difference from ``base`` to HEAD, binary files included."""
    return await git(
        run, "diff", "--binary", "--no-ext-diff", "--no-textconv", "--no-color",
        "--end-of-options", base, "HEAD", "--",
    )  # fmt: skip
