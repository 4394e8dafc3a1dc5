"""Reading unified diffs, to tell what one is about and where it is malformed.

Git applies them; this only looks. It knows what git itself prints (``man git-diff``, "Generating
patch text") and the plain form with ``---`` and ``+++`` alone that models often write.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from debug_mcp.errors import InvalidInput

_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_NO_NEWLINE = "\\"
_ESCAPES = {"a": 7, "b": 8, "t": 9, "n": 10, "v": 11, "f": 12, "r": 13, '"': 34, "\\": 92}
_NOWHERE = "/dev/null"
_PREFIXED = re.compile(r"[abciwo]/")


@dataclass(slots=True)
class Hunk:
    """One ``@@`` part: the ``number``-th of its file, at line ``at`` of the patch."""

    number: int
    at: int
    start: int
    old: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    added: int = 0
    removed: int = 0


@dataclass(slots=True)
class FileDiff:
    """What a diff does to one file. A path is None where there is no file on that side."""

    old: str | None = None
    new: str | None = None
    hunks: list[Hunk] = field(default_factory=list)
    is_new: bool = False
    is_binary: bool = False

    @property
    def path(self) -> str:
        """The file's name after the diff, or before it when it is removed."""
        return self.new or self.old or ""

    @property
    def added(self) -> int:
        """How many lines come."""
        return sum(hunk.added for hunk in self.hunks)

    @property
    def removed(self) -> int:
        """How many lines go."""
        return sum(hunk.removed for hunk in self.hunks)


@dataclass(frozen=True, slots=True)
class Diff:
    """A whole patch. ``strip`` is how many leading folders its names carry (``git apply -p``)."""

    files: tuple[FileDiff, ...]
    strip: int


def parse(patch: str) -> Diff:
    """Read a patch.

    Raises:
        InvalidInput: The counts of a hunk do not fit its lines; the message has the right header.
    """
    lines = patch.split("\n")
    if lines[-1] == "":
        lines.pop()
    files = list(_files(lines))
    names = [name for file in files for name in (file.old, file.new) if name is not None]
    prefixed = all(_PREFIXED.match(name) for name in names)
    if prefixed:
        for file in files:
            file.old, file.new = _stripped(file.old), _stripped(file.new)
    return Diff(tuple(files), 1 if prefixed else 0)


def _files(lines: list[str]) -> Iterator[FileDiff]:
    """Yield the files in turn; what stands between them is somebody's prose."""
    current: FileDiff | None = None
    at = 0
    while at < len(lines):
        line = lines[at].removesuffix("\r")
        if line.startswith("diff --git "):
            if current:
                yield current
            current = _from_git_line(line)
        elif line.startswith("--- ") and at + 1 < len(lines) and lines[at + 1].startswith("+++ "):
            if current is None or current.hunks:
                if current:
                    yield current
                current = FileDiff()
            _take_names(current, line, lines[at + 1].removesuffix("\r"))
            at += 1
        elif current is not None and (header := _HUNK.match(line)):
            at = _take_hunk(current, lines, at, header)
            continue
        elif current is not None:
            _take_extended(current, line)
        at += 1
    if current:
        yield current


def _take_hunk(file: FileDiff, lines: list[str], at: int, header: re.Match[str]) -> int:
    """Read a hunk; return the index of the line after it."""
    hunk = Hunk(len(file.hunks) + 1, at + 1, int(header[1]))
    wanted = int(header[2] or 1), int(header[4] or 1)
    index = at + 1
    while index < len(lines):
        line = lines[index]
        complete = (len(hunk.old), len(hunk.new)) == wanted
        if line.startswith(_NO_NEWLINE):
            index += 1
            continue
        if not _belongs(line, lines, index, complete=complete):
            break
        _take_line(hunk, line)
        index += 1
    if (len(hunk.old), len(hunk.new)) != wanted:
        right = f"@@ -{header[1]},{len(hunk.old)} +{header[3]},{len(hunk.new)} @@"
        raise InvalidInput(
            f"the patch is malformed at its line {hunk.at}: the counts of hunk {hunk.number} of "
            f"{_bare(file.path)} do not fit its lines; this header would: {right}; nothing was "
            "changed",
            field="patch",
            line=hunk.at,
            expected=right,
            found=header[0],
        )
    file.hunks.append(hunk)
    return index


def _belongs(line: str, lines: list[str], index: int, *, complete: bool) -> bool:
    """Return whether a line is part of the hunk before it."""
    if line in ("", "\r"):  # an empty context line whose space was lost
        return not complete
    if line[0] not in " +-":
        return False
    follows = lines[index + 1] if index + 1 < len(lines) else ""
    # The next file begins, or the signature of a mail.
    next_file = line.startswith("--- ") and follows.startswith("+++ ")
    return not (complete and (next_file or line.rstrip() == "--"))


def _take_line(hunk: Hunk, line: str) -> None:
    mark, text = line[:1], line[1:]
    if mark == "\r":
        mark, text = "", "\r"
    if mark != "+":
        hunk.old.append(text)
    if mark != "-":
        hunk.new.append(text)
    hunk.added += mark == "+"
    hunk.removed += mark == "-"


def _from_git_line(line: str) -> FileDiff:
    """Read ``diff --git a/x b/x``: both names are one, unless lines that follow say otherwise."""
    rest = line.removeprefix("diff --git ")
    if rest.endswith('"'):
        name = _unquoted(rest[rest.rindex(' "') + 1 :])
    else:
        name = rest[len(rest) // 2 + 1 :]
    return FileDiff("a/" + name[2:] if _PREFIXED.match(name) else name, name)


def _take_names(file: FileDiff, old: str, new: str) -> None:
    before, after = _name(old[4:]), _name(new[4:])
    file.old = None if before == _NOWHERE else before
    file.new = None if after == _NOWHERE else after
    file.is_new = file.is_new or file.old is None


def _take_extended(file: FileDiff, line: str) -> None:
    """Read the lines that git writes between ``diff --git`` and the first hunk."""
    if line.startswith(("rename from ", "copy from ")):
        file.old = "a/" + _name(line.partition(" from ")[2])
    elif line.startswith(("rename to ", "copy to ")):
        file.new = "b/" + _name(line.partition(" to ")[2])
        file.is_new = True
    elif line.startswith("new file mode "):
        file.old, file.is_new = None, True
    elif line.startswith("deleted file mode "):
        file.new = None
    elif line.startswith("GIT binary patch"):
        file.is_binary = True


def _name(text: str) -> str:
    """Return a name as it stands in a header: quoted by git, or with a time behind a tab."""
    return _unquoted(text) if text.startswith('"') else text.partition("\t")[0]


def _unquoted(text: str) -> str:
    """Undo git's quoting of names."""
    out = bytearray()
    for octal, escape, plain in re.findall(r"\\([0-7]{3})|\\(.)|([^\\]+)", text.strip()[1:-1]):
        if octal:
            out.append(int(octal, 8) & 0xFF)
        elif escape:
            out.append(_ESCAPES.get(escape, ord(escape) & 0xFF))
        else:
            out += plain.encode("utf-8", "surrogateescape")
    return out.decode("utf-8", "surrogateescape")


def _stripped(name: str | None) -> str | None:
    return None if name is None else name[2:]


def _bare(name: str) -> str:
    return name[2:] if _PREFIXED.match(name) else name
