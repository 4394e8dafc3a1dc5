"""Completing the variables of resource templates and the arguments of prompts."""

from mcp.types import (
    CompleteRequestParams,
    CompleteResult,
    Completion,
    PromptReference,
    ResourceTemplateReference,
)

from debug_mcp.errors import DebugMcpError, InvalidInput
from debug_mcp.interfaces.errors import protocol_error
from debug_mcp.interfaces.prompts import prompt_named
from debug_mcp.interfaces.uris import TEMPLATES
from debug_mcp.operations.registry import Call
from debug_mcp.service.choices import CHOICES


async def complete(call: Call, params: CompleteRequestParams) -> CompleteResult:
    """Return what the caller may mean, at most 100 values.

    Raises:
        MCPError: There is no such template or prompt, or it has no such variable.
    """
    try:
        found = await _choices(call, params)
    except DebugMcpError as error:
        raise protocol_error(error) from error
    values = found[:CHOICES]
    more = len(found) > len(values)
    return CompleteResult(
        completion=Completion(values=values, total=None if more else len(values), has_more=more)
    )


async def _choices(call: Call, params: CompleteRequestParams) -> list[str]:
    name, prefix = params.argument.name, params.argument.value
    known = _variables(params.ref)
    if name not in known:
        raise InvalidInput(f"there is no {name!r} to complete", field="argument", candidates=known)
    choices, principal = call.services.choices, call.principal
    match name:
        case "artifact_id":
            return await choices.artifacts(principal, prefix)
        case "name":
            given = params.context.arguments if params.context else None
            return await choices.names(principal, prefix, (given or {}).get("artifact_id"))
        case "command_id":
            return await choices.commands(principal, prefix)
        case "session_id":
            return await choices.sessions(principal, prefix)
        case _:
            return []  # free text


def _variables(ref: ResourceTemplateReference | PromptReference) -> list[str]:
    """Return the variables of a template, or the arguments of a prompt."""
    if isinstance(ref, PromptReference):
        return [argument.name for argument in prompt_named(ref.name).prompt.arguments or ()]
    if ref.uri not in TEMPLATES:
        raise InvalidInput(f"no template {ref.uri!r}", field="ref", candidates=list(TEMPLATES))
    return [part.partition("}")[0].lstrip("+") for part in ref.uri.split("{")[1:]]
