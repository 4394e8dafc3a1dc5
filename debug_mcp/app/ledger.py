"""A data directory and its ledger, opened for an operator's work beside the servers."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from debug_mcp.artifacts.collect import Files
from debug_mcp.config import Layout, Settings
from debug_mcp.errors import Unavailable
from debug_mcp.service.audit import AuditService
from debug_mcp.service.environment_keeping import EnvironmentKeeping
from debug_mcp.service.retention import RetentionService
from debug_mcp.service.tokens import TokenService
from debug_mcp.store.audit import Audit
from debug_mcp.store.database import Database, open_database
from debug_mcp.store.environments import Environments
from debug_mcp.store.filesystem import mounts, require_local
from debug_mcp.store.migrate import schema_of
from debug_mcp.store.retention import Retention
from debug_mcp.store.tokens import Tokens

# For strangers who find the data directory.
README = """\
This folder belongs to debug-mcp, a server that gives agents a place to work on git repositories.

repositories/  mirrors of registered repositories    sessions/   working trees of open sessions
commands/      what was run, and its output          artifacts/  files kept from sessions
pool/          trees of sessions to come              instances/  which servers are running
environments/  what set-ups built, for all sessions   scripts/    programs that commands are given
etc/           what sandboxes see of /etc
debug-mcp.sqlite3  the ledger of all of it

End every debug-mcp before you delete it. Work in open sessions that was not exported would be lost.
"""


@contextlib.asynccontextmanager
async def open_tokens(settings: Settings) -> AsyncIterator[tuple[TokenService, AuditService]]:
    """Open the data directory for its tokens and its audit log, without working on it.

    Raises:
        Unavailable: The data directory cannot be used.
        Conflict: Its schema is not one that this version can use.
    """
    async with _open_ledger(settings) as (_, database):
        audit = AuditService(Audit(database))
        yield TokenService(Tokens(database)), audit
        await audit.close()


@contextlib.asynccontextmanager
async def open_audit(settings: Settings) -> AsyncIterator[AuditService]:
    """Open the data directory for its audit log alone.

    Raises:
        Unavailable: The data directory cannot be used.
        Conflict: Its schema is not one that this version can use.
    """
    async with _open_ledger(settings) as (_, database):
        yield AuditService(Audit(database))


@contextlib.asynccontextmanager
async def open_retention(settings: Settings) -> AsyncIterator[RetentionService]:
    """Open the data directory for what is kept in it, without working on it.

    Raises:
        Unavailable: The data directory cannot be used.
        Conflict: Its schema is not one that this version can use.
    """
    async with _open_ledger(settings) as (layout, database):
        audit = AuditService(Audit(database))
        yield retention_of(database, audit, settings, layout)
        await audit.close()


@contextlib.asynccontextmanager
async def _open_ledger(settings: Settings) -> AsyncIterator[tuple[Layout, Database]]:
    layout = Layout(settings.data_dir.expanduser().absolute())
    make_folders(layout)
    async with schema_of(layout.database), open_database(layout.database) as database:
        yield layout, database


def retention_of(
    database: Database, audit: AuditService, settings: Settings, layout: Layout
) -> RetentionService:
    """Return what removes what is kept too long."""
    environments = EnvironmentKeeping(Environments(database), settings, layout)
    files = Files(layout.artifacts)
    return RetentionService(
        Retention(database), environments, Audit(database), audit, files, settings, layout
    )


def make_folders(layout: Layout) -> None:
    """Make the folders of a data directory that are missing.

    Raises:
        Unavailable: They cannot be made, or are on a network file system.
    """
    require_local(layout.root, mounts())
    with said_of(layout):
        for folder in (layout.root, *layout.folders):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        readme = Path(layout.root, "README.txt")
        if not readme.exists():
            readme.write_text(README)


@contextlib.contextmanager
def said_of(layout: Layout) -> Iterator[None]:
    """Say of a fault within that the data directory cannot be used."""
    try:
        yield
    except OSError as error:
        raise Unavailable(
            f"the data directory {layout.root} cannot be used: {error.strerror}; "
            "name another with --data-dir or DEBUG_MCP_DATA_DIR"
        ) from error
