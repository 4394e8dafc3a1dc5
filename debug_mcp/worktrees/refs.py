"""Commits of a mirror, found by name with GitPython.

Importing GitPython takes 80 ms, so this module is imported when a mirror is first read. Everything
here blocks: call it in a thread. It is used on mirrors alone, which are ours: on a session's tree
it would run what a command planted there.
"""

import re
from pathlib import Path

from git import Repo
from git.exc import BadName, BadObject

_REQUESTED = "refs/debug-mcp/requested"
_COMMIT = re.compile(r"[0-9a-fA-F]{4,64}")


class Refs:
    """The commits of one mirror, by name."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def resolve(self, name: str) -> str | None:
        """Return the full id of the commit that a branch, tag or commit id stands for, or None.

        Only these: refs of our own hold the work of sessions, which may be somebody else's.
        """
        spellings = [f"refs/tags/{name}", f"refs/heads/{name}"]
        if name.startswith(("refs/tags/", "refs/heads/")):
            spellings.append(name)
        if name.startswith("origin/"):  # as branches are called inside of a session
            spellings.append(name.replace("origin/", "refs/heads/", 1))
        if _COMMIT.fullmatch(name):
            spellings.append(name)
        # What an upstream gave on request: pull requests, mostly.
        spellings += [f"{_REQUESTED}/{name}", f"{_REQUESTED}/refs/{name}"]
        with Repo(self._path) as repo:
            found = (_commit(repo, spelling) for spelling in spellings)
            return next((commit for commit in found if commit is not None), None)


def _commit(repo: Repo, spelling: str) -> str | None:
    try:
        found = repo.commit(spelling)
        # GitPython takes every full id at its word; this looks.
        repo.odb.info(found.binsha)
        return str(found.hexsha)
    except (BadName, BadObject, ValueError, IndexError, TypeError, AttributeError):
        return None  # no such name, several objects that it could mean, or no commit behind it
