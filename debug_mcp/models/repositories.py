"""Repository: a registered upstream with its mirror."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag, WithJsonSchema

from debug_mcp.errors import NextCall
from debug_mcp.models.artifacts import Globs
from debug_mcp.models.base import Arguments, Moment, View, WaitSeconds
from debug_mcp.models.environment import Environment
from debug_mcp.models.environments import Recipe, Steps

INIT_WAIT_SECONDS = 20


class RepositoryState(StrEnum):
    """Where a repository stands."""

    CLONING = "cloning"
    READY = "ready"
    SYNCING = "syncing"
    FAILED = "failed"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Repository:
    """A stored repository.

    Attributes:
        head_ref: The upstream's default branch; ``HEAD`` when it stands on none.
        error: Why the clone failed, or the last fetch of a mirror that is there.
        synced_at: When the mirror was last known to equal its upstream.
        default_ref: Where sessions start that name no ref; None means the upstream's ``HEAD``.
        depth: How many commits of each branch the mirror has; None means all.
        setup: Shell commands that prepare each session, in order; or how an environment is built
            that sessions share.
        artifacts: Globs, relative to the tree, of what a command's end collects.
        env: Variables of every command in its sessions.
    """

    id: str
    name: str
    url: str
    state: RepositoryState
    created_at: datetime
    head_ref: str | None = None
    head_commit: str | None = None
    error: str | None = None
    synced_at: datetime | None = None
    default_ref: str | None = None
    depth: int | None = None
    setup: tuple[str, ...] | Recipe = ()
    artifacts: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)


def _kind_of_setup(value: object) -> str:
    return "shared" if isinstance(value, dict | Recipe) else "commands"


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
# In the schema without the members of a recipe: they are in the description.
_SETUP_SCHEMA = {"anyOf": [{"items": {"type": "string"}, "type": "array"}, {"type": "object"}]}
Setup = Annotated[
    Annotated[Steps, Tag("commands")] | Annotated[Recipe, Tag("shared")],
    Discriminator(_kind_of_setup),
    WithJsonSchema(_SETUP_SCHEMA),
]


class RepositoryInit(Arguments):
    """Arguments of ``repository_init``."""

    url: str = Field(min_length=1, max_length=4096, description="absolute path, https or ssh URL")
    name: Name | None = Field(default=None, description="default: last part of the URL")
    default_ref: str | None = Field(
        default=None, max_length=250, description="where sessions start; default HEAD"
    )
    depth: int | None = Field(
        default=None, ge=0, le=1_000_000, description="commits of each branch; default 0: all"
    )
    setup: Setup | None = Field(
        default=None,
        description="commands before each session's first; or {run, locks, outputs}: run once, "
        "into /env, from the files locks",
    )
    artifacts: Globs | None = Field(
        default=None, description="globs collected at each command's end"
    )
    env: Environment | None = Field(default=None, description="variables of all its commands")
    wait_seconds: WaitSeconds = Field(
        default=INIT_WAIT_SECONDS, description="default 20, at most 50"
    )

    def settings(self) -> dict[str, Any]:
        """Return the settings that were given, as fields of a ``Repository``."""
        given: dict[str, Any] = {
            "default_ref": None if self.default_ref == "HEAD" else self.default_ref,
            "depth": self.depth or None,
            "setup": self.setup if isinstance(self.setup, Recipe) else tuple(self.setup or ()),
            "artifacts": tuple(self.artifacts or ()),
            "env": dict(self.env or {}),
        }
        return {name: value for name, value in given.items() if getattr(self, name) is not None}


class Head(View):
    """A ref and the full id of its commit."""

    ref: str
    commit: str


class ProgressView(View):
    """How far a clone is: of the whole, and what it does in words."""

    percent: int
    text: str


class RepositoryView(View):
    """A repository as a caller sees it. ``error`` of a ready one: why its last fetch failed."""

    repository: str
    state: RepositoryState
    url: str | None = None
    progress: ProgressView | None = None
    head: Head | None = None
    branches: tuple[str, ...] = ()
    more_branches: int | None = None
    synced_at: Moment | None = None
    error: str | None = None
    default_ref: str | None = None
    depth: int | None = None
    setup: tuple[str, ...] | Recipe = ()
    artifacts: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    hint: str | None = None
    next: NextCall | None = None


class RepositoriesView(View):
    """Repositories, by name; ``more`` are not shown."""

    repositories: tuple[RepositoryView, ...] = ()
    more: int | None = None


class RepositoryList(Arguments):
    """Arguments of ``repository_list``."""

    name: Name | None = Field(default=None, description="only this one, with its branches")


class RepositoryRemove(Arguments):
    """Arguments of ``repository_remove``."""

    name: Name
    force: bool = Field(default=False, description="close its open sessions first, saving work")


class RemovedView(View):
    """What became of a repository, and of the sessions that were open in it."""

    repository: str
    state: RepositoryState = RepositoryState.REMOVED
    closed: tuple[str, ...] = ()
    hint: str | None = None
