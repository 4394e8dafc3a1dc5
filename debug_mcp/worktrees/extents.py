"""How much there is to check out of a commit, counted while git lists it."""

from typing import NamedTuple

# Of `ls-tree -l`: mode, kind, id, size and, quoted, the path.
_COUNT = '{{ n += 1; if ($4 != "-") size += $4; {bound} }} END {{ printf "%d %.0f", n, size }}'


class Extent(NamedTuple):
    """Files and folders of a commit's tree, and bytes of the files."""

    entries: int
    size: int


def listing_arguments(commit: str) -> tuple[str, ...]:
    """Return what lists every file and folder of a commit, by its full id."""
    return ("ls-tree", "-r", "-t", "-l", commit)


def counter(most: int | None) -> tuple[str, ...]:
    """Return the program that counts a listing, and ends it beyond so many entries.

    Folders that are the same one again and again make billions of entries out of nothing.
    """
    bound = "" if most is None else f"if (n > {most}) exit"
    return ("awk", _COUNT.format(bound=bound))


def parse_extent(output: bytes) -> Extent:
    """Return what a counter printed."""
    entries, size = output.split()
    return Extent(int(entries), int(size))
