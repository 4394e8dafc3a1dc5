"""Where a breakpoint is: by line, by the text of the line, or by function."""

import pytest

from debug_mcp.debuggers.breakpoints import Unresolved, first_line, resolve
from debug_mcp.models.debugging import Breakpoint

TREE = {
    "app.py": ["import os", "", "def main():", "    x = 1", "    return x", "", "main()"],
    "src/pkg/core.py": [
        "class Point:",
        "    def move(self):",
        '        """Move it."""',
        "        self.x += 1",
        "",
        "    async def wait(self):",
        "        pass",
    ],
    "broken.py": ["def (:"],
}


def place(at: str, *, python: bool = True) -> tuple[str, int, str]:
    point = resolve(Breakpoint(at=at), 0, TREE.get, python=python)
    return point.path, point.line, point.function


@pytest.mark.parametrize(
    ("at", "where"),
    [
        ("app.py:4", ("app.py", 4, "")),
        ("./app.py:4", ("app.py", 4, "")),
        ("/workspace/app.py:4", ("app.py", 4, "")),
        ("app.py:/return x/", ("app.py", 5, "")),
        ("func:app.main", ("app.py", 4, "")),
        ("func:pkg.core.Point.move", ("src/pkg/core.py", 4, "")),
        ("func:pkg.core.Point.wait", ("src/pkg/core.py", 7, "")),
        ("func:elsewhere.run", ("", 0, "run")),
        ("func:broken.f", ("", 0, "f")),
    ],
)
def test_a_place_is_found(at: str, where: tuple[str, int, str]) -> None:
    assert place(at) == where


def test_names_of_other_languages_are_left_to_their_debugger() -> None:
    assert place("func:std::vector<int>::push_back", python=False)[2] == (
        "std::vector<int>::push_back"
    )


@pytest.mark.parametrize(
    ("at", "why"),
    [
        ("app.py:8", "has 7 lines"),
        ("app.py:0", "is no place"),
        ("nowhere.py:1", "no file 'nowhere.py'"),
        ("app.py:/nothing/", "no line of app.py"),
        ("app.py:/main/", "2 lines of app.py"),
        ("app.py", "is no place"),
        ("func:", "names no function"),
    ],
)
def test_a_place_that_is_none_is_refused_with_the_reason(at: str, why: str) -> None:
    with pytest.raises(Unresolved, match=why):
        place(at)


def test_lines_with_the_same_text_are_told_apart() -> None:
    with pytest.raises(Unresolved) as caught:
        place("app.py:/main/")
    assert caught.value.candidates == ("app.py:3", "app.py:7")


@pytest.mark.parametrize("source", ["x" * 10 + "(" * 100_000, "\0", "def f(): 'only a doc'"])
def test_any_source_can_be_asked_for_a_function(source: str) -> None:
    assert first_line(source, ["f"]) in (None, 1)
