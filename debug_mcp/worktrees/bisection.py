"""Which commit to test next, and what a commit changed: read from a mirror."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass

_GOLDEN = 0.618034
_FIELDS = "%s%x00%an%x00%cI"

Git = Callable[..., Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Change:
    """A commit: its subject, who wrote it and when (ISO 8601), and what it changed."""

    subject: str
    author: str
    date: str
    stat: str
    patch: bytes


async def merge_bases(git: Git, good: str, bad: str) -> list[str]:
    """Return where both come from: just ``good`` when ``bad`` has it in its history."""
    return (await git("merge-base", "--all", good, bad)).decode().split()


async def suspects(git: Git, bad: str, goods: Sequence[str]) -> list[str]:
    """Return the commits that may be the first bad one, ``bad`` among them.

    The order is that of ``git rev-list --bisect-all``: a test of the first halves them best,
    merges and all.
    """
    listed = await git("rev-list", "--bisect-all", bad, "--not", *goods)
    return [line.split()[0] for line in listed.decode().splitlines()]


def choose(untested: Sequence[str], skipped: int) -> str:
    """Return which of some suspects to test, the best halving first; ``skipped`` were no use.

    Away from what cannot be tested: its neighbours cannot be either, more often than not. git
    bisect jumps by chance there (``skip_away`` in its bisect.c); here the jumps are the same each
    time, so that another server comes to the same steps.
    """
    jump = (skipped * _GOLDEN) % 1
    return untested[int(len(untested) * jump**1.5)]


def steps_left(count: int, skipped: Collection[str] = ()) -> int:
    """Return about how many tests are needed to find one among so many."""
    return max(count - 1 - len(skipped), 0).bit_length()


async def change(git: Git, commit: str) -> Change:
    """Return what a commit changed; a merge, against its first parent."""
    told = await git("show", "--no-patch", f"--format={_FIELDS}", commit)
    subject, author, date = told.decode("utf-8", "replace").strip("\n").split("\0")
    shown = ("show", "--format=", "-m", "--first-parent", "--no-ext-diff", "--no-textconv")
    stat = await git(*shown, "--stat=100", commit)
    patch = await git(*shown, "--patch", "--binary", commit)
    return Change(subject, author, date, stat.decode("utf-8", "replace").strip("\n"), patch)
