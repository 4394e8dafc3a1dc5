"""Every operation, in the fixed order in which clients see them."""

from debug_mcp.operations.artifacts import artifact_list, artifact_read
from debug_mcp.operations.audit import audit_list
from debug_mcp.operations.bundles import evidence_bundle
from debug_mcp.operations.commands import (
    command_cancel,
    command_input,
    command_list,
    command_output,
    command_run,
    command_wait,
)
from debug_mcp.operations.debugging import (
    debug_control,
    debug_inspect,
    debug_postmortem,
    debug_run,
)
from debug_mcp.operations.evidence import bisect_run, compare_run, flaky_run
from debug_mcp.operations.files import file_edit, file_read
from debug_mcp.operations.registry import Operation
from debug_mcp.operations.repositories import (
    repository_init,
    repository_list,
    repository_remove,
)
from debug_mcp.operations.server import server_info
from debug_mcp.operations.sessions import (
    session_close,
    session_create,
    session_diff,
    session_export,
    session_get,
)
from debug_mcp.operations.tokens import token_create, token_list, token_revoke, token_rotate

CORE: tuple[Operation, ...] = (
    repository_init,
    repository_list,
    repository_remove,
    session_create,
    session_get,
    session_diff,
    session_export,
    session_close,
    file_read,
    file_edit,
    command_run,
    command_wait,
    command_output,
    command_input,
    command_cancel,
    command_list,
    artifact_list,
    artifact_read,
    server_info,
    debug_run,
    debug_control,
    debug_inspect,
    debug_postmortem,
    compare_run,
    flaky_run,
    bisect_run,
)
"""What is a tool, and a route of REST."""

ADMIN: tuple[Operation, ...] = (
    token_create,
    token_list,
    token_rotate,
    token_revoke,
    audit_list,
)
"""What is a route of REST alone: no secret passes through a model."""

BUNDLES: tuple[Operation, ...] = (evidence_bundle,)
"""What is a route of REST and a command: an agent has no place to put the file."""

REST: tuple[Operation, ...] = (*CORE, *ADMIN, *BUNDLES)
