"""Artifact: a file kept from a session, addressed by its content."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, Field

from debug_mcp.errors import NextCall
from debug_mcp.models.base import Arguments, View, one_or_many
from debug_mcp.models.sessions import SessionId

READ_LIMIT_BYTES = 40_000
XML = "application/xml"


class ArtifactKind(StrEnum):
    """What an artifact is good for."""

    JUNIT = "junit"
    COVERAGE = "coverage"
    CORE = "core"
    PATCH = "patch"
    BUNDLE = "bundle"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Artifact:
    """A stored artifact. ``name`` is the path relative to the tree's root."""

    id: str
    session_id: str
    principal: str
    name: str
    kind: ArtifactKind
    media_type: str
    size: int
    sha256: str
    created_at: datetime

    @property
    def is_text(self) -> bool:
        """Whether it can be read as text: XML is, though its media type does not say so."""
        return self.media_type.startswith("text/") or self.media_type == XML


Globs = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=500)]],
    BeforeValidator(one_or_many),
    Field(max_length=50),
]


class ArtifactList(Arguments):
    """Arguments of ``artifact_list``."""

    session_id: SessionId
    collect: Globs = Field(
        default=[], description="globs relative to the tree, kept first: ['build/**/*.xml']"
    )


class ArtifactRead(Arguments):
    """Arguments of ``artifact_read``."""

    artifact_id: str = Field(min_length=1, max_length=64)
    offset: int = Field(default=0, ge=0, description="first byte")
    length: int = Field(
        default=6000,
        ge=1,
        le=READ_LIMIT_BYTES,
        description="bytes; default 6000, at most 40000",
    )


class ArtifactView(View):
    """An artifact as a caller sees it."""

    artifact_id: str
    name: str
    kind: ArtifactKind
    media_type: str
    size: int
    sha256: str
    uri: str


class CollectedView(View):
    """An artifact that the end of a command collected."""

    artifact_id: str
    name: str
    size: int
    uri: str


class RefusedView(View):
    """A file that matched and was not kept, and why."""

    name: str
    why: str


class ArtifactsView(View):
    """The artifacts of a session; ``truncated`` when a limit ended the collection."""

    session_id: str
    artifacts: list[ArtifactView]
    refused: tuple[RefusedView, ...] = ()
    truncated: str | None = None
    hint: str | None = None
    next: NextCall | None = None


class ArtifactPage(View):
    """A part of an artifact: text, or base64 when it is not UTF-8."""

    artifact_id: str
    name: str
    kind: ArtifactKind
    total_bytes: int
    offset: int
    text: str | None = None
    base64: str | None = None
    next_offset: int | None = None
