"""What a command's coverage files say, kept beside its output as a few numbers."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from debug_mcp.models.coverage import CoverageView, FileCoverageView
from debug_mcp.testreports.coverage import Coverage, read_coverage
from debug_mcp.testreports.junit import Unreadable

LARGEST_BYTES = 16 << 20
LOWEST = 5
_PATH_CHARACTERS = 200
_NOTE = "coverage"
_NOTE_BYTES = 1 << 16


def note_coverage(directory: Path, contents: Sequence[Path]) -> None:
    """Keep what coverage files say that a command wrote; nothing where they say nothing.

    Args:
        directory: The command's.
        contents: The files, as they were kept. Where two name a file, a line that ran in one ran.
    """
    found = Coverage()
    for content in contents:
        if content.stat().st_size <= LARGEST_BYTES:
            with contextlib.suppress(Unreadable):
                for path, lines in read_coverage(content.read_bytes()).files.items():
                    found.files.setdefault(path, {})
                    for line, ran in lines.items():
                        found.note(path, line, ran=ran)
    if found.files:
        (directory / _NOTE).write_text(coverage_view(found).model_dump_json())


def noted_coverage(directory: Path) -> CoverageView | None:
    """Return what was kept for a command, if anything was."""
    try:
        with (directory / _NOTE).open("rb") as file:
            return CoverageView.model_validate_json(file.read(_NOTE_BYTES))
    except (OSError, ValidationError):
        return None


def coverage_view(found: Coverage) -> CoverageView:
    """Return the numbers: of all files together, and of those with the least coverage."""
    files = [
        FileCoverageView(
            path=path[-_PATH_CHARACTERS:],
            percent=_percent(sum(lines.values()), len(lines)),
            missing=len(lines) - sum(lines.values()),
        )
        for path, lines in found.files.items()
    ]
    lacking = sorted(
        (file for file in files if file.missing), key=lambda file: (file.percent, -file.missing)
    )
    lines = sum(map(len, found.files.values()))
    missing = sum(file.missing for file in files)
    return CoverageView(
        percent=_percent(lines - missing, lines),
        files=len(files),
        lines=lines,
        missing=missing,
        lowest=tuple(lacking[:LOWEST]),
    )


def _percent(ran: int, lines: int) -> float:
    return 100 * ran / lines if lines else 100.0
