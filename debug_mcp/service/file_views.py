"""What a caller sees of a file or folder. Everything here blocks: call it in a thread."""

import os
from pathlib import Path

from debug_mcp.artifacts.kinds import media_type_of
from debug_mcp.beneath import Refused, open_beneath, opened_root
from debug_mcp.errors import InvalidInput, NextCall
from debug_mcp.models.files import (
    ASKED_CHARACTERS,
    READ_CHARACTERS,
    EntryView,
    FileKind,
    FileRead,
    FileView,
)
from debug_mcp.worktrees import files
from debug_mcp.worktrees.files import Entry, Lines
from debug_mcp.worktrees.paths import refusal

# Kind, quotes and commas beside an entry's names.
_ENTRY_CHARACTERS = 40


def look(tree: Path, path: str, args: FileRead) -> FileView:
    """Return the part of a file or folder that was asked for.

    Args:
        tree: The tree's root on the host.
        path: Relative to it, checked.
        args: What was asked.

    Raises:
        NotFound: There is nothing under that path; the candidates are like it.
        InvalidInput: It is behind a link, or the lines asked for are not there.
    """
    if args.end is not None and args.end < (args.start or 1):
        raise InvalidInput(f"end {args.end} is before start {args.start}", field="end")
    with opened_root(tree) as root:
        try:
            fd = open_beneath(root, path)
        except Refused as error:
            raise refusal(root, path, error) from None
    try:
        status = os.fstat(fd)
        kind = files.kind_of(status.st_mode)
        if kind is FileKind.FOLDER:
            return _folder(path, files.read_folder(fd), args)
        if kind is FileKind.FILE:
            return _file(path, fd, status.st_size, args)
    finally:
        os.close(fd)
    return FileView(path=path, kind=kind, hint=f"a {kind} has no lines to show")


def _file(path: str, fd: int, size: int, args: FileRead) -> FileView:
    with os.fdopen(os.dup(fd), "rb") as file:
        first = file.read(files.FIRST_BYTES)
        if files.is_binary(first):
            return FileView(
                path=path,
                kind=FileKind.FILE,
                size=size,
                media_type=media_type_of(first),
                hint="binary: look at it with a program, or keep it with artifact_list and collect",
            )
        file.seek(0)
        lines = files.read_lines(file, args.start or 1, args.end, _room(args))
    if not lines.shown and (args.start or 1) > 1:
        raise _past_the_end(args, path, lines.seen, "line", stopped=lines.stopped)
    return FileView(
        path=path,
        kind=FileKind.FILE,
        start=lines.start if lines.shown else None,
        end=lines.end if lines.shown else None,
        total=None if lines.stopped else lines.seen,
        size=size if lines.stopped else None,
        text=lines.text,
        line_ends=lines.line_ends,
        last_newline=None if lines.last_newline else False,
        hint=_hint(lines),
        next=_next(args, path, lines.next_line),
    )


def _folder(path: str, entries: list[Entry], args: FileRead) -> FileView:
    start, room, shown = args.start or 1, _room(args), list[EntryView]()
    for entry in entries[start - 1 : args.end]:
        room -= len(entry.name) + len(entry.target or "") + _ENTRY_CHARACTERS
        if room < 0 and shown:
            break
        shown.append(EntryView(
            name=entry.name, kind=entry.kind, size=entry.size, target=entry.target
        ))  # fmt: skip
    if not shown and start > 1:
        raise _past_the_end(args, path, len(entries), "entry")
    end = start + len(shown) - 1
    rest = end < min(args.end or len(entries), len(entries))
    return FileView(
        path=path,
        kind=FileKind.FOLDER,
        start=start if shown else None,
        end=end if shown else None,
        total=len(entries),
        entries=tuple(shown),
        hint=None if entries else "an empty folder",
        next=_next(args, path, end + 1 if rest else None),
    )


def _room(args: FileRead) -> int:
    return READ_CHARACTERS if args.end is None else ASKED_CHARACTERS


def _past_the_end(
    args: FileRead, path: str, total: int, what: str, *, stopped: bool = False
) -> InvalidInput:
    plural = {"line": "lines", "entry": "entries"}[what] if total != 1 else what
    seen = f"{total} {plural} in its first {files.SCAN_BYTES} bytes, and more" if stopped else (
        f"{total} {plural}"
    )  # fmt: skip
    arguments: dict[str, object] = {"session_id": args.session_id, "path": path}
    if total > 1:
        arguments["start"] = max(total - 100, 1)
    return InvalidInput(
        f"{path} has {seen}; start is {args.start}",
        field="start",
        next_call=None if stopped else {"tool": "file_read", "arguments": arguments},
    )


def _next(args: FileRead, path: str, start: int | None) -> NextCall | None:
    if start is None:
        return None
    arguments: dict[str, object] = {"session_id": args.session_id, "path": path, "start": start}
    if args.end is not None:
        arguments["end"] = args.end
    return {"tool": "file_read", "arguments": arguments}


def _hint(lines: Lines) -> str | None:
    hints = []
    if lines.seen == 0:
        hints.append("an empty file")
    if lines.cut:
        hints.append(
            f"{lines.cut} very long lines are cut after {files.LINE_CHARACTERS} characters"
        )
    if lines.odd_bytes:
        hints.append(r"not all of it is UTF-8: such bytes are shown as \xNN")
    if lines.line_ends == "mixed":
        hints.append(f"{lines.crlf} of {lines.seen} lines end in CRLF, the others in LF")
    if lines.stopped:
        hints.append(f"only its first {files.SCAN_BYTES} bytes were looked at")
    return "; ".join(hints) or None
