"""Reading the files of a session's tree from outside: numbered lines, and what is in a folder.

The tree may be hostile. Everything is opened with ``debug_mcp.beneath``, judged by its descriptor,
and bounded by what is looked at. Everything here blocks: call it in a thread.
"""

import codecs
import itertools
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from debug_mcp.beneath import Refused, open_beneath, opened_root
from debug_mcp.models.files import FileKind

LINE_CHARACTERS = 1_000
SCAN_BYTES = 64 * 1024 * 1024
FIRST_BYTES = 8_000  # git looks at as many to tell a binary file
ENTRIES = 100_000
_LINE_BYTES = 4 * LINE_CHARACTERS
_NUMBER_CHARACTERS = 8

_KINDS = {
    stat.S_IFREG: FileKind.FILE,
    stat.S_IFDIR: FileKind.FOLDER,
    stat.S_IFLNK: FileKind.LINK,
    stat.S_IFIFO: FileKind.FIFO,
    stat.S_IFSOCK: FileKind.SOCKET,
    stat.S_IFCHR: FileKind.DEVICE,
    stat.S_IFBLK: FileKind.DEVICE,
}


@dataclass(slots=True)
class Lines:
    """Lines of a file, numbered from 1.

    ``seen`` counts the lines looked at; they are all there are unless ``stopped``, which says that
    the rest of a very large file was not looked at. ``next_line`` is the first one left out for
    want of room.
    """

    shown: list[str] = field(default_factory=list)
    start: int = 1
    seen: int = 0
    crlf: int = 0
    last_newline: bool = True
    cut: int = 0
    odd_bytes: bool = False
    stopped: bool = False
    next_line: int | None = None

    @property
    def end(self) -> int:
        """The last line shown."""
        return self.start + len(self.shown) - 1

    @property
    def text(self) -> str:
        """The lines, each after its number."""
        width = len(str(self.end))
        return "".join(
            f"{number:>{width}}  {line}\n" for number, line in enumerate(self.shown, self.start)
        )

    @property
    def line_ends(self) -> str | None:
        """``crlf``, ``mixed``, or None when all lines end in LF."""
        ended = self.seen if self.last_newline else self.seen - 1
        if not self.crlf:
            return None
        return "crlf" if self.crlf == ended else "mixed"


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in a folder."""

    name: str
    kind: FileKind
    size: int | None = None
    target: str | None = None


def kind_of(mode: int) -> FileKind:
    """Return what a file is, from its mode."""
    return _KINDS.get(stat.S_IFMT(mode), FileKind.DEVICE)


def is_binary(first: bytes) -> bool:
    """Return whether a file is binary, as git tells it: a NUL among its first bytes."""
    return b"\0" in first[:FIRST_BYTES]


def read_lines(file: BinaryIO, start: int, end: int | None, characters: int) -> Lines:
    """Return the lines from ``start`` on, as many as fit into ``characters``, at least one.

    Args:
        file: Open for reading in binary, at its beginning.
        start: The first line, from 1.
        end: The last line, or None for the last of the file.
        characters: Bound on the text, numbers included.
    """
    page = Lines(start=start)
    used = 0
    for line in _each(file, page):
        page.seen += 1
        page.crlf += line.ending == b"\r\n"
        page.last_newline = bool(line.ending)
        inside = page.seen >= start and (end is None or page.seen <= end)
        if not inside or page.next_line is not None:
            continue
        text = _shown(line, page)
        used += len(text) + _NUMBER_CHARACTERS
        if used > characters and page.shown:
            page.next_line = page.seen
        else:
            page.shown.append(text)
    return page


@dataclass(frozen=True, slots=True)
class _Line:
    head: bytes
    dropped: int
    ending: bytes


def _each(file: BinaryIO, page: Lines) -> Iterator[_Line]:
    """Yield the lines of a file: of a very long one, only the head is kept in memory."""
    scanned = 0
    while piece := file.readline(_LINE_BYTES):
        head, dropped, last = piece, 0, piece
        while not last.endswith(b"\n") and (more := file.readline(1 << 16)):
            dropped += len(more)
            last = last[-1:] + more  # a CR LF may stand across two pieces
            if scanned + dropped > SCAN_BYTES:
                break
        ending = b"\r\n" if last.endswith(b"\r\n") else b"\n" if last.endswith(b"\n") else b""
        if not dropped:
            head = head.removesuffix(ending)
        yield _Line(head, max(dropped - len(ending), 0), ending)
        scanned += len(head) + dropped
        if scanned > SCAN_BYTES:
            page.stopped = True
            return


def _shown(line: _Line, page: Lines) -> str:
    """Return a line as text: odd bytes as escapes, a long one cut with a mark."""
    decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
    text = decoder.decode(line.head, final=not line.dropped)
    page.odd_bytes = page.odd_bytes or not _is_utf8(line)
    if len(text) <= LINE_CHARACTERS and not line.dropped:
        return text
    page.cut += 1
    rest = len(text) - LINE_CHARACTERS + line.dropped
    return f"{text[:LINE_CHARACTERS]} …[{max(rest, 1)} more]"


def _is_utf8(line: _Line) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(line.head, final=not line.dropped)
    except UnicodeDecodeError:
        return False
    return True


def read_folder(folder: int) -> list[Entry]:
    """Return what is in an open folder: folders first, then by name; at most ``ENTRIES``."""
    with os.scandir(folder) as entries:
        names = [entry.name for entry in itertools.islice(entries, ENTRIES)]
    found = [entry for name in names if (entry := _entry(folder, name)) is not None]
    return sorted(found, key=lambda entry: (entry.kind is not FileKind.FOLDER, entry.name))


def _entry(folder: int, name: str) -> Entry | None:
    shown = readable(name)
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        kind = kind_of(status.st_mode)
        if kind is FileKind.LINK:
            return Entry(shown, kind, target=readable(os.readlink(name, dir_fd=folder)))
    except OSError:
        return None  # gone since its name was read
    return Entry(shown, kind, status.st_size if kind is FileKind.FILE else None)


def readable(name: str) -> str:
    """Return a file name that can be shown: names are bytes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def reader(tree: Path) -> Callable[[str], bytes | None]:
    """Return what reads a whole file of a tree, or None where it cannot."""

    def read(path: str) -> bytes | None:
        with opened_root(tree) as root:
            try:
                fd = open_beneath(root, path)
            except Refused:
                return None
            with os.fdopen(fd, "rb") as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode) or status.st_size > SCAN_BYTES:
                    return None
                return file.read(SCAN_BYTES)

    return read
