"""Names and commits of a mirror, read with GitPython.

Importing GitPython takes 80 ms, so this module is imported when a mirror is first read. Everything
here blocks: call it in a thread. It is used on mirrors alone, which are ours: on a session's tree
it would run what a command planted there.
"""

import difflib
import re
from pathlib import Path

from git import Repo
from git.exc import BadName, BadObject

_CANDIDATES = 20
_COMMIT = re.compile(r"[0-9a-fA-F]{4,64}")


class Refs:
    """The branches, tags and commits of one mirror."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def branches(self) -> list[str]:
        """Return the names of all branches, sorted."""
        with Repo(self._path) as repo:
            return sorted(head.name for head in repo.heads)

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
        with Repo(self._path) as repo:
            found = (_commit(repo, spelling) for spelling in spellings)
            return next((commit for commit in found if commit is not None), None)

    def names_like(self, wanted: str) -> list[str]:
        """Return branches and tags that somebody who wrote ``wanted`` may have meant."""
        with Repo(self._path) as repo:
            names = [head.name for head in repo.heads] + [tag.name for tag in repo.tags]
        return difflib.get_close_matches(wanted, names, _CANDIDATES, 0.3) or names[:_CANDIDATES]


def _commit(repo: Repo, spelling: str) -> str | None:
    try:
        found = repo.commit(spelling)
        # GitPython takes every full id at its word; this looks.
        repo.odb.info(found.binsha)
        return str(found.hexsha)
    except (BadName, BadObject, ValueError, IndexError, TypeError, AttributeError):
        return None  # no such name, several objects that it could mean, or no commit behind it
