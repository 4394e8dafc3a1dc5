"""Texts like one that is not there."""

import difflib

import pytest

from debug_mcp import alike
from debug_mcp.alike import closest


def test_the_likest_come_first_and_what_is_not_like_it_does_not_come() -> None:
    known = ["calculator.py", "calculators.py", "README.md"]
    assert closest("calcluator.py", known, 5, 0.6) == ["calculator.py", "calculators.py"]


def test_one_among_very_many_is_found_by_how_it_begins_and_ends() -> None:
    known = [f"folder/of/many/{number:05}.txt" for number in range(20_000)]
    for wanted in ("src/calculater.py", "scr/calculator.py", "src/calculator.pyc"):
        assert closest(wanted, [*known, "src/calculator.py"], 1, 0.6) == ["src/calculator.py"]


def test_only_so_many_and_so_much_of_each_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of 20,000 long and similar names took minutes."""
    compared: list[str] = []
    compare = difflib.get_close_matches

    def counted(goal: str, texts: list[str], *bounds: float) -> list[str]:
        compared.extend([goal, *texts])
        return compare(goal, texts, *bounds)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(difflib, "get_close_matches", counted)
    known = [f"{'ab' * 120}{number:05}" for number in range(20_000)]
    assert closest(f"{'ab' * 120}x7", known, 5, 0.6)[0].endswith("7")
    assert len(compared) <= alike.COMPARED + 1
    assert max(map(len, compared)) <= 80


def test_long_texts_that_differ_in_the_middle_alone_are_given_as_they_are() -> None:
    known = [f"{'x' * 60}{middle}{'y' * 60}" for middle in "ab"]
    assert closest(f"{'x' * 60}c{'y' * 60}", known, 5, 0.6) == known[:1]
