"""Breakpoints as an agent declares them, and what the adapter is told.

The whole set is declared at once and kept here: adapters replace all of a file's at each request.
"""

import ast
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from debug_mcp.debuggers.debugger import Debugger, Placed
from debug_mcp.debuggers.stops import Places
from debug_mcp.debuggers.trace import marked
from debug_mcp.debuggers.wire import Message
from debug_mcp.models.debugging import Breakpoint

FUNCTION = "func:"
_LINE = re.compile(r"(?P<path>.+):(?P<line>[1-9]\d{0,6})")
_TEXT = re.compile(r"(?P<path>.+?):/(?P<text>.+)/")


class Unresolved(Exception):
    """A breakpoint names no place. ``candidates`` are places that may be meant."""

    def __init__(self, message: str, candidates: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.candidates = tuple(candidates)


@dataclass(slots=True)
class Point:
    """A breakpoint with its place, and what became of it.

    Exactly one of ``line`` (in ``path``) and ``function`` says where it is.
    """

    asked: Breakpoint
    number: int
    path: str = ""
    line: int = 0
    function: str = ""
    temporary: bool = False
    placed: Placed | None = None
    hits: int = 0

    @property
    def at(self) -> str:
        """The place as it was asked for."""
        return self.asked.at


# The lines of a file of the tree; None when there is none.
Read = Callable[[str], list[str] | None]


def resolve(asked: Breakpoint, number: int, read: Read, *, python: bool) -> Point:
    """Find the place of a breakpoint.

    Args:
        asked: It.
        number: Its number in the set.
        read: Returns the lines of a file of the tree, by its path.
        python: Functions are Python's, found in the source; else the debugger knows them.

    Raises:
        Unresolved: There is no such file, line, text or function.
    """
    at = asked.at
    if at.startswith(FUNCTION):
        return _function(asked, number, at.removeprefix(FUNCTION).strip(), read, python=python)
    if text := _TEXT.fullmatch(at):
        path = _clean(text["path"])
        return Point(asked, number, path, _line_of(path, text["text"], _lines(path, read)))
    if place := _LINE.fullmatch(at):
        path, line = _clean(place["path"]), int(place["line"])
        lines = _lines(path, read)
        if line > len(lines):
            raise Unresolved(f"{path} has {len(lines)} lines, there is no line {line}")
        return Point(asked, number, path, line)
    raise Unresolved(
        f"{at!r} is no place: write path:LINE, path:/text of the line/ or func:module.function"
    )


def _clean(path: str) -> str:
    return path.removeprefix("/workspace/").removeprefix("./")


def _lines(path: str, read: Read) -> list[str]:
    lines = read(path)
    if lines is None:
        raise Unresolved(f"there is no file {path!r} in the tree")
    return lines


def _line_of(path: str, text: str, lines: list[str]) -> int:
    found = [number for number, line in enumerate(lines, 1) if text in line]
    if not found:
        raise Unresolved(f"no line of {path} has the text {text!r}")
    if len(found) > 1:
        raise Unresolved(
            f"{len(found)} lines of {path} have the text {text!r}; name one",
            [f"{path}:{number}" for number in found[:10]],
        )
    return found[0]


def _function(asked: Breakpoint, number: int, name: str, read: Read, *, python: bool) -> Point:
    """Find a function: in Python at the first line that it runs, which needs no name at run time.

    Only one that no file of the tree has is left to the debugger, which knows plain names.
    """
    if python:
        parts = name.split(".")
        for cut in range(len(parts) - 1, 0, -1):
            for path in _modules(parts[:cut]):
                lines = read(path)
                if lines is None:
                    continue
                line = first_line("\n".join(lines), parts[cut:])
                if line is not None:
                    return Point(asked, number, path, line)
    if not name:
        raise Unresolved("func: names no function")
    plain = name.rpartition(".")[2] if python else name
    return Point(asked, number, function=plain)


def _modules(parts: Sequence[str]) -> Iterable[str]:
    path = "/".join(parts)
    for root in ("", "src/", "lib/", "python/"):
        yield f"{root}{path}.py"
        yield f"{root}{path}/__init__.py"


def first_line(source: str, names: Sequence[str]) -> int | None:
    """Return the line of the first statement of a function, found by the names that lead to it."""
    try:
        node: ast.AST = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return None
    for name in names:
        found = [
            child
            for child in ast.walk(node)
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            and child.name == name
        ]
        if not found:
            return None
        node = found[0]
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return None
    body = node.body
    said = isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
    return body[1].lineno if said and len(body) > 1 else body[0].lineno


class BreakpointSet:
    """The breakpoints of a program."""

    def __init__(self, debugger: Debugger, places: Places, *, tracing: bool) -> None:
        self._debugger = debugger
        self._places = places
        self._tracing = tracing
        self._files: set[str] = set()
        self._functions = False
        self.points: list[Point] = []

    async def declare(self, points: Sequence[Point], captures: Sequence[str]) -> None:
        """Replace all breakpoints. It raises what a request to the debugger raises."""
        self._keep_counts(points)
        self.points = list(points)
        by_file: dict[str, list[Point]] = {path: [] for path in self._files}
        functions = []
        for point in self.points:
            if point.function:
                functions.append(point)
            else:
                by_file.setdefault(point.path, []).append(point)
        for path, group in by_file.items():
            wanted = [{"line": point.line, **self._conditions(point, captures)} for point in group]
            placed = await self._debugger.place(self._places.absolute(path), wanted)
            _note(group, placed)
        if functions or self._functions:
            named = [
                {"name": point.function, **self._conditions(point, captures)} for point in functions
            ]
            _note(functions, await self._debugger.place("", named, functions=True))
        self._files = {path for path, group in by_file.items() if group}
        self._functions = bool(functions)

    def _keep_counts(self, points: Sequence[Point]) -> None:
        """Carry hits over to those that stay: adapters give new ids, and count anew."""
        counted = {point.asked: self.hits(point) for point in self.points}
        for point in points:
            point.hits = counted.get(point.asked, 0)
        self._debugger.hits.clear()

    def hits(self, point: Point) -> int:
        """Return how often a breakpoint was hit."""
        id_ = None if point.placed is None else point.placed.id
        return point.hits + (0 if id_ is None else self._debugger.hits[id_])

    def state(self, point: Point) -> Placed | None:
        """Return the last that the adapter said of a breakpoint: some are verified only later."""
        if point.placed is None or point.placed.id is None:
            return point.placed
        return self._debugger.changed_breakpoints.get(point.placed.id, point.placed)

    def _conditions(self, point: Point, captures: Sequence[str]) -> Message:
        asked, message = point.asked, {}
        if asked.condition is not None:
            message["condition"] = asked.condition
        if asked.hits is not None:
            message["hitCondition"] = str(asked.hits)
        if asked.log is not None or self._tracing:
            message["logMessage"] = marked(point.number, asked.log, captures)
        return message


def _note(points: Sequence[Point], placed: Sequence[Placed]) -> None:
    for point, answer in zip(points, placed, strict=True):
        point.placed = answer
