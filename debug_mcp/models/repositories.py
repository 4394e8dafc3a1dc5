"""Repository: a registered upstream with its mirror."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pydantic import Field

from debug_mcp.errors import NextCall
from debug_mcp.models.base import Arguments, View


class RepositoryState(StrEnum):
    """Where a repository stands."""

    CLONING = "cloning"
    READY = "ready"
    SYNCING = "syncing"
    FAILED = "failed"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Repository:
    """A stored repository. ``head_ref`` is the upstream's default branch."""

    id: str
    name: str
    url: str
    state: RepositoryState
    created_at: datetime
    head_ref: str | None = None
    head_commit: str | None = None
    error: str | None = None


class RepositoryInit(Arguments):
    """Arguments of ``repository_init``."""

    url: str = Field(min_length=1, max_length=4096, description="absolute path or file:// URL")
    name: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$",
        description="default: last part of the URL",
    )


class Head(View):
    """A ref and the full id of its commit."""

    ref: str
    commit: str


class RepositoryView(View):
    """A repository as a caller sees it."""

    repository: str
    state: RepositoryState
    head: Head | None = None
    branches: tuple[str, ...] = ()
    next: NextCall | None = None
