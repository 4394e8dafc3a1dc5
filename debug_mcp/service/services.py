"""All services, as the operations see them."""

from dataclasses import dataclass

from debug_mcp.service.artifacts import ArtifactService
from debug_mcp.service.audit import AuditService
from debug_mcp.service.bisections import BisectionService
from debug_mcp.service.bundles import BundleService
from debug_mcp.service.choices import ChoiceService
from debug_mcp.service.closing import Closing
from debug_mcp.service.commands import CommandService
from debug_mcp.service.comparisons import ComparisonService
from debug_mcp.service.debugging import DebugService
from debug_mcp.service.differences import DifferenceService
from debug_mcp.service.evidence import EvidenceService
from debug_mcp.service.files import FileService
from debug_mcp.service.flakiness import FlakinessService
from debug_mcp.service.handovers import HandoverService
from debug_mcp.service.load import LoadService
from debug_mcp.service.observers import Observers
from debug_mcp.service.postmortems import PostmortemService
from debug_mcp.service.readiness import Readiness
from debug_mcp.service.removal import Removal
from debug_mcp.service.repositories import RepositoryService
from debug_mcp.service.server import ServerService
from debug_mcp.service.sessions import SessionService
from debug_mcp.service.statuses import StatusService
from debug_mcp.service.tokens import TokenService
from debug_mcp.service.watching import Watching
from debug_mcp.store.tasks import Tasks


@dataclass(frozen=True, slots=True)
class Services:
    """One attribute for each noun.

    ``default_wait`` is how long calls wait at most that do not say how long, in seconds.
    """

    repositories: RepositoryService
    removal: Removal
    sessions: SessionService
    statuses: StatusService
    differences: DifferenceService
    handovers: HandoverService
    closing: Closing
    files: FileService
    commands: CommandService
    artifacts: ArtifactService
    debugging: DebugService
    postmortems: PostmortemService
    evidence: EvidenceService
    comparisons: ComparisonService
    flakiness: FlakinessService
    bisections: BisectionService
    bundles: BundleService
    server: ServerService
    readiness: Readiness
    observers: Observers
    load: LoadService
    tokens: TokenService
    audit: AuditService
    watching: Watching
    choices: ChoiceService
    tasks: Tasks
    default_wait: float | None = None
