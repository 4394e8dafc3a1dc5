"""Reading coverage files: Cobertura XML (as coverage.py writes too), LCOV, JSON of coverage.py.

All three name files and say of each line whether it ran; nothing else is taken from them. XML is
read as a stream. A document type is let pass, because Cobertura names one, but nothing outside is
ever opened, and whoever declares an entity is refused: entities can grow without end.

The formats: https://github.com/cobertura/cobertura (coverage-04.dtd), ``man geninfo``,
https://coverage.readthedocs.io/en/latest/commands/cmd_json.html
"""

import json
from dataclasses import dataclass, field
from xml.parsers import expat

from debug_mcp.testreports.junit import Unreadable

_LCOV = (b"TN:", b"SF:")
_FAULTS = (
    expat.ExpatError,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    OverflowError,
)


@dataclass(slots=True)
class Coverage:
    """For each file of a project, by path: its lines, and whether each ran."""

    files: dict[str, dict[int, bool]] = field(default_factory=dict)

    def note(self, path: str, line: int, *, ran: bool) -> None:
        """Note a line; once seen to run, it did."""
        lines = self.files.setdefault(path, {})
        lines[line] = lines.get(line, False) or ran


def read_coverage(content: bytes) -> Coverage:
    """Read one file, of whichever of the formats.

    Raises:
        Unreadable: It is none of them, or declares an entity.
    """
    start = content[:64].lstrip()
    try:
        if start.startswith(_LCOV):
            return _lcov(content)
        if start.startswith(b"{"):
            return _json(content)
        return _xml(content)
    except _FAULTS as error:
        raise Unreadable(f"it is no coverage file: {error}") from error
    except RecursionError as error:
        raise Unreadable("it is nested too deeply") from error


def _xml(content: bytes) -> Coverage:
    found, parser, paths = Coverage(), expat.ParserCreate(), [""]

    def start(name: str, attributes: dict[str, str]) -> None:
        if name == "class":
            paths[0] = attributes["filename"]
            found.files.setdefault(paths[0], {})
        elif name == "line" and paths[0]:
            found.note(paths[0], int(attributes["number"]), ran=int(attributes["hits"]) > 0)

    def end(name: str) -> None:
        if name == "class":
            paths[0] = ""

    def refuse(*_: object) -> None:
        raise Unreadable("it declares an entity, which coverage files do not need")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.EntityDeclHandler = refuse
    parser.Parse(content, True)
    if not found.files:
        raise Unreadable("it names no file")
    return found


def _lcov(content: bytes) -> Coverage:
    found, path = Coverage(), ""
    for line in content.decode("utf-8", "replace").splitlines():
        key, _, value = line.partition(":")
        if key == "SF":
            path = value
            found.files.setdefault(path, {})
        elif key == "DA" and path:
            number, hits, *_ = value.split(",")
            found.note(path, int(number), ran=int(hits) > 0)
        elif line == "end_of_record":
            path = ""
    return found


def _json(content: bytes) -> Coverage:
    found = Coverage()
    for path, said in json.loads(content)["files"].items():
        found.files.setdefault(path, {})
        for name, ran in (("missing_lines", False), ("executed_lines", True)):
            for line in said[name]:
                found.note(path, int(line), ran=ran)
    return found
