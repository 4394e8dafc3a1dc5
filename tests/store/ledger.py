"""A ledger on a real file, and rows to begin from."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from debug_mcp.models.artifacts import Artifact, ArtifactKind
from debug_mcp.models.base import now
from debug_mcp.models.commands import Command, CommandRun, CommandState, Outcome
from debug_mcp.models.repositories import Repository, RepositoryState
from debug_mcp.models.sessions import Isolation, SessionState, WorkSession
from debug_mcp.store.artifacts import Artifacts
from debug_mcp.store.commands import Commands, End
from debug_mcp.store.database import Database, open_database
from debug_mcp.store.idempotency import Request
from debug_mcp.store.migrate import schema_of
from debug_mcp.store.repositories import Repositories
from debug_mcp.store.sessions import Sessions

MIDDAY = datetime(2026, 1, 2, 12, tzinfo=UTC)
BASE = "1" * 40


@dataclass(frozen=True)
class Ledger:
    """An open database, and its tables."""

    database: Database
    repositories: Repositories
    sessions: Sessions
    commands: Commands
    artifacts: Artifacts

    async def repository(self, **changes: Any) -> Repository:
        wanted = Repository("", "calculator", "/calculator", RepositoryState.CLONING, now())
        return await self.repositories.register(replace(wanted, **changes))

    async def session(self, request: Request | None = None, **changes: Any) -> WorkSession:
        """Return a new session; it is ready unless its state is among the changes."""
        wanted = WorkSession(
            id="",
            repository_id=(await self.repository()).id,
            principal="local",
            state=SessionState.READY,
            ref="main",
            base=BASE,
            isolation=Isolation.NONE,
            instance="here",
            created_at=now(),
        )
        session, _ = await self.sessions.create(replace(wanted, **changes), request)
        return session

    async def command(self, session: WorkSession, **changes: Any) -> Command:
        """Return a command that was queued just now."""
        accepted, _ = await self.accept(session, **changes)
        return accepted

    async def accept(
        self,
        session: WorkSession,
        request: Request | None = None,
        queue_limit: int = 20,
        **changes: Any,
    ) -> tuple[Command, bool]:
        wanted = Command(
            id="",
            session_id=session.id,
            principal=session.principal,
            state=CommandState.QUEUED,
            request=CommandRun(session_id=session.id, command=["true"]),
            accepted_at=now(),
        )
        return await self.commands.accept(replace(wanted, **changes), request, queue_limit)

    async def claimed(self, instance: str = "here", running_limit: int = 8) -> str | None:
        """Claim what comes next; return its id."""
        command = await self.commands.claim(instance, running_limit)
        return None if command is None else command.id

    async def finish(self, command: Command, outcome: Outcome = Outcome.CANCELLED) -> bool:
        return await self.commands.finish(command.id, End(outcome, now()))

    async def count(self, table: str) -> int:
        [row] = await self.database.read(f"SELECT count(*) FROM {table}")
        return int(row[0])


def an_artifact(session: WorkSession, **changes: Any) -> Artifact:
    artifact = Artifact(
        id="",
        session_id=session.id,
        principal=session.principal,
        name="build/junit.xml",
        kind=ArtifactKind.JUNIT,
        media_type="text/xml",
        size=12,
        sha256="a" * 64,
        created_at=now(),
    )
    return replace(artifact, **changes)


@contextlib.asynccontextmanager
async def open_ledger(path: Path) -> AsyncIterator[Ledger]:
    """Open the file as a server does."""
    async with schema_of(path), open_database(path) as database:
        yield Ledger(
            database,
            Repositories(database),
            Sessions(database),
            Commands(database),
            Artifacts(database),
        )
