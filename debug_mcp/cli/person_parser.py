"""What can be written for the commands for people."""

import argparse

from debug_mcp.cli import commands
from debug_mcp.cli.evidence_parser import (
    add_verify,
    bisect_parser,
    bundle_parser,
    compare_parser,
    flaky_parser,
)
from debug_mcp.cli.options import (
    Subparsers,
    add_command,
    add_data_dir,
    add_isolation,
    add_server,
)


def add_person_commands(subparsers: Subparsers) -> None:
    """Add all of them, in the order of their use."""
    of_evidence = (compare_parser, flaky_parser, bisect_parser, bundle_parser)
    for add in (_sessions, _run, _logs, _get, *of_evidence):
        parser = add(subparsers)
        add_server(parser)
        add_data_dir(parser)
        add_isolation(parser)
    add_verify(subparsers)


def _sessions(subparsers: Subparsers) -> argparse.ArgumentParser:
    sessions = add_command(subparsers, "sessions", commands.sessions, "list sessions, or show one")
    sessions.add_argument("session", nargs="?", metavar="SESSION", help="show this one")
    sessions.add_argument("--all", action="store_true", help="closed ones too")
    sessions.add_argument("--json", action="store_true", help="print JSON")
    return sessions


def _run(subparsers: Subparsers) -> argparse.ArgumentParser:
    run = add_command(
        subparsers,
        "run",
        commands.run,
        "run a command in a session as if in this terminal: its output, its exit code; Ctrl-C ends "
        "it, and once more leaves it to itself",
    )
    run.add_argument("session", metavar="SESSION", help="its id; options stand before it")
    run.add_argument(
        "words",
        nargs=argparse.REMAINDER,
        metavar="COMMAND",
        help="one word: a line for a shell; several: a program and its arguments, without a shell",
    )
    run.add_argument("--cwd", metavar="PATH", help="folder in the session's tree")
    run.add_argument("--env", action="append", metavar="NAME=VALUE", help="may be repeated")
    run.add_argument("--timeout", type=float, metavar="SECONDS", help="default: 600")
    run.add_argument("--network", action="store_true", help="with the network of its host")
    run.add_argument(
        "--artifact", action="append", metavar="GLOB", help="files to keep; may be repeated"
    )
    return run


def _logs(subparsers: Subparsers) -> argparse.ArgumentParser:
    logs = add_command(
        subparsers, "logs", commands.logs, "show what a command wrote, byte for byte"
    )
    logs.add_argument("command", metavar="COMMAND", help="its id")
    logs.add_argument(
        "-f",
        "--follow",
        action="store_true",
        help="to its end, and exit with its exit code; Ctrl-C leaves it to itself",
    )
    return logs


def _get(subparsers: Subparsers) -> argparse.ArgumentParser:
    get = add_command(
        subparsers,
        "get",
        commands.get,
        "download an artifact; one that was cut off is gone on with",
    )
    get.add_argument("artifact", metavar="ARTIFACT", help="its id")
    get.add_argument(
        "-o",
        "--output",
        metavar="PATH",
        help="file or folder to write it to, or - for standard output; default: here, by its name",
    )
    return get
