"""Who asks: a principal with scopes. Pure; knows no token and no transport."""

import json
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from debug_mcp.errors import PermissionDenied
from debug_mcp.models.base import Owner
from debug_mcp.models.network import NetworkPolicy


class Scope(StrEnum):
    """What a principal may be allowed to do."""

    REPOSITORY_READ = "repository:read"
    REPOSITORY_WRITE = "repository:write"
    REPOSITORY_PUSH = "repository:push"
    SESSION_READ = "session:read"
    SESSION_WRITE = "session:write"
    COMMAND_RUN = "command:run"
    COMMAND_NETWORK = "command:network"
    ARTIFACT_READ = "artifact:read"
    DEBUG_CONTROL = "debug:control"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one token may ask for over HTTP, within what its owner may; None for no less."""

    requests_per_second: float | None = None
    requests_at_once: int | None = None


NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. Sessions, commands and artifacts belong to one; others get ``NotFound``.

    ``repositories`` are the names of those that may be used; None for all. Of the token that was
    shown, if any: its id, its end, its limits and what it says of the host's network (None:
    nothing). They make no other principal of it.
    """

    name: str
    scopes: frozenset[Scope]
    repositories: frozenset[str] | None = None
    token_id: str | None = field(default=None, compare=False)
    expires_at: datetime | None = field(default=None, compare=False)
    limits: Limits = field(default=NO_LIMITS, compare=False)
    network: NetworkPolicy | None = field(default=None, compare=False)

    def require(self, scope: Scope) -> None:
        """Do nothing when the scope is held.

        Raises:
            PermissionDenied: The scope is missing.
        """
        if scope not in self.scopes:
            raise PermissionDenied(
                f"this needs the scope {scope}, which {self.name} lacks", scope=str(scope)
            )

    @property
    def owner(self) -> Owner:
        """Whose sessions, commands and artifacts it may see: its own, where it reaches."""
        names = None if self.repositories is None else json.dumps(sorted(self.repositories))
        return Owner(self.name, names)

    def reaches(self, repository: str) -> bool:
        """Return whether the repository of this name may be used."""
        return self.repositories is None or repository in self.repositories


LOCAL = Principal("local", frozenset(Scope))
"""The person who launched the server over stdio: everything that they could do themselves."""
