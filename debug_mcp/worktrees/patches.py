"""Patches: putting one into a tree, and saying why it does not go in."""

import hashlib
from dataclasses import dataclass

import anyio

from debug_mcp.errors import InvalidInput
from debug_mcp.worktrees import diffs, misfits
from debug_mcp.worktrees.diffs import Diff
from debug_mcp.worktrees.git import GitCall, Run, git

DIGEST_CHARACTERS = 12
_OTHER_FORM = "*** Begin Patch"


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


def read(patch: str) -> Diff:
    """Read a patch.

    Raises:
        InvalidInput: It is not a unified diff, or the counts of a hunk are wrong.
    """
    if not patch.strip():
        raise InvalidInput("the patch is empty; leave it out", field="patch")
    if patch.lstrip().startswith(_OTHER_FORM):
        raise InvalidInput(
            f"a patch that begins with {_OTHER_FORM!r} is not a unified diff; send what git diff "
            "prints, or edits to file_edit; nothing was changed",
            field="patch",
        )
    found = diffs.parse(patch)
    if not found.files:
        raise misfits.unreadable("it has no --- and +++ lines")
    return found


async def apply(run: Run, patch: str, read_file: misfits.Read) -> Numbers:
    """Apply a patch to the working tree, all of it or nothing; return what it changes.

    A hunk whose lines have moved goes in where they are; otherwise each line must be as the patch
    has it.

    Args:
        run: Git in the session's sandbox, at the tree's root.
        patch: A unified diff; a missing last newline is added, since models often drop it.
        read_file: Reads a file of the same tree; only to explain.

    Raises:
        Conflict: It does not apply; the message names the place.
        InvalidInput: It is not a patch.
    """
    diff = read(patch)
    data = (patch if patch.endswith("\n") else f"{patch}\n").encode("utf-8", "surrogateescape")
    options = ("--whitespace=nowarn", f"-p{diff.strip}")
    result = await run(GitCall(("apply", *options, "-"), data))
    if result.exit_code != 0:
        raise await anyio.to_thread.run_sync(misfits.explain, diff, result.message, read_file)
    return numbers_of(diff)


def numbers_of(diff: Diff) -> Numbers:
    """Return what a patch changes."""
    paths = dict.fromkeys(file.path for file in diff.files)
    added = sum(file.added for file in diff.files)
    return Numbers(tuple(paths), added, sum(file.removed for file in diff.files))


async def note_new(run: Run, patch: str) -> None:
    """Note a patch's new files in the index (``add --intent-to-add``): ``git diff`` shows them.

    Not by ``git apply --intent-to-add``: git 2.39 drops all other files from the index then.
    """
    new = [file.path for file in read(patch).files if file.is_new and file.new is not None]
    if new:
        paths = b"".join(path.encode("utf-8", "surrogateescape") + b"\0" for path in new)
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
