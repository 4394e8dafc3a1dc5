"""What all arguments and all views have in common."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose rows are meant: those of a principal, in the repositories that it may use.

    ``repositories`` are their names as a JSON array; None means all.
    """

    name: str
    repositories: str | None = None

    @property
    def parameters(self) -> dict[str, str | None]:
        """The parameters of a query: ``:owner`` and ``:repositories``."""
        return {"owner": self.name, "repositories": self.repositories}


class Arguments(BaseModel):
    """What a caller sends. Unknown keys are refused; ``"12"`` is accepted for 12."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class View(BaseModel):
    """What a caller gets. Absent means null, empty or default."""

    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True)

    def compact(self) -> dict[str, Any]:
        """Return the JSON object that stands for this view, without empty members."""
        pruned = _prune(self.model_dump(mode="json"))
        return pruned if isinstance(pruned, dict) else {}


def _prune(value: object) -> Any:
    """Drop null and empty members; a zero, a ``false`` and an empty output text say something."""
    if isinstance(value, dict):
        kept = {key: _prune(member) for key, member in value.items()}
        return {key: member for key, member in kept.items() if member not in (None, [], {})}
    if isinstance(value, (list, tuple)):
        return [_prune(member) for member in value]
    return value


def one_or_many(value: object) -> object:
    """Take a text for a list of it: models send one where a list of one is meant."""
    return [value] if isinstance(value, str) else value


def _round(seconds: float) -> float:
    return round(seconds, 1)


def iso(moment: datetime) -> str:
    """Return a point in time as ISO 8601 in UTC, to the second."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


Seconds = Annotated[float, PlainSerializer(_round, return_type=float)]
"""A duration in seconds, shown with one decimal."""

Moment = Annotated[datetime, PlainSerializer(iso, return_type=str)]
"""A point in time, shown as ISO 8601 UTC."""

WaitSeconds = Annotated[float, Field(ge=0, le=50)]
"""A bounded wait: clients cut calls at 60 s, so no wait comes near it."""

IdempotencyKey = Annotated[
    str | None,
    Field(min_length=1, max_length=200, description="same key: done once"),
]


Report = Callable[[float, float | None, str | None], Awaitable[None]]
"""Tells a caller who waits how far its call is: progress, total, and what is done in words."""


async def silent(progress: float, total: float | None, message: str | None) -> None:
    """Tell nobody."""


def now() -> datetime:
    """Return the present time in UTC."""
    return datetime.now(UTC)
