"""What can be written for ``compare``, ``flaky``, ``bisect``, ``evidence`` and ``verify``."""

import argparse
from pathlib import Path

from debug_mcp.cli import commands
from debug_mcp.cli.options import Command, Subparsers, add_command

_EXIT = "exit code 125: it could not be done"


def compare_parser(subparsers: Subparsers) -> argparse.ArgumentParser:
    """Add ``compare``."""
    compare = _evidence(
        subparsers,
        "compare",
        commands.compare,
        "run the same tests on base and head, and show which of them end otherwise; exit code 0: "
        f"nothing newly fails, 1: something does, 3: it cannot be told; {_EXIT}",
    )
    compare.add_argument("--base", metavar="REF", help="or a session; default: where head starts")
    head = compare.add_mutually_exclusive_group()
    head.add_argument("--head", metavar="REF", help="or a session: its work as it is now")
    _patch(head, "head is base with this diff on top; -: standard input")
    compare.add_argument("--repeats", type=int, metavar="N", help="of each side; default: 1")
    return compare


def flaky_parser(subparsers: Subparsers) -> argparse.ArgumentParser:
    """Add ``flaky``."""
    flaky = _evidence(
        subparsers,
        "flaky",
        commands.flaky,
        "repeat a command in fresh copies, and show how often each test passes; exit code 0: "
        f"nothing failed, 1: something did, 3: it cannot be told; {_EXIT}",
    )
    flaky.add_argument("--session", metavar="SESSION", help="what it has now is repeated")
    flaky.add_argument(
        "--ref", help="else this is; default: the checkout here with what is not committed"
    )
    flaky.add_argument("--repeats", type=int, metavar="N", help="default: 20")
    flaky.add_argument(
        "--random-order", action="store_true", help="pytest's tests in another order each time"
    )
    return flaky


def bisect_parser(subparsers: Subparsers) -> argparse.ArgumentParser:
    """Add ``bisect``."""
    bisect = _evidence(
        subparsers,
        "bisect",
        commands.bisect,
        "find the first commit at which a command or a test fails; exit code 0: found, 1: it is "
        f"one of several, 3: good or bad is not what it was said to be; {_EXIT}",
    )
    bisect.add_argument("--good", metavar="REF", help="where it works")
    bisect.add_argument("--bad", metavar="REF", help="where it fails; default: HEAD")
    bisect.add_argument("--test", metavar="ID", help="this pytest test decides")
    _patch(bisect, "a diff that is applied to each commit; -: standard input")
    return bisect


def bundle_parser(subparsers: Subparsers) -> argparse.ArgumentParser:
    """Add ``evidence``."""
    bundle = add_command(
        subparsers,
        "evidence",
        commands.evidence,
        "download all that a claim stands on as one archive: what was asked, commits, patch, "
        "environment, and of each command its results, output and artifacts",
    )
    bundle.add_argument(
        "id", metavar="ID", help="of a command, comparison, flaky run or bisection that has ended"
    )
    bundle.add_argument(
        "-o", "--output", metavar="FILE", help="default: evidence-ID.tar; -: standard output"
    )
    return bundle


def add_verify(subparsers: Subparsers) -> None:
    """Add ``verify``, which needs neither a data directory nor a server."""
    verify = add_command(
        subparsers,
        "verify",
        commands.verify,
        "compare an evidence bundle with its manifest, and name each file that is missing, changed "
        "or extra; exit code 1: it is not as it was made",
    )
    verify.add_argument("file", type=Path, metavar="FILE", help="what debug-mcp evidence wrote")


def _evidence(
    subparsers: Subparsers, name: str, run: Command, what: str
) -> argparse.ArgumentParser:
    parser = add_command(subparsers, name, run, what)
    parser.add_argument(
        "words",
        nargs=argparse.REMAINDER,
        metavar="COMMAND",
        help="after --; one word: a line for a shell; several: a program and its arguments",
    )
    parser.add_argument("--id", metavar="ID", help="wait for one that was begun before")
    parser.add_argument(
        "--repository",
        metavar="NAME",
        help="or a path or a URL; default: the checkout here, or with --url the only one there",
    )
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="of a run; default: 600")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _patch(parser: argparse._ActionsContainer, what: str) -> None:
    parser.add_argument("--patch", type=Path, metavar="FILE", help=what)
