"""What a page shows, held against what happens.

A shown line stands for a printed one when they are equal but for what differs each time: ids,
commits, times and numbers; and ``…``, which stands for anything. Shown lines have to be printed in
their order; others may come between. An id keeps its meaning on the page: ``s_4xrb`` in a command
is replaced by the id that was printed where the page first shows ``s_4xrb``.
"""

import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_ID = r"\b[a-z]_[a-z0-9]{4,5}\b"
_CHANGING = re.compile(
    rf"(?P<id>{_ID})|(?P<commit>\b(?=\w*\d)[0-9a-f]{{7,64}}\b)|(?P<anything>…)"
    r"|(?P<time>\d{4}-\d\d-\d\dT[\d:.]+Z)|(?P<scratch>debug-mcp-demo-\w+)"
    r"|(?P<number>\d+\.\d+|\d{2,})"
)
_PRINTED = {
    "commit": "[0-9a-f]{7,64}",
    "anything": ".*",
    "time": r"[\d:.TZ-]+",
    "scratch": r"debug-mcp-demo-\w+",
    "number": r"[\d.]+",
}


@dataclass
class Step:
    """A command of a page, and what the page shows of its output."""

    command: str
    shown: list[str] = field(default_factory=list)


def blocks(page: str, language: str) -> Iterator[list[str]]:
    """Yield the lines of each fenced block in a language."""
    for block in re.findall(rf"^```{language}\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        yield block.splitlines()


def steps(page: str) -> list[Step]:
    """Return the commands of a page's consoles, in order."""
    found: list[Step] = []
    for block in blocks(page, "console"):
        for line in block:
            if line.startswith("$ "):
                found.append(Step(line[2:]))
            else:
                found[-1].shown.append(line)
    return found


class Reader:
    """Somebody who follows a page, and remembers what its ids stand for."""

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}

    def own(self, text: str) -> str:
        """Return a command of the page with the ids that it has here."""
        return re.sub(_ID, lambda found: self._ids.get(found[0], found[0]), text)

    def compare(self, shown: Sequence[str], printed: str) -> None:
        """See that every shown line was printed, in this order."""
        lines = printed.splitlines()
        for line in shown:
            if line.strip() == "…":
                continue
            while True:
                assert lines, f"the page shows {line!r}; printed was\n{printed}"
                if self._equal(line, lines.pop(0)):
                    break

    def _equal(self, shown: str, printed: str) -> bool:
        ids: list[str] = []

        def pattern(found: "re.Match[str]") -> str:
            kind = str(found.lastgroup)
            if kind != "id":
                return _PRINTED[kind]
            ids.append(found[0])
            return rf"({re.escape(self._ids[found[0]]) if found[0] in self._ids else _ID})"

        parts, end = [], 0
        for found in _CHANGING.finditer(shown):
            parts += [re.escape(shown[end : found.start()]), pattern(found)]
            end = found.end()

        whole = "".join([*parts, re.escape(shown[end:])])
        matched = re.fullmatch(whole, printed)
        if matched is None:
            return False
        self._ids.update(zip(ids, matched.groups(), strict=True))
        return True


class Shell:
    """A shell that keeps its folder and its variables from one command to the next."""

    _END = "--- the command ended with"

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            ["bash"],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, command: str) -> tuple[int, str]:
        """Run a command; return its exit code and what it printed."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(
            f"{{ {command}\n}} </dev/null; code=$?; echo; echo '{self._END}' $code\n"
        )
        process.stdin.flush()
        printed = ""
        for line in process.stdout:
            if line.startswith(self._END):
                return int(line.split()[-1]), printed
            printed += line
        raise AssertionError(f"the shell ended at {command!r}: {printed}")

    def close(self) -> None:
        self._process.communicate()
