"""Names and commits of a mirror, read with GitPython.

Importing GitPython takes 80 ms, so this module is imported when a mirror is first read. Everything
here blocks: call it in a thread. It is used on mirrors alone, which are ours: on a session's tree
it would run what a command planted there.
"""

import difflib
from pathlib import Path

from git import Repo
from git.exc import BadName, BadObject

_CANDIDATES = 20


class Refs:
    """The branches, tags and commits of one mirror."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def branches(self) -> list[str]:
        """Return the names of all branches, sorted."""
        with Repo(self._path) as repo:
            return sorted(head.name for head in repo.heads)

    def resolve(self, name: str) -> str | None:
        """Return the full id of the commit that a name stands for, or None."""
        with Repo(self._path) as repo:
            try:
                return str(repo.commit(name).hexsha)
            except (BadName, BadObject, ValueError, IndexError):
                return None

    def names_like(self, wanted: str) -> list[str]:
        """Return branches and tags that somebody who wrote ``wanted`` may have meant."""
        with Repo(self._path) as repo:
            names = [head.name for head in repo.heads] + [tag.name for tag in repo.tags]
        return difflib.get_close_matches(wanted, names, _CANDIDATES, 0.3) or names[:_CANDIDATES]
