"""Lines of output that look like errors: of compilers, tests, interpreters and build tools.

Conservative: each form is one that a tool is known to print. What is missed is found by a search;
what is taken for an error and is none would send the reader the wrong way.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from debug_mcp.runner.patterns import compiled
from debug_mcp.runner.search import LINE_CHARACTERS, Hit, following, hits

# In this order: the first that fits names the kind.
FORMS = {
    "traceback": r"[\s+|]*(?:Exception Group )?Traceback \(most recent call last\):",
    "compiler": (
        r"\S[^\s:()]*(?::\d+){1,2}:? (?:fatal )?error\b.*"  # gcc, clang, mypy, javac, swiftc
        r"|[^\s:()]+\(\d+(?:,\d+)?\): (?:fatal )?error\b.*"  # tsc, msbuild
        r"|(?:vet: )?[\w./-]+\.go:\d+(?::\d+)?: .*"
        r"|(?:[\w./+-]+: )?(?:fatal )?error(?:\[\w+\])?: .*"  # rustc, ld, cc1
        r"|.*: undefined reference to .*"
    ),
    "test": (
        r"(?:FAILED|ERROR) \S+\.py\b.*"  # pytest
        r"|(?:FAIL|ERROR): \w+ \(.*"  # unittest
        r"|\s*--- FAIL: .*"  # go test
        r"|test \S+ \.\.\. FAILED"  # cargo test
        r"|not ok \d+\b.*"  # TAP
    ),
    "exception": (
        r"E   +[\w.]*(?:Error|Exception|Exit|Failed)\b.*"  # pytest
        r"|(?:Uncaught |Unhandled |Caused by: )?[\w.$]*(?:Error|Exception): .*"
        r"|Exception in thread .*"
    ),
    "panic": (
        r"thread '.*' (?:\(\d+\) )?panicked at .*"
        r"|panic: .*"
        r"|terminate called after .*"
        r"|==\d+==\s?ERROR: .*"  # sanitizers
        r"|.*\b(?:Segmentation fault|Bus error|Illegal instruction)\b.*"
    ),
    "npm": r"npm (?:ERR!|error) .*",
    "build": (
        r"g?make(?:\[\d+\])?: \*\*\* .*"
        r"|FAILED: .*"  # ninja
        r"|CMake Error.*"
        r"|\[ERROR\] .*"  # maven
        r"|(?:fatal|ERROR): .*"  # git, pip
    ),
    "shell": r"[\w./-]+: (?:line )?\d+: .*",  # bash, sh
}
# These print many lines for one fault.
_ONE_OF_A_KIND = {"npm"}
_INDENTED = re.compile(r"[\s+|]")
_MOST = 10_000


@dataclass
class Fault:
    """Lines that say the same: the first one, where it stands, and how many there are.

    ``place`` is the last file and line that a traceback names.
    """

    kind: str
    offset: int
    line: int
    text: str
    count: int = 1
    place: str | None = None


class _Finder:
    """All forms in one pattern, so that output is read once."""

    def __init__(self) -> None:
        self._compiled = compiled(f"^(?:{'|'.join(FORMS.values())})$")
        self._forms = {kind: re.compile(form) for kind, form in FORMS.items()}

    def search(self, data: bytes, start: int = 0) -> tuple[int, int] | None:
        found = self._compiled.search(data, start)
        return None if found is None else found.span()

    def kind(self, text: str) -> str:
        found = (kind for kind, form in self._forms.items() if form.match(text))
        return next(found, "exception")


_FINDER = _Finder()


def faults(path: Path, start: int = 0) -> Iterator[Fault]:
    """Yield each line that looks like an error; of a traceback its last line."""
    past = start
    for number, hit in enumerate(hits(path, _FINDER, start)):
        if number == _MOST:
            return
        if hit.offset < past:
            continue  # the last line of a traceback, told with it
        kind = _FINDER.kind(hit.text)
        if kind == "traceback":
            fault, past = _traceback(path, hit)
            yield fault
        else:
            yield Fault(kind, hit.offset, hit.line, hit.text)


def grouped(found: Iterator[Fault]) -> list[Fault]:
    """Return the faults, those that say the same as one, in the order of the first ones."""
    groups: dict[tuple[str, str], Fault] = {}
    for fault in found:
        key = (fault.kind, "" if fault.kind in _ONE_OF_A_KIND else fault.text)
        known = groups.setdefault(key, fault)
        if known is not fault:
            known.count += 1
    return list(groups.values())


def _traceback(path: Path, hit: Hit) -> tuple[Fault, int]:
    """Return a traceback's last line and place, and the offset behind it."""
    shown = following(path, hit.offset)
    place, passed = None, 0
    header, *rest = shown.split("\n")
    passed += len(header.encode()) + 1
    for line in rest:
        passed += len(line.encode()) + 1
        named = re.match(r'[\s+|]*File "(.+)", line (\d+)', line)
        if named:
            place = f"{named[1]}:{named[2]}"
        elif line and not _INDENTED.match(line):
            text = line[:LINE_CHARACTERS]
            return Fault("traceback", hit.offset, hit.line, text, place=place), hit.offset + passed
    return Fault("traceback", hit.offset, hit.line, hit.text.strip(), place=place), hit.end
