"""Every part of a server at work, built once and joined: the only place that knows them all."""

import contextlib
from collections.abc import AsyncIterator

import anyio

from debug_mcp.app.ground import Ground
from debug_mcp.app.ledger import make_folders, retention_of, said_of
from debug_mcp.config import Layout, Settings
from debug_mcp.runner.shim.processes import leave_keyring
from debug_mcp.runner.starter import Starter
from debug_mcp.runner.supervisor import Supervisor
from debug_mcp.service.artifacts import ArtifactService
from debug_mcp.service.bisections import BisectionService
from debug_mcp.service.bundles import BundleService
from debug_mcp.service.choices import ChoiceService
from debug_mcp.service.clones import Clones
from debug_mcp.service.closing import Closing
from debug_mcp.service.collecting import Collecting
from debug_mcp.service.commands import CommandService
from debug_mcp.service.comparisons import ComparisonService
from debug_mcp.service.connections import Connections
from debug_mcp.service.cores import Cores
from debug_mcp.service.debugging import DebugService
from debug_mcp.service.differences import DifferenceService
from debug_mcp.service.ending import Ending
from debug_mcp.service.evidence import EvidenceService
from debug_mcp.service.evidence_steps import Steps
from debug_mcp.service.expiry import Expiry
from debug_mcp.service.exports import ExportService
from debug_mcp.service.fetches import Fetches
from debug_mcp.service.files import FileService
from debug_mcp.service.flakiness import FlakinessService
from debug_mcp.service.freshness import Freshness
from debug_mcp.service.handovers import HandoverService
from debug_mcp.service.instance import Instance
from debug_mcp.service.last_looks import LastLooks
from debug_mcp.service.looks import Looks
from debug_mcp.service.postmortems import PostmortemService
from debug_mcp.service.recovery import Recovery
from debug_mcp.service.removal import Removal
from debug_mcp.service.repositories import RepositoryService
from debug_mcp.service.scheduler import Scheduler
from debug_mcp.service.server import ServerService
from debug_mcp.service.services import Services
from debug_mcp.service.sessions import SessionService
from debug_mcp.service.setup import Setup
from debug_mcp.service.statuses import StatusService
from debug_mcp.service.tokens import TokenService
from debug_mcp.service.transfers import Transfers
from debug_mcp.service.trees import Trees
from debug_mcp.service.uncommitted import Uncommitted
from debug_mcp.service.wakeups import Wakeups
from debug_mcp.service.watching import Watching
from debug_mcp.store.database import open_database
from debug_mcp.store.migrate import schema_of


