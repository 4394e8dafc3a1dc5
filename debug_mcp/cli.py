"""The command line: ``debug-mcp stdio`` and ``debug-mcp demo``."""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import anyio

from debug_mcp import __version__
from debug_mcp.config import IsolationPolicy, forget_git_variables, load
from debug_mcp.errors import DebugMcpError

_WINDOWS = (
    "debug-mcp runs on Linux. On Windows use WSL 2 and configure the client with "
    '"command": "wsl", "args": ["debug-mcp", "stdio"].'
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if not sys.platform.startswith("linux"):
        print(_WINDOWS, file=sys.stderr)
        return 1
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="debug-mcp: %(message)s")
    try:
        match options.command:
            case "demo":
                return _demo(options)
            case "stdio":
                return _stdio(options)
            case _ if not sys.stdin.isatty():
                # Launched by a client that was told nothing but the name, as `uvx debug-mcp` is.
                return _stdio(options)
            case _:
                parser.print_help()
                return 2
    except DebugMcpError as error:
        print(f"debug-mcp: {error.message}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _stdio(options: argparse.Namespace) -> int:
    # The SDK takes most of a second to import: only when it is about to serve.
    from debug_mcp.app import run_stdio  # noqa: PLC0415

    forget_git_variables()
    settings = load(data_dir=options.data_dir, isolation=options.isolation)
    anyio.run(run_stdio, settings)
    return 0


def _demo(options: argparse.Namespace) -> int:
    from debug_mcp.demo.story import run_demo  # noqa: PLC0415

    repo = options.repo.expanduser().absolute() if options.repo else None
    return anyio.run(run_demo, repo, options.run)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="debug-mcp",
        description="An MCP server: a place for agents to build, test and debug a repository.",
    )
    parser.add_argument("--version", action="version", version=f"debug-mcp {__version__}")
    parser.set_defaults(data_dir=None, isolation=None)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    stdio = commands.add_parser("stdio", help="serve one client over standard input and output")
    stdio.add_argument("--data-dir", type=Path, help="where everything is kept")
    stdio.add_argument(
        "--isolation",
        choices=[str(policy) for policy in IsolationPolicy],
        help="auto: bwrap where it works, else none; require:bwrap fails closed",
    )

    demo = commands.add_parser("demo", help="show the main job on a small repository, or on yours")
    demo.add_argument("--repo", type=Path, help="your repository, instead of the demo's own")
    demo.add_argument("--command", dest="run", help="what to run in it; default: its tests")
    return parser
