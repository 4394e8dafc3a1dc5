"""Hits that do not stop: what is kept of them."""

from debug_mcp.debuggers.trace import FIRST, LAST, Trace, marked


def hit(number: int, values: str) -> str:
    """What a debugger prints for a message without expressions."""
    return marked(number, values, ())


def test_a_hit_is_told_from_the_program_s_own_output() -> None:
    trace = Trace()
    assert not trace.take("plain text\n")
    assert trace.take(f"..F{hit(3, 'x=1')}")
    assert [(passed.n, passed.number, passed.values) for passed in trace.kept] == [(1, 3, "x=1")]


def test_expressions_are_asked_for_as_the_language_shows_them() -> None:
    assert "a.b={repr(a.b)}" in marked(0, "n={n}", ["a.b"])
    assert "n={n}" in marked(0, "n={n}", ["a.b"])


def test_of_many_hits_the_first_and_the_last_are_kept_and_all_are_counted() -> None:
    trace = Trace()
    for n in range(1000):
        trace.take(hit(n % 2, f"n={n}"))
    assert trace.total == 1000
    assert trace.counts == {0: 500, 1: 500}
    assert [passed.n for passed in trace.kept] == [
        *range(1, FIRST + 1),
        *range(1000 - LAST + 1, 1001),
    ]


def test_a_long_value_is_cut_with_a_mark() -> None:
    trace = Trace()
    trace.take(hit(0, "x" * 1000))
    assert trace.kept[0].values.endswith("…(+800)")