@contextlib.asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Open the data directory and put this server to work on it.

    Raises:
        Unavailable: The data directory cannot be used.
        Conflict: Its schema is not one that this version can use.
    """
    layout = Layout(settings.data_dir.expanduser().absolute())
    make_folders(layout)
    leave_keyring()
    async with contextlib.AsyncExitStack() as stack:
        with said_of(layout):
            instance = stack.enter_context(Instance(layout.instances).alive())
        await stack.enter_async_context(schema_of(layout.database))
        database = await stack.enter_async_context(open_database(layout.database))
        wakeups = stack.enter_context(Wakeups(layout.instances, instance.id).listening())
        wakeups.send_here()
        supervisor = stack.enter_context(Supervisor(Starter()))
        tasks = await stack.enter_async_context(anyio.create_task_group())
        stack.callback(tasks.cancel_scope.cancel)

        ground = Ground(settings, layout, instance, tasks, database, wakeups, supervisor)
        scheduler = _scheduler(ground)
        services, recovery, expiry = _services(ground, scheduler)
        await recovery.recover()
        await services.evidence.take_over()
        scheduler.at_each_look(services.evidence.take_over)
        tasks.start_soon(services.audit.serve)
        tasks.start_soon(scheduler.serve)
        tasks.start_soon(expiry.serve)
        tasks.start_soon(retention_of(database, ground.audit, settings, layout).serve)
        yield services


def _scheduler(on: Ground) -> Scheduler:
    cores = Cores(on.files, on.confinement)
    collecting = Collecting(
        on.sessions, on.repositories, on.files, on.confinement, on.settings, cores
    )
    return Scheduler(
        on.commands,
        on.sessions,
        on.confinement,
        collecting,
        on.places,
        on.supervisor,
        on.settings,
        on.layout,
        on.instance.id,
        on.wakeups,
        on.observers,
        on.tasks,
    )


def _services(on: Ground, scheduler: Scheduler) -> tuple[Services, Recovery, Expiry]:
    repositories, clones, fetches = _repositories(on)
    trees, sessions, setup = _sessions(on, repositories, scheduler)
    exports = _exports(on, repositories, trees)
    watching = _watching(on, scheduler)
    artifacts = _artifacts(on, sessions, watching)
    differences = DifferenceService(sessions, artifacts, on.confinement)
    files = FileService(sessions, trees, on.confinement)
    closing = Closing(
        on.sessions,
        on.commands,
        sessions,
        trees,
        exports,
        artifacts,
        files,
        scheduler,
        on.confinement,
        on.instance.id,
    )
    commands = _commands(on, sessions, scheduler)
    evidence, steps = _evidence(on, sessions, commands, closing, scheduler)
    services = Services(
        repositories=repositories,
        removal=_removal(on, repositories, clones, fetches, closing),
        sessions=sessions,
        statuses=_statuses(on, sessions, exports, setup),
        differences=differences,
        handovers=HandoverService(
            on.repositories, repositories, sessions, trees, exports, differences, artifacts
        ),
        closing=closing,
        files=files,
        commands=commands,
        artifacts=artifacts,
        debugging=_debugging(on, sessions, scheduler),
        postmortems=_postmortems(on, commands, scheduler),
        evidence=evidence,
        comparisons=ComparisonService(evidence, steps, repositories, sessions),
        flakiness=FlakinessService(evidence, steps, sessions, commands, differences),
        bisections=BisectionService(
            evidence, steps, on.repositories, repositories, commands, artifacts
        ),
        bundles=_bundles(on, sessions, commands, artifacts),
        server=ServerService(on.commands, on.sessions, on.confinement, on.settings),
        readiness=on.readiness,
        observers=on.observers,
        load=on.load,
        tokens=TokenService(on.tokens, Ending(on.commands, scheduler), on.audit.used_first),
        audit=on.audit,
        watching=watching,
        choices=ChoiceService(on.choices),
        tasks=on.task_rows,
        default_wait=on.settings.default_wait,
    )
    recovery = _recovery(on, trees, files, repositories, setup, scheduler)
    return services, recovery, _expiry(on, sessions, closing)


def _commands(on: Ground, sessions: SessionService, scheduler: Scheduler) -> CommandService:
    return CommandService(
        on.commands, on.artifacts, on.repositories, sessions, scheduler, on.confinement, on.settings
    )


def _artifacts(on: Ground, sessions: SessionService, watching: Watching) -> ArtifactService:
    return ArtifactService(
        on.artifacts, on.files, sessions, on.confinement, on.settings, watching.artifacts_kept
    )


def _recovery(
    on: Ground,
    trees: Trees,
    files: FileService,
    repositories: RepositoryService,
    setup: Setup,
    scheduler: Scheduler,
) -> Recovery:
    return Recovery(
        on.commands,
        on.sessions,
        trees,
        files,
        repositories,
        setup,
        on.pool,
        scheduler,
        on.instance,
        on.tasks,
    )


def _exports(on: Ground, repositories: RepositoryService, trees: Trees) -> ExportService:
    return ExportService(
        on.sessions,
        on.repositories,
        on.commands,
        repositories,
        trees,
        on.artifacts,
        on.confinement,
        on.layout,
    )


def _debugging(on: Ground, sessions: SessionService, scheduler: Scheduler) -> DebugService:
    return DebugService(
        on.debug_runs,
        on.commands,
        on.repositories,
        sessions,
        scheduler,
        on.confinement,
        on.settings,
        on.tasks,
    )


def _postmortems(on: Ground, commands: CommandService, scheduler: Scheduler) -> PostmortemService:
    looks = Looks(on.confinement)
    scheduler.beside_each_command(LastLooks(looks, on.sessions).follow)
    return PostmortemService(commands, scheduler, looks, on.sessions)


def _evidence(
    on: Ground,
    sessions: SessionService,
    commands: CommandService,
    closing: Closing,
    scheduler: Scheduler,
) -> tuple[EvidenceService, Steps]:
    steps = Steps(on.repositories, sessions, commands, closing, scheduler)
    return EvidenceService(on.evidence, steps, on.instance, on.tasks), steps


def _bundles(
    on: Ground, sessions: SessionService, commands: CommandService, artifacts: ArtifactService
) -> BundleService:
    folder = on.layout.artifacts
    return BundleService(on.evidence, on.artifacts, sessions, commands, artifacts, folder)


def _statuses(
    on: Ground, sessions: SessionService, exports: ExportService, setup: Setup
) -> StatusService:
    return StatusService(
        on.sessions,
        on.repositories,
        on.commands,
        on.artifacts,
        sessions,
        exports,
        on.confinement,
        setup,
    )


def _removal(
    on: Ground, service: RepositoryService, clones: Clones, fetches: Fetches, closing: Closing
) -> Removal:
    return Removal(
        on.repositories, on.sessions, service, on.mirrors, clones, fetches, closing, on.pool
    )


def _repositories(on: Ground) -> tuple[RepositoryService, Clones, Fetches]:
    connections = Connections(on.settings, on.confinement)

    def transfers(kind: str) -> Transfers:
        return Transfers(kind, on.repositories, on.mirrors, on.supervisor, on.settings, on.tasks)

    clones = Clones(on.repositories, on.mirrors, transfers("clone"))
    fetches = Fetches(on.repositories, on.mirrors, transfers("fetch"))
    freshness = Freshness(on.repositories, on.mirrors, connections, fetches, on.tasks)
    service = RepositoryService(
        on.repositories, on.mirrors, clones, fetches, freshness, connections
    )
    return service, clones, fetches


def _sessions(
    on: Ground, repositories: RepositoryService, scheduler: Scheduler
) -> tuple[Trees, SessionService, Setup]:
    uncommitted = Uncommitted(on.confinement, on.tasks)
    trees = Trees(on.repositories, repositories, on.confinement, on.pool, uncommitted, on.layout)
    setup = Setup(
        on.commands,
        on.sessions,
        on.repositories,
        on.environments,
        on.places,
        scheduler,
        on.settings,
    )
    service = SessionService(
        on.sessions,
        on.expiries,
        on.repositories,
        repositories,
        on.confinement,
        trees,
        setup,
        uncommitted,
        on.settings,
        on.instance.id,
    )
    return trees, service, setup


def _expiry(on: Ground, sessions: SessionService, closing: Closing) -> Expiry:
    expiry = Expiry(on.expiries, on.sessions, closing, on.audit, on.instance.id)
    sessions.at_each_opening(expiry.wake)
    return expiry


def _watching(on: Ground, scheduler: Scheduler) -> Watching:
    watching = Watching(on.artifacts, scheduler, on.tasks)
    scheduler.at_each_collection(watching.artifacts_kept)
    return watching
