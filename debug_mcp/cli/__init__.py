"""The command line: servers, single calls, commands for people, and those for operators."""

import logging
import sys
from collections.abc import Sequence

from debug_mcp.cli.loading import loading
from debug_mcp.errors import DebugMcpError
from debug_mcp.runner.first import stand_first


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0, 1 when it could not be done, or 2 for wrong usage."""
    stand_first()
    with loading():
        from debug_mcp.cli.parser import build_parser, parse  # noqa: PLC0415

    parser = build_parser()
    options = parse(parser, arguments)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="debug-mcp: %(message)s")
    run = options.run_command
    if run is None and not sys.stdin.isatty():
        # Launched by a client that was told nothing but the name, as `uvx debug-mcp` is.
        options = parse(parser, ["stdio"])
        run = options.run_command
    if run is None:
        parser.print_help()
        return 2
    try:
        code: int = run(options)
    except DebugMcpError as error:
        valid = f"; there is {', '.join(error.candidates)}" if error.candidates else ""
        print(f"debug-mcp: {error.message}{valid}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return code
