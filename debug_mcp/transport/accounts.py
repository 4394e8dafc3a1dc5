"""What an operator can find of a request: its id, which the answer names, and its refusal."""

from starlette.types import Message, Scope, Send

from debug_mcp.auth.principal import Principal
from debug_mcp.errors import DebugMcpError
from debug_mcp.service.audit import AuditService
from debug_mcp.service.origins import Origin, origin
from debug_mcp.transport.limits import Buckets

REQUEST_ID = b"x-request-id"
# The operation in the audit log of a request that was refused before it reached any.
REQUEST = "request"
_A_MINUTE, _BURST = 10 / 60, 10


class Refusals:
    """Has requests that were refused before any operation in the audit log, a few of each caller.

    Whoever asks without end is there every six seconds, and fills no disk by it.
    """

    def __init__(self, audit: AuditService) -> None:
        self._audit = audit
        self._noted = Buckets(_A_MINUTE, _BURST)

    def note(self, principal: Principal | None, error: DebugMcpError) -> None:
        """Note that the present request is refused."""
        who = f"token {principal.token_id}" if principal else f"address {origin().peer}"
        if not self._noted.take(who):
            self._audit.refused(principal, REQUEST, error)


def address(scope: Scope) -> str:
    """Return the address that a request comes from."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def named(send: Send, source: Origin) -> Send:
    """Return what sends a response with the id of its request."""
    header = (REQUEST_ID, source.request_id.encode())

    async def send_named(message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.http.response.start"):
            message = {**message, "headers": [*message["headers"], header]}
        await send(message)

    return send_named
