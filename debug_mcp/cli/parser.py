"""What can be written on the command line. ``docs/reference/command-line.md`` is made from this."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from debug_mcp import __version__
from debug_mcp.auth.principal import Scope
from debug_mcp.cli import commands
from debug_mcp.cli.options import Subparsers, add_command, add_data_dir, add_isolation, add_server
from debug_mcp.cli.person_parser import add_person_commands
from debug_mcp.config import LogFormat
from debug_mcp.models.network import POLICIES


def build_parser() -> argparse.ArgumentParser:
    """Return the parser; the function to run is ``run_command`` of what it parses, or None."""
    parser = argparse.ArgumentParser(
        prog="debug-mcp",
        description="An MCP server: a place for agents to build, test and debug a repository.",
    )
    parser.add_argument("--version", action="version", version=f"debug-mcp {__version__}")
    parser.set_defaults(run_command=None, data_dir=None, isolation=None)
    subparsers = parser.add_subparsers(metavar="COMMAND")
    _stdio(subparsers)
    _serve(subparsers)
    _call(subparsers)
    add_person_commands(subparsers)
    _tokens(subparsers)
    _audit(subparsers)
    _gc(subparsers)
    _doctor(subparsers)
    _demo(subparsers)
    return parser


def parse(parser: argparse.ArgumentParser, words: Sequence[str] | None) -> argparse.Namespace:
    """Parse a command line; like ``parse_args``, but arguments of a call may follow an option."""
    options, rest = parser.parse_known_args(words)
    if rest and (not hasattr(options, "arguments") or any(word.startswith("--") for word in rest)):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        options.arguments += rest
    return options


def _stdio(subparsers: Subparsers) -> None:
    stdio = add_command(
        subparsers, "stdio", commands.stdio, "serve one client over standard input and output"
    )
    add_data_dir(stdio)
    add_isolation(stdio)
    stdio.add_argument(
        "--default-wait",
        type=float,
        metavar="SECONDS",
        help="how long calls wait that name no wait_seconds, for clients that cut calls early",
    )


def _serve(subparsers: Subparsers) -> None:
    serve = add_command(
        subparsers, "serve", commands.serve, "serve many clients over HTTP; each needs a token"
    )
    serve.add_argument("--host", help="address to listen on; default: 127.0.0.1")
    serve.add_argument("--port", type=int, help="default: 8321; 0 takes a free one")
    serve.add_argument(
        "--allowed-host", action="append", metavar="NAME", help="a further name of this server"
    )
    serve.add_argument(
        "--allowed-origin",
        action="append",
        metavar="ORIGIN",
        help="an origin of pages in browsers that may ask",
    )
    serve.add_argument(
        "--proxy",
        action="append",
        metavar="ADDRESS",
        help="a proxy, or a network of them, that tells who asks in X-Forwarded-For",
    )
    serve.add_argument(
        "--log-format",
        choices=[str(form) for form in LogFormat],
        help="json: one object a line on standard error, for each call too; default: text",
    )
    add_data_dir(serve)
    add_isolation(serve)


def _call(subparsers: Subparsers) -> None:
    call = add_command(
        subparsers, "call", commands.call, "run one operation on the data directory, as a client"
    )
    call.add_argument("tool", nargs="?", metavar="TOOL", help="its name, such as command_run")
    call.add_argument(
        "arguments",
        nargs="*",
        metavar="KEY=VALUE",
        help="its arguments; lists and objects as JSON; or one JSON object, or - for one on "
        "standard input",
    )
    call.add_argument("--json", action="store_true", help="print the structured result")
    call.add_argument("--list", action="store_true", help="list the operations")
    add_server(call)
    add_data_dir(call)
    add_isolation(call)


def _tokens(subparsers: Subparsers) -> None:
    token = add_command(subparsers, "token", None, "make, list, rotate and revoke tokens for HTTP")
    actions = token.add_subparsers(metavar="ACTION", required=True)

    create = add_command(actions, "create", commands.token_create, "make a token and print it once")
    create.add_argument("name", metavar="NAME")
    create.add_argument(
        "--scope",
        action="append",
        metavar="SCOPE",
        help=f"what it allows, any of {', '.join(Scope)}; may be repeated or separated by commas; "
        "default: all but admin, repository:push and command:network",
    )
    create.add_argument(
        "--repository",
        action="append",
        metavar="NAME",
        help="the name of a repository that it may use; may be repeated; default: all",
    )
    create.add_argument("--owner", help="the principal that it stands for; default: its name")
    create.add_argument(
        "--requests-per-second",
        type=float,
        metavar="NUMBER",
        help="how many it may send in the long run, four times as many in short succession; "
        "default: the limits of its owner alone",
    )
    create.add_argument(
        "--requests-at-once", type=int, metavar="NUMBER", help="how many it may have under way"
    )
    create.add_argument(
        "--network",
        choices=POLICIES,
        help="whether its commands get the host's network, within the server's setting; all but "
        "off needs --scope command:network. Default: as the server does",
    )
    _expires(create)

    listing = add_command(actions, "list", commands.token_list, "list all tokens, without secrets")
    revoke = add_command(actions, "revoke", commands.token_revoke, "end a token at once")
    revoke.add_argument("name", metavar="NAME", help="its name or id")
    revoke.add_argument(
        "--cancel-commands",
        action="store_true",
        help="also end its owner's commands in the repositories that it reaches",
    )
    rotate = add_command(
        actions, "rotate", commands.token_rotate, "give a token another secret; the old one ends"
    )
    rotate.add_argument("name", metavar="NAME", help="its name or id")
    _expires(rotate)
    for action in (create, listing, revoke, rotate):
        action.add_argument("--json", action="store_true", help="print JSON")
        add_data_dir(action)


def _audit(subparsers: Subparsers) -> None:
    audit = add_command(
        subparsers,
        "audit",
        commands.audit,
        "show who changed what and who was refused, newest first",
    )
    audit.add_argument("--principal", metavar="NAME", help="of this one alone")
    audit.add_argument("--token", dest="token_id", metavar="ID", help="with this token alone")
    audit.add_argument("--operation", metavar="NAME", help="such as session_close")
    audit.add_argument("--object", dest="object_id", metavar="ID", help="about this one alone")
    audit.add_argument(
        "--outcome", help="done, cancelled, fault, or the code of an error, as permission_denied"
    )
    audit.add_argument("--since", metavar="TIME", help="of this long ago at most: 30m, 12h, 7d")
    audit.add_argument(
        "--limit",
        type=positive_number,
        metavar="NUMBER",
        help="default: 50, and all of them as JSON",
    )
    audit.add_argument("--json", action="store_true", help="print JSON lines")
    add_data_dir(audit)


def positive_number(text: str) -> int:
    """Return a number of at least one.

    Raises:
        ValueError: It is none.
    """
    if int(text) < 1:
        raise ValueError
    return int(text)


def _gc(subparsers: Subparsers) -> None:
    gc = add_command(
        subparsers,
        "gc",
        commands.gc,
        "remove commands, outputs and artifacts of sessions that ended, and evidence: what is "
        "older than retention_days, and the oldest beyond retention_bytes; and what the audit log "
        "has from before audit_days; servers do so by themselves",
    )
    gc.add_argument("--dry-run", action="store_true", help="say what would be removed")
    gc.add_argument("--json", action="store_true", help="print JSON")
    add_data_dir(gc)


def _doctor(subparsers: Subparsers) -> None:
    doctor = add_command(
        subparsers, "doctor", commands.doctor, "look whether this machine has what is needed"
    )
    doctor.add_argument("--json", action="store_true", help="print JSON")
    add_data_dir(doctor)
    add_isolation(doctor)


def _demo(subparsers: Subparsers) -> None:
    demo = add_command(
        subparsers, "demo", commands.demo, "show the main job on a small repository, or on yours"
    )
    demo.add_argument("--repo", type=Path, help="your repository, instead of the demo's own")
    demo.add_argument("--command", dest="run", help="what to run in it; default: its tests")


def _expires(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--expires", metavar="TIME", help="after this long: 12h, 30d, 8w; default: never"
    )
