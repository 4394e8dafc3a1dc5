"""Taking evidence along: over REST and on the command line, where a file can be put."""

from debug_mcp.auth.principal import Scope
from debug_mcp.models.bundles import BundleView, EvidenceBundle
from debug_mcp.operations.registry import Call, Route, operation


@operation(
    scope=Scope.SESSION_READ,
    also=(Scope.ARTIFACT_READ,),
    routes=(Route("POST", "/bundles", creates="/artifacts/{artifact_id}"),),
    title="Bundle evidence",
    idempotent=True,
)
async def evidence_bundle(call: Call, args: EvidenceBundle) -> BundleView:
    """Make one archive of a command, comparison, flaky run or bisection that has ended.

    It has what was asked, commits and patch, the environment, and of each command its line, exit
    code, results, output and artifacts, with a manifest that `debug-mcp verify` checks. It is an
    artifact: download it at `/artifacts/{artifact_id}/content`. The same evidence is the same file.
    """
    return await call.services.bundles.make(call.principal, args)
