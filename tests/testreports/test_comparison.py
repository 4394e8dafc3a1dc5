"""Which tests ended otherwise on one side than on the other."""

from debug_mcp.testreports.comparison import compare
from debug_mcp.testreports.model import Failure, Report, Result, Status

ENDS = {
    ".": Status.PASSED,
    "F": Status.FAILED,
    "E": Status.ERROR,
    "s": Status.SKIPPED,
    "x": Status.XFAILED,
}


def ran(ends: str, error: str = "boom", **uncollected: str) -> Report:
    """A run of the tests a, b, c … that ended so; a blank is a test that is not there."""
    tests = {
        f"t.py::{name}": Result(ENDS[end], 0.0, Failure(f"{error} {name}") if end in "FE" else None)
        for name, end in zip("abcdefgh", ends, strict=False)
        if end != " "
    }
    found = {f"{name}.py": Failure(why) for name, why in uncollected.items()}
    return Report("pytest", complete=True, tests=tests, uncollected=found)


def names(*letters: str) -> tuple[str, ...]:
    return tuple(f"t.py::{letter}" for letter in letters)


def test_each_test_is_told_by_how_it_ended_on_both_sides() -> None:
    #                       abcdefgh
    found = compare([ran(".F.F.s x")], [ran("F..E. ..")])
    assert tuple(found.newly_failing) == names("a")
    assert found.newly_passing == names("b")
    assert tuple(found.still_failing) == names("d")
    assert found.still_passing == 2  # c and e
    assert (found.only_in_base, found.only_in_head) == (names("f"), names("g"))
    assert found.unstable == ()


def test_a_test_that_fails_otherwise_is_told() -> None:
    found = compare([ran("FF", "was")], [ran("F", "is")])
    assert found.error_changed == {"t.py::a": ("was a", "is a")}
    assert compare([ran("F")], [ran("F")]).error_changed == {}


def test_what_ends_in_two_ways_on_one_side_is_unstable_and_nothing_else() -> None:
    found = compare([ran("..F"), ran("F.F")], [ran("F.."), ran("  F")])
    assert found.unstable == names("a", "c")
    assert (found.flips, found.still_passing) == ((), 1)


def test_a_run_of_some_tests_only_leaves_the_others_as_they_were() -> None:
    found = compare([ran("...."), ran(" .")], [ran(".F.."), ran(" F")])
    assert tuple(found.newly_failing) == names("b")
    assert found.still_passing == 3
    assert found.only_in_base == found.only_in_head == ()


def test_a_new_test_that_fails_is_new_and_fails() -> None:
    found = compare([ran(".")], [ran(".F")])
    assert tuple(found.newly_failing) == names("b") == found.only_in_head


def test_a_file_that_cannot_be_collected_any_more_fails_and_its_tests_are_not_gone() -> None:
    found = compare([ran("..")], [ran("", t="no module")])
    assert {name: failure.error for name, failure in found.newly_failing.items()} == {
        "t.py": "no module"
    }
    assert found.only_in_base == ()


def test_a_file_that_can_be_collected_again_is_passing() -> None:
    found = compare([ran("", t="no module")], [ran("..")])
    assert found.only_in_head == ()
    assert found.newly_failing == {}
