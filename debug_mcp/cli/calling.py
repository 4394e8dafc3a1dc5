"""``debug-mcp call``: one operation, run in this process as a client's call would be."""

import argparse

from debug_mcp.app import open_services
from debug_mcp.auth.principal import LOCAL
from debug_mcp.cli.answers import print_facts, print_refusal
from debug_mcp.cli.arguments import read_arguments
from debug_mcp.cli.opening import opened
from debug_mcp.cli.table import table
from debug_mcp.config import Settings
from debug_mcp.errors import DebugMcpError
from debug_mcp.interfaces.schema import slim_schema
from debug_mcp.operations.catalogue import CORE
from debug_mcp.operations.registry import Call, Operation, named


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
        return print_refusal(error, as_json=options.json)
    return print_facts(view.compact(), as_json=options.json)


def _row(operation: Operation) -> tuple[str, str, str]:
    return operation.name, str(operation.scope), operation.description.splitlines()[0]
