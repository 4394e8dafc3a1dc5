"""Reading the audit log: over REST and on the command line, never as a tool."""

from debug_mcp.auth.principal import Scope
from debug_mcp.models.audit import AuditList, AuditView
from debug_mcp.operations.registry import Call, Route, operation


@operation(
    scope=Scope.ADMIN,
    routes=(Route("GET", "/audit"),),
    title="Read the audit log",
    read_only=True,
)
async def audit_list(call: Call, args: AuditList) -> AuditView:
    """Read who changed what and who was refused, newest first: ids and names, no arguments."""
    return await call.services.audit.listing(call.principal, args)
