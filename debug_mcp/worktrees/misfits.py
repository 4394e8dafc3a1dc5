"""Why a patch does not go in: the file, the hunk, the line, what was expected and what is there."""

import re
from collections.abc import Callable, Sequence

from debug_mcp.errors import Conflict, InvalidInput
from debug_mcp.worktrees.diffs import Diff, FileDiff, Hunk
from debug_mcp.worktrees.git import plain

_SHOWN = 300
_COMPARISONS = 5_000_000
_END = "(end of the file)"

_FAILED = re.compile(r"patch failed: (?P<file>.+):(?P<line>\d+)")
_MISSING = re.compile(r"error: (?P<file>.+): (?:No such file or directory|does not exist in)")
_OUTSIDE = re.compile(r"error: (?:invalid path '(?P<file>.+)'|.*beyond a symbolic link)")
_CORRUPT = re.compile(r"corrupt (?:binary )?patch at line (?P<line>\d+)")
_NO_PATCH = re.compile(r"No valid patches|unrecognized input|lacks filename|without full index")
_NOTHING = "nothing was changed"

Read = Callable[[str], bytes | None]
"""Returns what a file of the tree has in it, or None when it cannot be read."""


def explain(diff: Diff, message: str, read: Read) -> Conflict | InvalidInput:
    """Return the error for a patch that git refused, from git's message and the tree."""
    if _OUTSIDE.search(message):
        return InvalidInput(
            f"the patch leads out of the tree: {plain(message)}; {_NOTHING}", field="patch"
        )
    corrupt = _CORRUPT.search(message)
    if corrupt or _NO_PATCH.search(message):
        return unreadable(message, int(corrupt["line"]) if corrupt else None)
    failed = _FAILED.search(message)
    if failed:
        return _misfit(diff, failed["file"], int(failed["line"]), read)
    missing = _MISSING.search(message)
    if missing:
        return Conflict(
            f"{missing['file']} does not exist in this tree; {_NOTHING}",
            field="patch",
            file=missing["file"],
        )
    return Conflict(f"the patch does not apply: {plain(message)}; {_NOTHING}", field="patch")


def unreadable(message: str, line: int | None = None) -> InvalidInput:
    """Return the error for what is no patch."""
    where = "" if line is None else f" at its line {line}"
    error = InvalidInput(
        f"this is not a patch that git can read{where}: {plain(message)}; send what `git diff "
        f"--binary` prints, with the counts in each @@ line right; {_NOTHING}",
        field="patch",
    )
    if line is not None:
        error.details["line"] = line
    return error


def _misfit(diff: Diff, path: str, line: int, read: Read) -> Conflict:
    file = next((file for file in diff.files if path in (file.old, file.new)), FileDiff())
    hunk = next((hunk for hunk in file.hunks if hunk.start == line), None)
    content = read(path)
    if hunk is None or content is None:
        return Conflict(
            f"{path} differs from what the patch expects at line {line}; {_NOTHING}",
            field="patch",
            file=path,
            line=line,
        )
    lines = content.decode("utf-8", "surrogateescape").removesuffix("\n").split("\n")
    place = _place(lines, hunk)
    at, expected, found = _difference(lines, hunk, place)
    why = _why(lines, hunk, place)
    return Conflict(
        f"hunk {hunk.number} of {path} does not apply at line {at}{f': {why}' if why else ''}; "
        f"{_NOTHING}",
        field="patch",
        file=path,
        line=at,
        expected=_short(expected),
        found=_short(found),
    )


def _place(lines: Sequence[str], hunk: Hunk) -> int:
    """Return the index where most lines of a hunk stand; the one that it names when unsure."""
    named = max(hunk.start - 1, 0)
    if len(lines) * len(hunk.old) > _COMPARISONS:
        return named
    loose = [line.split() for line in lines]
    wanted = [line.split() for line in hunk.old]

    def fit(place: int) -> tuple[int, int]:
        pairs = zip(wanted, loose[place : place + len(wanted)], strict=False)
        return sum(mine == theirs for mine, theirs in pairs if mine), -abs(place - named)

    best = max(range(len(lines)), key=fit, default=named)
    return best if fit(best)[0] > 0 else named


def _difference(lines: Sequence[str], hunk: Hunk, place: int) -> tuple[int, str, str]:
    """Return the first line that differs, what the hunk has there, and what the file has."""
    for offset, expected in enumerate(hunk.old):
        index = place + offset
        found = lines[index] if index < len(lines) else _END
        if found != expected:
            return index + 1, expected, found
    expected = hunk.old[0] if hunk.old else ""
    return place + 1, expected, lines[place] if place < len(lines) else _END


def _why(lines: Sequence[str], hunk: Hunk, place: int) -> str:
    there = list(lines[place : place + len(hunk.old)])
    if [line.rstrip("\r") for line in there] == [line.rstrip("\r") for line in hunk.old]:
        if there == hunk.old:
            return "its lines stand here, but not where the @@ line and the order of hunks say"
        kinds = ("CRLF", "LF") if there[0].endswith("\r") else ("LF", "CRLF")
        return (
            f"the file's lines end in {kinds[0]}, the patch's in {kinds[1]}; file_edit with edits "
            "keeps the file's line ends"
        )
    if [line.split() for line in there] == [line.split() for line in hunk.old]:
        return "only white space differs"
    named = max(hunk.start - 1, 0)
    if hunk.new and list(lines[named : named + len(hunk.new)]) == hunk.new:
        return "it seems to be in the file already"
    return ""


def _short(line: str) -> str:
    text = line.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    text = text.replace("\r", "\\r")
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
