"""What most services stand on: the store, places on disk, processes and the boundary."""

from anyio.abc import TaskGroup

from debug_mcp.artifacts.collect import Files
from debug_mcp.config import Layout, Settings
from debug_mcp.runner.supervisor import Supervisor
from debug_mcp.service.audit import AuditService
from debug_mcp.service.confinement import Confinement
from debug_mcp.service.environment_keeping import EnvironmentKeeping
from debug_mcp.service.environments import EnvironmentService
from debug_mcp.service.instance import Instance
from debug_mcp.service.load import LoadService
from debug_mcp.service.mirrors import Mirrors
from debug_mcp.service.observers import Observers
from debug_mcp.service.pool import Pool
from debug_mcp.service.readiness import Readiness
from debug_mcp.service.wakeups import Wakeups
from debug_mcp.store.artifacts import Artifacts
from debug_mcp.store.audit import Audit
from debug_mcp.store.choices import Choices
from debug_mcp.store.commands import Commands
from debug_mcp.store.database import Database
from debug_mcp.store.debug_runs import DebugRuns
from debug_mcp.store.environments import Environments
from debug_mcp.store.evidence import Evidence
from debug_mcp.store.expiries import Expiries
from debug_mcp.store.load import Load
from debug_mcp.store.repositories import Repositories
from debug_mcp.store.sessions import Sessions
from debug_mcp.store.tasks import Tasks
from debug_mcp.store.tokens import Tokens


class Ground:
    """What every service stands on."""

    def __init__(
        self,
        settings: Settings,
        layout: Layout,
        instance: Instance,
        tasks: TaskGroup,
        database: Database,
        wakeups: Wakeups,
        supervisor: Supervisor,
    ) -> None:
        self.settings = settings
        self.layout = layout
        self.instance = instance
        self.tasks = tasks
        self.wakeups = wakeups
        self.supervisor = supervisor
        self.repositories = Repositories(database)
        self.sessions = Sessions(database)
        self.expiries = Expiries(database)
        self.commands = Commands(database)
        self.artifacts = Artifacts(database)
        self.tokens = Tokens(database)
        self.confinement = Confinement(settings, layout, tasks)
        self.debug_runs = DebugRuns(database)
        self.evidence = Evidence(database)
        self.choices = Choices(database)
        self.task_rows = Tasks(database)
        self.environments = Environments(database)
        self.places = EnvironmentService(
            self.environments,
            self.sessions,
            self.confinement,
            EnvironmentKeeping(self.environments, settings, layout),
            layout,
        )
        self.files = Files(layout.artifacts)
        self.observers = Observers()
        self.audit = AuditService(Audit(database), self.observers)
        self.load = LoadService(Load(database), layout)
        self.readiness = Readiness(database, settings, layout)
        self.mirrors = Mirrors(layout, self.confinement, settings)
        self.pool = Pool(
            self.repositories,
            self.mirrors.contents,
            self.confinement,
            settings,
            layout,
            instance,
            self.observers,
            tasks,
        )
