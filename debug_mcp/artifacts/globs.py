"""Globs over paths, matched folder by folder, so that a walk enters only where something can be.

Not one regular expression for a whole path: several ``**`` in it could take for ever to fail.
"""

import fnmatch

_WILD = frozenset("*?[")
Places = frozenset[int]


class Glob:
    """A pattern relative to a root: ``*`` stays within a folder, ``**`` is any number of them.

    A walk carries ``Places`` down the tree: how much of the pattern the path so far can stand for.
    """

    def __init__(self, text: str) -> None:
        parts = [part for part in text.split("/") if part not in ("", ".")]
        # What ends in a slash means what is in that folder.
        self._parts = [*parts, "**"] if text.endswith("/") else parts
        self.is_literal = not _WILD & set("".join(self._parts))

    @property
    def start(self) -> Places:
        """Where a walk begins: at the root."""
        return self._with_empty({0})

    def step(self, places: Places, name: str) -> Places:
        """Return where the pattern is after one more name; nowhere means that it cannot match."""
        found = set()
        for place in places:
            if place == len(self._parts):
                continue
            if self._parts[place] == "**":
                found |= {place, place + 1} if place + 1 == len(self._parts) else {place}
            elif fnmatch.fnmatchcase(name, self._parts[place]):
                found.add(place + 1)
        return self._with_empty(found)

    def matches(self, places: Places) -> bool:
        """Return whether the path that led here is one that the pattern means."""
        return len(self._parts) in places

    def names(self, places: Places, name: str) -> bool:
        """Return whether the pattern asks for this very name here."""
        return any(self._parts[place] == name for place in places if place < len(self._parts))

    def _with_empty(self, places: set[int]) -> Places:
        """Let a ``**`` that something follows stand for no folder at all."""
        last = len(self._parts) - 1
        for place in sorted(places):
            while place < last and self._parts[place] == "**":
                place += 1  # noqa: PLW2901
                places.add(place)
        return frozenset(places)
