"""``debug-mcp compare``, ``flaky`` and ``bisect``: asked for, waited for, and shown as a table.

Exit codes say what came of it, so that a script can ask.
"""

import argparse
import json
import shlex
import sys
import uuid
from pathlib import Path
from typing import Any

from debug_mcp.cli.answers import print_refusal
from debug_mcp.cli.evidence_tables import text_of
from debug_mcp.cli.place import Facts, Place
from debug_mcp.cli.running import NOT_RUN
from debug_mcp.cli.showing import Status, say
from debug_mcp.errors import DebugMcpError, InvalidInput
from debug_mcp.operations.evidence import bisect_run, compare_run, flaky_run
from debug_mcp.operations.registry import Operation
from debug_mcp.operations.sessions import session_close, session_create

_OPERATIONS = {"compare": compare_run, "flaky": flaky_run, "bisect": bisect_run}
# As `diff`: 0 nothing to do, 1 there is; a verdict that is none is neither.
_CODES = {
    "improved": 0,
    "unchanged": 0,
    "regressed": 1,
    "stable": 0,
    "flaky": 1,
    "failing": 1,
    "found": 0,
    "among": 1,
    "inconclusive": 3,
}
_LOOK_SECONDS = 5


async def run_compare(place: Place, options: argparse.Namespace) -> int:
    """Compare base with head; return 0, 1 when something newly fails, or 3."""
    given = {"base": options.base, "head": options.head, "repeats": options.repeats}
    return await _run("compare", place, options, {**given, **_common(options)})


async def run_bisect(place: Place, options: argparse.Namespace) -> int:
    """Find the first bad commit; return 0, 1 when it is one of several, or 3."""
    given = {"good": options.good, "bad": options.bad, "test": options.test}
    return await _run("bisect", place, options, {**given, **_common(options)})


async def run_flaky(place: Place, options: argparse.Namespace) -> int:
    """Repeat; return 0, 1 when something failed, or 3."""
    given = {
        "session_id": options.session,
        "command": _command(options.words),
        "repeats": options.repeats,
        "random_order": options.random_order or None,
        "timeout_seconds": options.timeout,
    }
    if options.session is not None or options.id is not None:
        return await _run("flaky", place, options, given)
    try:
        if given["command"] is None:
            raise InvalidInput("which command? debug-mcp flaky -- COMMAND…", field="command")
        given["session_id"] = await _opened(place, options)
    except DebugMcpError as error:
        print_refusal(error, as_json=options.json)
        return NOT_RUN
    return await _run("flaky", place, options, given, closed=given["session_id"])


async def _opened(place: Place, options: argparse.Namespace) -> str:
    """Open a session on what is to be repeated."""
    checkout = _checkout() if options.url is None and options.repository is None else None
    asked = {
        "repository": options.repository or checkout,
        "ref": options.ref,
        "include_uncommitted": True if checkout and options.ref is None else None,
    }
    view = await place.ask(session_create, **_without_none(asked))
    return str(view["session_id"])


async def _run(
    kind: str,
    place: Place,
    options: argparse.Namespace,
    given: dict[str, Any],
    closed: str | None = None,
) -> int:
    """Begin it or find it again, wait for its end, and show it.

    Args:
        kind: Which of the three.
        place: Where it is done.
        options: As parsed.
        given: Arguments of the operation; those that are None are left to their defaults.
        closed: A session that nobody needs once it has begun, which takes a copy.
    """
    operation = _OPERATIONS[kind]
    try:
        view = await _begun(kind, place, options, given, closed)
        view = await _ended(kind, operation, place, view)
    except DebugMcpError as error:
        print_refusal(error, as_json=options.json)
        return NOT_RUN
    if options.json:
        print(json.dumps(view, indent=2, ensure_ascii=False))
    else:
        print(text_of(kind, view))
    return _CODES[view["verdict"]]


async def _begun(
    kind: str,
    place: Place,
    options: argparse.Namespace,
    given: dict[str, Any],
    closed: str | None,
) -> Facts:
    operation, name = _OPERATIONS[kind], f"{kind}_id"
    if options.id is not None:
        return await place.ask(operation, **{name: options.id}, wait_seconds=0)
    try:
        view = await place.ask(
            operation, **_without_none(given), wait_seconds=0, idempotency_key=uuid.uuid4().hex
        )
    finally:
        if closed is not None:
            await place.ask(session_close, session_id=closed)
    again = f"debug-mcp {kind} --id {view[name]}"
    say(f"{kind} {view[name]}; Ctrl-C leaves it to itself, and {again} waits on")
    return view


async def _ended(kind: str, operation: Operation, place: Place, view: Facts) -> Facts:
    status, name = Status(), f"{kind}_id"
    try:
        while view["state"] == "running":
            status.show(_going(kind, view))
            asked = {name: view[name], "wait_seconds": _LOOK_SECONDS}
            view = await place.ask(operation, **asked)
    finally:
        status.clear()
    return view


def _going(kind: str, view: Facts) -> str:
    """Return how far it is."""
    if kind == "flaky":
        runs = view.get("runs", {})
        return f"{runs.get('done', 0)} of {runs.get('asked', '…')} runs"
    if kind == "bisect":
        left = view.get("steps_left")
        more = "" if left is None else f", about {left} left"
        return f"{len(view.get('log', ()))} commits tested{more}"
    sides = {name: view.get(name, {}) for name in ("base", "head")}
    return ", ".join(
        f"{name}: {side.get('passed', 0)} passed, {side.get('failed', 0)} failed"
        for name, side in sides.items()
    )


def _common(options: argparse.Namespace) -> dict[str, Any]:
    """Return what ``compare`` and ``bisect`` both take.

    Raises:
        InvalidInput: The patch cannot be read.
    """
    repository = options.repository
    if repository is None and options.url is None and options.id is None:
        repository = _checkout()
    return {
        "repository": repository,
        "command": _command(options.words),
        "patch": None if options.patch is None else _patch(options.patch),
        "timeout_seconds": options.timeout,
    }


def _command(words: list[str]) -> str | None:
    """Return the line for a shell; one word is one already, as in ``debug-mcp run``."""
    words = words[1:] if words[:1] == ["--"] else words
    return (words[0] if len(words) == 1 else shlex.join(words)) if words else None


def _patch(path: Path) -> str:
    try:
        data = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        return data.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read: {error}", field="patch") from error


def _checkout() -> str | None:
    """Return the checkout of git that this is in, or None."""
    here = Path.cwd()
    return next((str(each) for each in (here, *here.parents) if (each / ".git").exists()), None)


def _without_none(given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}
