"""Options that several commands have."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from debug_mcp.config import IsolationPolicy, Settings

Command = Callable[[argparse.Namespace], int]
Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_command(
    subparsers: Subparsers,
    name: str,
    run: Command | None,
    what: str,
) -> argparse.ArgumentParser:
    """Add a command; ``what`` says what it does, and ``run`` does it."""
    parser = subparsers.add_parser(name, help=what, description=f"{what[0].upper()}{what[1:]}.")
    parser.set_defaults(run_command=run)
    return parser


def add_data_dir(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the data directory."""
    # Not set when it is not given: a default here would hide the one of the command above.
    parser.add_argument("--data-dir", type=Path, help="where everything is kept")


def add_isolation(parser: argparse.ArgumentParser) -> None:
    """Add the option that chooses the boundary."""
    parser.add_argument(
        "--isolation",
        choices=[str(policy) for policy in IsolationPolicy],
        help=Settings.model_fields["isolation"].description,
    )


def add_server(parser: argparse.ArgumentParser) -> None:
    """Add the options that name a server elsewhere and the token for it."""
    parser.add_argument(
        "--url", help="have the server there do it, with the token in DEBUG_MCP_TOKEN"
    )
    parser.add_argument(
        "--token-file", type=Path, metavar="PATH", help="the token for --url, in a file of mode 600"
    )
