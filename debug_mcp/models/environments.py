"""Environment: what a repository's set-up builds once, for all sessions that need the same."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from debug_mcp.models.base import one_or_many
from debug_mcp.models.commands import SCRIPT_CHARACTERS

BUILT = "/env"
"""Where commands in the sandbox see it."""


class EnvironmentState(StrEnum):
    """Where an environment stands; a waiting one is built by the next session that needs it."""

    WAITING = "waiting"
    BUILDING = "building"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Environment:
    """A stored environment.

    Attributes:
        id: Made of the digest of everything that it is built from: the same inputs, the same id.
        command_id: What builds or built it; None when that is not in the ledger any more.
        outputs: Paths of a tree that each session gets a copy of.
        size: Bytes on disk, of a ready one.
        used_at: When a session last asked for it.
    """

    id: str
    repository_id: str
    state: EnvironmentState
    outputs: tuple[str, ...]
    created_at: datetime
    used_at: datetime
    command_id: str | None = None
    size: int = 0


def _plain_path(path: str) -> str:
    """Refuse what does not name something below the tree's root, and tidy what does."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if path.startswith(("/", "~")) or not parts or ".." in parts or "\0" in path:
        raise ValueError(f"{path!r} must be a path below the tree's root, without ..")
    if any(part.casefold() == ".git" for part in parts):
        raise ValueError(f"{path!r} is in the git directory")
    return "/".join(parts)


def setup_script(steps: Sequence[str]) -> str:
    """Return one shell script: each step is shown, and the first that fails ends it."""
    return "\n".join(
        f"printf '%s\\n' {shlex.quote(f'+ {step}')}\n{{ {step}\n}} || exit" for step in steps
    )


def _check_together(steps: list[str]) -> list[str]:
    """Refuse steps that no command could hold together."""
    size = len(setup_script(steps))
    if size > SCRIPT_CHARACTERS:
        raise ValueError(
            f"the steps make a script of {size} characters, the limit is {SCRIPT_CHARACTERS}: put "
            "them into a file of the repository and call that"
        )
    return steps


Steps = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=SCRIPT_CHARACTERS)]],
    BeforeValidator(one_or_many),
    Field(max_length=50),
    AfterValidator(_check_together),
]
_Paths = Annotated[
    list[Annotated[str, Field(max_length=500), AfterValidator(_plain_path)]],
    BeforeValidator(one_or_many),
    Field(max_length=50),
]


class Recipe(BaseModel):
    """How an environment is built: ``run`` sees the files ``locks`` and nothing else of a tree.

    ``outputs`` are what it makes in the tree, such as ``node_modules``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    run: Annotated[Steps, Field(min_length=1)]
    locks: _Paths = []
    outputs: _Paths = []

    @model_validator(mode="before")
    @classmethod
    def _check_keys(cls, value: object) -> object:
        """Name what is wrong with the keys: the error of the whole names the argument alone."""
        given = set(value) if isinstance(value, dict) else {"run"}
        wrong = sorted(map(str, given - set(cls.model_fields)))
        if wrong:
            raise ValueError(f"has a key {wrong[0]!r}; there is run, locks, outputs")
        if "run" not in given:
            raise ValueError("has no run: the commands that build the environment")
        return value
