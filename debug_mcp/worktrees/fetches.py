"""Bringing a mirror to what its upstream has: what git is asked, and what it answered.

First a look at the names, which is all when nothing has changed. A remote upstream is asked by one
script, so that look and fetch are one process tree that can be followed and ended.
"""

import errno
import os
import shlex
from pathlib import Path
from typing import NamedTuple

from debug_mcp.worktrees.git import GitCall

_SYMREF = "ref: refs/heads/"
_NAMES = ("HEAD", "refs/heads/*", "refs/tags/*")
_BRANCHES_AND_TAGS = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
# So that what an upstream listed for another depth never equals it.
_DEPTH = "depth "

# The names into `listing`; nothing more when they are those of the last time.
_SCRIPT = """\
seen=$({look}) || exit
printf '%s\\n%s\\n' {depth} "$seen" > {listing} || exit
[ "$(cat {listing})" != "$(cat {noted} 2>/dev/null)" ] || exit 0
rm -f {noted}
grep -q '^[0-9a-f]*\tHEAD$' {listing} || exec {fetch}
exec {fetch} {head}
"""


class Listing(NamedTuple):
    """What an upstream listed: where its HEAD stands, and every branch and tag with its object.

    ``text`` is all of it, with the depth that it was listed for.
    """

    text: str
    depth: int | None
    branch: str | None
    commit: str | None
    refs: list[tuple[str, str]]


def listing(names: str, depth: int | None) -> Listing:
    """Return what ``git ls-remote --symref`` printed, asked for a mirror of some depth."""
    return parse_listing(f"{_depth_line(depth)}\n{names}")


def parse_listing(text: str) -> Listing:
    """Return a listing from its whole text."""
    first, _, rest = text.partition("\n")
    lines = [line.partition("\t") for line in rest.split("\n") if line]
    heads = [value for value, _, name in lines if name == "HEAD"]
    branches = [value.removeprefix(_SYMREF) for value in heads if value.startswith(_SYMREF)]
    asked = first.removeprefix(_DEPTH)
    return Listing(
        text=text.rstrip("\n") + "\n",
        depth=int(asked) if asked else None,
        branch=branches[0] if branches else None,
        commit=next((value for value in heads if not value.startswith("ref: ")), None),
        refs=sorted(
            (name, oid)
            for oid, _, name in lines
            if name.startswith(("refs/heads/", "refs/tags/")) and not name.endswith("^{}")
        ),
    )


def look_arguments(url: str) -> tuple[str, ...]:
    """Return what asks an upstream for its names."""
    return ("ls-remote", "--quiet", "--symref", "--end-of-options", url, *_NAMES)


def fetch_arguments(url: str, *further: str) -> tuple[str, ...]:
    """Return what brings every branch and tag."""
    return (
        "fetch", "--quiet", "--prune", "--no-tags", "--no-write-fetch-head",
        "--no-auto-maintenance", "--no-recurse-submodules", "--update-shallow",
        *further, "--end-of-options", url, *_BRANCHES_AND_TAGS,
    )  # fmt: skip


def script(
    look: GitCall, fetch: GitCall, head: str, into: Path, noted: Path, depth: int | None
) -> tuple[str, ...]:
    """Return the command line that looks, and fetches when there is something new.

    Args:
        look: See ``look_arguments``.
        fetch: See ``fetch_arguments``.
        head: The refspec for the upstream's HEAD, where it has a commit.
        into: The file that gets the listing.
        noted: The listing of the last fetch; it goes before the mirror is changed.
        depth: For which the mirror is fetched.
    """
    body = _SCRIPT.format(
        look=shlex.join(look.command),
        fetch=shlex.join(fetch.command),
        head=shlex.quote(head),
        listing=shlex.quote(str(into)),
        noted=shlex.quote(str(noted)),
        depth=shlex.quote(_depth_line(depth)),
    )
    return ("sh", "-c", body)


def _depth_line(depth: int | None) -> str:
    return f"{_DEPTH}{depth or ''}"


def met_file_limit(said: str) -> bool:
    """Return whether git says that the kernel let a file grow no larger."""
    return os.strerror(errno.EFBIG) in said
