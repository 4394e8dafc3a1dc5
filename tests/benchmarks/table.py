"""What was measured, what it is held against, and whether that is within the budget."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

# Below this many samples the 95th percentile is only the worst one.
_P95_SAMPLES = 20
_SIGNS = {"at most": "≤", "at least": "≥", "exactly": "="}
_WIDTHS = (48, 21, 50, 6, 12, 6)


@dataclass(frozen=True, slots=True)
class Measure:
    """Samples of one thing, in one unit."""

    samples: Sequence[float]
    unit: str

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    def __str__(self) -> str:
        text = f"{_number(self.median)} {self.unit}"
        if len(self.samples) < _P95_SAMPLES:
            return text
        return f"{text} (p95 {_number(statistics.quantiles(self.samples, n=20)[-1])})"


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit of the median, in its unit, or of its ratio to the reference's."""

    bound: Literal["at most", "at least", "exactly"]
    limit: float
    of: Literal["value", "ratio"] = "value"


@dataclass(frozen=True, slots=True)
class Line:
    """One row. ``reference`` was measured in the same run; ``against`` says what it is."""

    what: str
    measured: Measure
    reference: Measure | None = None
    against: str = ""
    budget: Budget | None = None

    @property
    def ratio(self) -> float | None:
        if self.reference is None or self.reference.median == 0:
            return None
        return self.measured.median / self.reference.median

    @property
    def within(self) -> bool | None:
        """Whether the budget is kept; None when there is none."""
        value = self.measured.median
        if self.budget is not None and self.budget.of == "ratio":
            value = self.ratio if self.ratio is not None else float("nan")
        match self.budget:
            case Budget("at most", limit):
                return value <= limit
            case Budget("at least", limit):
                return value >= limit
            case Budget("exactly", limit):
                return value == limit
            case _:
                return None

    def __str__(self) -> str:
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        reference = "" if self.reference is None else f"{self.reference}, {self.against}"
        budget = ""
        if self.budget is not None:
            unit = "" if self.budget.of == "ratio" else f" {self.measured.unit}"
            sign = _SIGNS[self.budget.bound] + (" ratio" if self.budget.of == "ratio" else "")
            budget = f"{sign} {_number(self.budget.limit)}{unit}"
        verdict = {True: "yes", False: "NO", None: ""}[self.within]
        return _row(self.what, str(self.measured), reference, ratio, budget, verdict)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _row(*cells: str) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, _WIDTHS, strict=True)).rstrip()


HEADER = _row("what", "median", "reference in this run", "ratio", "budget", "within")
