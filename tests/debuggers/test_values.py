"""Values as they are shown, and the end of a text without bound."""

from hypothesis import given
from hypothesis import strategies as st

from debug_mcp.debuggers.stops import Places
from debug_mcp.debuggers.tail import Tail
from debug_mcp.debuggers.values import is_plain


def test_what_debuggers_add_is_no_variable_of_the_program() -> None:
    shown = [
        variable["name"]
        for variable in (
            {"name": "x", "type": "int"},
            {"name": "special variables"},
            {"name": "__builtins__"},
            {"name": "@py_assert1", "type": "bool"},
            {"name": "os", "type": "module"},
            {"name": "(return) f", "value": "None"},
            {"name": "(return) g", "value": "3"},
            {"name": "_private", "type": "int"},
        )
        if is_plain(variable)
    ]
    assert shown == ["x", "(return) g", "_private"]


@given(st.lists(st.text(max_size=30)), st.integers(1, 50))
def test_a_tail_is_the_end_of_all_that_was_added(parts: list[str], limit: int) -> None:
    tail = Tail(limit)
    for part in parts:
        tail.add(part)
    assert tail.text == "".join(parts)[-limit:]
    assert tail.total == len("".join(parts))


def test_paths_of_the_tree_are_told_from_others() -> None:
    places = Places("/workspace")
    assert places.relative("/workspace/a/../b.py") == "b.py"
    assert places.relative("/workspace2/b.py") is None
    assert places.relative("/usr/lib/x.py") is None
    assert places.absolute("b.py") == "/workspace/b.py"
