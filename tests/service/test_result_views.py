"""How test results are shown: counts that add up, failures by cause, cuts that are counted."""

from debug_mcp.models.base import now
from debug_mcp.service.result_views import results_view
from debug_mcp.testreports.model import Failure, Report, Result, Status


def failed(at: int, error: str = "ValueError: no") -> Result:
    return Result(Status.FAILED, 0.1, Failure(error, "test_a.py", at, "x = f()"))


def test_failures_of_one_cause_are_one_group() -> None:
    tests = {
        "a[1]": failed(3, "AssertionError: assert 1 == 2"),
        "a[2]": failed(3, "AssertionError: assert 2 == 3"),
        "b": failed(9),
        "c": Result(Status.PASSED),
    }
    view = results_view(Report("pytest", complete=True, tests=tests, collected=4), now()).compact()
    assert view["failures"] == [
        {
            "at": "test_a.py:3",
            "code": "x = f()",
            "error": "AssertionError: assert 1 == 2",
            "tests": ["a[1]", "a[2]"],
        },
        {"at": "test_a.py:9", "code": "x = f()", "error": "ValueError: no", "tests": ["b"]},
    ]
    assert (view["from"], view["complete"]) == ("pytest", True)
    assert (view["passed"], view["failed"]) == (1, 3)
    assert "errors" not in view
    assert "collected" not in view


def test_another_exception_at_one_place_is_another_group() -> None:
    tests = {"a": failed(3, "KeyError: 'x'"), "b": failed(3, "TypeError: y")}
    view = results_view(Report("pytest", complete=True, tests=tests), now())
    assert [group.tests for group in view.failures] == [("a",), ("b",)]


def test_a_run_that_goes_on_tells_how_far_it_is() -> None:
    report = Report("pytest", False, {"a": Result(Status.PASSED)}, collected=9, current="b")
    view = results_view(report, now()).compact()
    assert (view["complete"], view["done"], view["collected"]) == (False, 1, 9)
    assert view["current"] == "b"


def test_long_lists_and_texts_are_cut_and_counted() -> None:
    many = {
        f"t[{place}-{n}]": failed(place, "E: " + "x" * 1000)
        for place in range(30)
        for n in range(8)
    }
    view = results_view(Report("pytest", complete=True, tests=many), now())
    assert len(view.failures) == 10
    assert view.more_groups == 20
    first = view.failures[0]
    assert (len(first.tests), first.more) == (5, 3)
    assert len(first.error) == 400
    assert first.error.endswith("…")
    assert len(view.model_dump_json()) < 8000


def test_files_that_cannot_be_collected_and_broken_fixtures_are_failures_too() -> None:
    report = Report(
        "pytest",
        complete=False,
        tests={"a": Result(Status.ERROR, 0, Failure("fixture 'x' not found"))},
        uncollected={"test_b.py": Failure("ModuleNotFoundError: No module named 'b'")},
    )
    view = results_view(report, now())
    assert [group.tests for group in view.failures] == [("test_b.py",), ("a",)]
    assert (view.failed, view.errors, view.collection_errors) == (0, 1, 1)


def test_only_slow_tests_are_named_as_slow() -> None:
    tests = {str(n): Result(Status.PASSED, n / 2) for n in range(8)}
    view = results_view(Report("pytest", complete=True, tests=tests), now())
    assert [test.test for test in view.slowest] == ["7", "6", "5"]
    assert view.seconds == 14
