"""Evidence: what runs of tests show. Each kind of it has its own arguments and views."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

WAIT_SECONDS = 50

EvidenceId = Annotated[str, Field(min_length=1, max_length=64)]

# As everywhere; its words stand in the tools before these.
EvidenceKey = Annotated[str | None, Field(min_length=1, max_length=200)]


class EvidenceKind(StrEnum):
    """What is to be shown; its tool is ``<kind>_run``, and its id's argument ``<kind>_id``."""

    COMPARE = "compare"
    FLAKY = "flaky"
    BISECT = "bisect"


class EvidenceState(StrEnum):
    """Where a piece of evidence stands."""

    RUNNING = "running"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class EvidenceRow:
    """A stored piece of evidence (JSON): what was asked, how far it is, and what came of it."""

    id: str
    kind: EvidenceKind
    principal: str
    repository_id: str
    state: EvidenceState
    instance: str
    asked: dict[str, Any]
    created_at: datetime
    progress: dict[str, Any] = field(default_factory=dict)
    result: dict[str, Any] | None = None
