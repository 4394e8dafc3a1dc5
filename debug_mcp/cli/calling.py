"""``debug-mcp call``: one operation, run in this process or by a server elsewhere."""

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from mcp.types import Tool

from debug_mcp.app import open_services
from debug_mcp.auth.principal import LOCAL
from debug_mcp.cli.opening import opened
from debug_mcp.cli.remote import connected, read_token, read_url
from debug_mcp.cli.table import table
from debug_mcp.config import Settings
from debug_mcp.errors import DebugMcpError, InvalidInput
from debug_mcp.interfaces.errors import error_facts, error_text
from debug_mcp.interfaces.render import render
from debug_mcp.interfaces.schema import slim_schema
from debug_mcp.operations.catalogue import CORE
from debug_mcp.operations.registry import Call, Operation, named

_USAGE = 2


async def run_call(settings: Settings, options: argparse.Namespace) -> int:
    """Run the operation that the options name; return 0, 1 when it refused, 2 for wrong usage."""
    if options.list:
        print(table(("NAME", "SCOPE", "WHAT"), [_row(operation) for operation in CORE]))
        return 0
    try:
        operation = named(CORE, options.tool or "")
        schema = slim_schema(operation.arguments)
        arguments = read_arguments(schema["properties"], options.arguments)
        async with opened(open_services(settings)) as services:
            view = await operation.invoke(Call(LOCAL, services), arguments)
    except DebugMcpError as error:
        return _refused(error, as_json=options.json)
    return _shown(view.compact(), as_json=options.json)


async def run_remote_call(options: argparse.Namespace) -> int:
    """Have the server at a URL run the operation; return what ``run_call`` would."""
    try:
        url, token = read_url(options.url), read_token(options.token_file)
        async with connected(url, token) as client:
            tools = (await client.list_tools()).tools
            if options.list:
                print(table(("NAME", "WHAT"), [(tool.name, _first_line(tool)) for tool in tools]))
                return 0
            schemas = {tool.name: tool.input_schema for tool in tools}
            members = schemas.get(options.tool, {}).get("properties", {})
            arguments = read_arguments(members, options.arguments)
            result = await client.call_tool(options.tool or "", arguments)
    except DebugMcpError as error:
        return _refused(error, as_json=options.json)
    facts: dict[str, Any] = result.structured_content or {}
    if not result.is_error:
        return _shown(facts, as_json=options.json)
    if options.json:
        print(json.dumps(facts, indent=2))
    else:
        print(*(block.text for block in result.content if block.type == "text"), file=sys.stderr)
    wrong_usage = facts.get("error", {}).get("code") == InvalidInput.code
    return _USAGE if wrong_usage else 1


def _shown(facts: dict[str, Any], *, as_json: bool) -> int:
    print(json.dumps(facts, indent=2, ensure_ascii=False) if as_json else render(facts))
    return 0


def _refused(error: DebugMcpError, *, as_json: bool) -> int:
    text = json.dumps(error_facts(error), indent=2) if as_json else error_text(error)
    print(text, file=sys.stdout if as_json else sys.stderr)
    return _USAGE if isinstance(error, InvalidInput) else 1


def read_arguments(members: dict[str, Any], given: Sequence[str]) -> dict[str, Any]:
    """Return the arguments that the words of a command line stand for.

    Args:
        members: The schemas of all arguments; they say which of them are written as JSON.
        given: ``key=value`` words; or one JSON object; or ``-`` for one on standard input.

    Raises:
        InvalidInput: A word is none of these.
    """
    if list(given) == ["-"]:
        return _object(sys.stdin.read(), "standard input")
    if len(given) == 1 and given[0].lstrip().startswith("{"):
        return _object(given[0], "the argument")
    arguments = {}
    for word in given:
        key, equals, text = word.partition("=")
        if not equals:
            raise InvalidInput(
                f"{word!r} is no KEY=VALUE",
                candidates=[f"{name}=…" for name in members],
            )
        arguments[key] = _value(key, text, members.get(key, {}))
    return arguments


def _value(key: str, text: str, schema: dict[str, Any]) -> Any:
    """Return what a text stands for: JSON where a list or an object is meant, else the text."""
    kinds = {choice.get("type") for choice in schema.get("anyOf", [schema])}
    opening = {"array": "[", "object": "{"}
    if not any(text.lstrip().startswith(opening[kind]) for kind in kinds if kind in opening):
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        if "string" in kinds:
            return text
        raise InvalidInput(f"{key} is no JSON: {error}", field=key) from error


def _object(text: str, where: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise InvalidInput(f"{where} is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise InvalidInput(f"{where} is no JSON object")
    return value


def _row(operation: Operation) -> tuple[str, str, str]:
    return operation.name, str(operation.scope), operation.description.splitlines()[0]


def _first_line(tool: Tool) -> str:
    return (tool.description or "").partition("\n")[0]
