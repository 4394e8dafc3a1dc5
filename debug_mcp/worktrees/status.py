"""What has become of a tree: where its HEAD is, and what differs from a commit.

Every function takes git in the session's sandbox, at the tree's root, and leaves its index alone.
"""

from dataclasses import dataclass

from debug_mcp.worktrees.git import GitCall, Run, git, git_call, parse_commit

_HEAD = "branch.oid"
_BRANCH = "branch.head"
_DETACHED = "(detached)"
_UNBORN = "(initial)"

# `git diff` knows nothing of files that are not in the index, and the index is the session's own.
# So they are noted (`--intent-to-add`) in a copy of it. The copy keeps the time of the original,
# by which git tells entries that may have changed since (racy-git in git's documentation).
# A folder with a slash at its end is a repository of its own, which git would not take. Names are
# bytes: without -a and the C locale grep leaves out those that are no UTF-8.
_COMPARE = """!f() {
index=$(mktemp) || exit
trap 'rm -f "$index"' EXIT
cp -p "$GIT_DIR/index" "$index" 2>/dev/null || rm -f "$index"
export GIT_INDEX_FILE="$index"
git ls-files -z --others --exclude-standard | LC_ALL=C grep -azv '/$' |
    git add --intent-to-add --pathspec-from-file=- --pathspec-file-nul
git diff --no-ext-diff --no-textconv --no-color "$@"
}; f"""


@dataclass(frozen=True, slots=True)
class Change:
    """A file that differs; ``status`` is git's letter. Lines are None for a binary file."""

    path: str
    status: str
    added: int | None = None
    removed: int | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """Where HEAD is: ``commit`` is None on a branch without one, ``branch`` when detached."""

    commit: str | None
    branch: str | None


async def head_and_changes(run: Run) -> tuple[Head, list[Change]]:
    """Return where HEAD is, and what is not committed, untracked files (``?``) included."""
    output = await git(
        run, "status", "--porcelain=v2", "--branch", "-z", "--no-renames", "--untracked-files=all"
    )
    return parse_status(output)


def parse_status(output: bytes) -> tuple[Head, list[Change]]:
    """Read what ``git status --porcelain=v2 --branch -z`` prints (git-status(1))."""
    facts: dict[str, str] = {}
    changes = []
    for entry in output.decode("utf-8", "replace").split("\0"):
        kind, _, rest = entry.partition(" ")
        if kind == "#":
            name, _, value = rest.partition(" ")
            facts[name] = value
        elif kind == "?":
            changes.append(Change(rest, "?"))
        elif kind in ("1", "u"):
            # What is in the tree counts before what is in the index.
            states, *fields = rest.split(" ", 7 if kind == "1" else 9)
            changes.append(Change(fields[-1], states.strip(".")[-1:] or "M"))
    oid, branch = facts.get(_HEAD, _UNBORN), facts.get(_BRANCH, _DETACHED)
    commit = None if oid == _UNBORN else parse_commit(oid.encode())
    return Head(commit, None if branch == _DETACHED else branch), changes


async def ahead(run: Run, base: str) -> int:
    """Return how many commits HEAD has that ``base`` has not."""
    counted = await git(run, "rev-list", "--count", "HEAD", f"^{base}", "--")
    return int(counted) if counted.strip().isdigit() else 0


async def resolve(run: Run, name: str) -> str | None:
    """Return the commit that a name stands for inside the session, or None."""
    found = await run(
        GitCall(("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"))
    )
    return parse_commit(found.output) if found.exit_code == 0 else None


async def compared(run: Run, base: str, paths: tuple[str, ...]) -> list[Change]:
    """Return which files of the tree differ from a commit, committed since or not."""
    return parse_raw(await _compare(run, base, paths, "--raw", "--numstat", "-z", "--no-renames"))


async def difference(
    run: Run, base: str, paths: tuple[str, ...] = (), *, binary: bool = False
) -> bytes:
    """Return the difference from a commit to the tree as a patch.

    With ``binary`` it can be applied whatever is in it; without, binary files are only named.
    """
    form = ("--find-renames", "--binary") if binary else ("--find-renames",)
    return await _compare(run, base, paths, *form)


async def _compare(run: Run, base: str, paths: tuple[str, ...], *options: str) -> bytes:
    arguments = ("debug-mcp-compare", *options, "--end-of-options", base, "--", *paths)
    return await git_call(run, GitCall(arguments, options=(("alias.debug-mcp-compare", _COMPARE),)))


def parse_raw(output: bytes) -> list[Change]:
    """Read ``--raw --numstat -z``: first all statuses, then all numbers; ``-`` is of a binary."""
    statuses: dict[str, str] = {}
    changes = []
    fields = iter(output.decode("utf-8", "replace").split("\0"))
    for entry in fields:
        if entry.startswith(":"):
            statuses[next(fields, "")] = entry.rpartition(" ")[2][:1]
        elif entry:
            added, removed, path = entry.split("\t", 2)
            changes.append(Change(path, statuses.get(path, "M"), _count(added), _count(removed)))
    return changes


def _count(number: str) -> int | None:
    return int(number) if number.isdigit() else None
