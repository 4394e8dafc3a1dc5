"""Patches: putting one into a tree, and saying why it does not go in."""

import hashlib
import re
from dataclasses import dataclass

from debug_mcp.errors import Conflict, InvalidInput
from debug_mcp.worktrees.git import GitCall, Run, git, plain

DIGEST_CHARACTERS = 12

_FAILED = re.compile(r"patch failed: (?P<file>.+):(?P<line>\d+)")
_MISSING = re.compile(r"error: (?P<file>.+): (?:No such file or directory|does not exist in)")
_OUTSIDE = re.compile(r"error: (?:invalid path '(?P<file>.+)'|.*beyond a symbolic link)")
_CORRUPT = re.compile(r"corrupt patch at line (?P<line>\d+)")


@dataclass(frozen=True, slots=True)
class Numbers:
    """What a patch or a range of commits changes."""

    files: tuple[str, ...]
    added: int
    removed: int

    @property
    def lines(self) -> str:
        """Return ``+added -removed``."""
        return f"+{self.added} -{self.removed}"


def digest(patch: str) -> str:
    """Return the short name of a patch."""
    return hashlib.sha256(patch.encode("utf-8", "surrogateescape")).hexdigest()[:DIGEST_CHARACTERS]


async def apply(run: Run, patch: str) -> Numbers:
    """Apply a patch to the working tree, all of it or nothing; return what it changes.

    New files are noted in the index (``add --intent-to-add``), so that ``git diff`` shows them.

    Args:
        run: Git in the session's sandbox, at the tree's root.
        patch: A unified diff; a missing last newline is added, since models often drop it.

    Raises:
        Conflict: It does not apply; the message names the place.
        InvalidInput: It is not a patch.
    """
    data = (patch if patch.endswith("\n") else f"{patch}\n").encode("utf-8", "surrogateescape")
    if not patch.strip():
        raise InvalidInput("the patch is empty; leave it out to start without one", field="patch")
    result = await run(GitCall(("apply", "--numstat", "-z", "-"), data))
    if result.exit_code != 0:
        raise _unreadable(result.message)
    numbers = parse_numstat(result.output)
    result = await run(GitCall(("apply", "--whitespace=nowarn", "-"), data))
    if result.exit_code != 0:
        raise _refused(result.message)
    await _note_new(run, numbers)
    return numbers


async def _note_new(run: Run, numbers: Numbers) -> None:
    """Note new files in the index.

    Not by ``git apply --intent-to-add``: git 2.39 drops all other files from the index then.
    """
    untracked = (await git(run, "ls-files", "-z", "--others")).split(b"\0")
    new = [path for path in untracked if path.decode("utf-8", "replace") in numbers.files]
    if new:
        paths = b"".join(path + b"\0" for path in new)
        await git(
            run, "add", "--intent-to-add", "--force", "--pathspec-from-file=-",
            "--pathspec-file-nul", stdin=paths,
        )  # fmt: skip


async def changes(run: Run, base: str, head: str) -> Numbers:
    """Return what changed between two commits."""
    output = await git(
        run, "diff", "--numstat", "-z", "--no-ext-diff", "--no-textconv", "--no-renames",
        "--end-of-options", base, head, "--",
    )  # fmt: skip
    return parse_numstat(output)


def parse_numstat(output: bytes) -> Numbers:
    """Read ``--numstat -z``: added, removed and path of each file; ``-`` counts for binary."""
    files, added, removed = [], 0, 0
    for entry in output.decode("utf-8", "replace").split("\0"):
        plus, _, rest = entry.partition("\t")
        minus, _, path = rest.partition("\t")
        if path:
            files.append(path)
            added += int(plus) if plus.isdigit() else 0
            removed += int(minus) if minus.isdigit() else 0
    return Numbers(tuple(files), added, removed)


def _unreadable(message: str) -> InvalidInput:
    corrupt = _CORRUPT.search(message)
    where = f" at its line {corrupt['line']}" if corrupt else ""
    return InvalidInput(
        f"this is not a patch that git can read{where}: {plain(message)}; send what "
        "`git diff` prints, with the counts in each @@ line right",
        field="patch",
    )


def _refused(message: str) -> Conflict | InvalidInput:
    if _OUTSIDE.search(message):
        return InvalidInput(
            f"the patch leads out of the tree: {plain(message)}; nothing was changed",
            field="patch",
        )
    failed = _FAILED.search(message)
    if failed:
        return Conflict(
            f"{failed['file']} differs from what the patch expects at line {failed['line']}; "
            "nothing was changed",
            field="patch",
            file=failed["file"],
            line=int(failed["line"]),
        )
    missing = _MISSING.search(message)
    if missing:
        return Conflict(
            f"{missing['file']} does not exist at this commit; nothing was changed",
            field="patch",
            file=missing["file"],
        )
    return Conflict(
        f"the patch does not apply: {plain(message)}; nothing was changed", field="patch"
    )
