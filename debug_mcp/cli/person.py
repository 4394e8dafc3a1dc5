"""The commands for people: where each is done, and the list of sessions."""

import argparse
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable

from debug_mcp.app import open_services
from debug_mcp.cli.address import read_token, read_url, rest_root
from debug_mcp.cli.answers import print_facts, print_refusal
from debug_mcp.cli.evidence import run_bisect, run_compare, run_flaky
from debug_mcp.cli.getting import run_evidence, run_get
from debug_mcp.cli.here import Here
from debug_mcp.cli.opening import opened
from debug_mcp.cli.place import Facts, Place
from debug_mcp.cli.running import NOT_RUN, run_logs, run_run
from debug_mcp.cli.showing import plain
from debug_mcp.cli.table import table
from debug_mcp.cli.there import There, client
from debug_mcp.config import Settings
from debug_mcp.errors import DebugMcpError
from debug_mcp.operations.sessions import session_get

PAGE = 100


async def run_sessions(place: Place, options: argparse.Namespace) -> int:
    """List the sessions that are open, or show one; return 0, or 1 or 2 as a call does."""
    try:
        if options.session is not None:
            facts = await place.ask(session_get, session_id=options.session)
            return print_facts(facts, as_json=options.json)
        rows = [row async for row in _rows(place) if options.all or row["state"] != "closed"]
    except DebugMcpError as error:
        return print_refusal(error, as_json=options.json)
    if options.json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        print(_table(rows) if rows else "There is no open session.")
    return 0


async def _rows(place: Place) -> AsyncIterator[Facts]:
    cursor: dict[str, str] = {}
    while True:
        page = await place.ask(session_get, limit=PAGE, **cursor)
        for row in page.get("sessions", ()):
            yield row
        if "next_cursor" not in page:
            return
        cursor = {"cursor": page["next_cursor"]}


def _table(rows: list[Facts]) -> str:
    heading = ("SESSION", "STATE", "REPOSITORY", "REF", "COMMIT", "CREATED", "NAME")
    names = ("session_id", "state", "repository", "ref", "commit", "created_at", "name")
    shown = [{**row, "commit": row["commit"][:12]} for row in rows]
    return table(heading, [[plain(str(row.get(name, ""))) for name in names] for row in shown])


_COMMANDS: dict[str, Callable[[Place, argparse.Namespace], Awaitable[int]]] = {
    "sessions": run_sessions,
    "run": run_run,
    "logs": run_logs,
    "get": run_get,
    "compare": run_compare,
    "flaky": run_flaky,
    "bisect": run_bisect,
    "evidence": run_evidence,
}
# Their exit codes say what came of it, 1 included.
_OF_THEIR_OWN = ("run", "logs", "compare", "flaky", "bisect")


async def run_person(name: str, options: argparse.Namespace, settings: Settings | None) -> int:
    """Do one of the commands, here on the settings' data directory or by the server at a URL."""
    try:
        async with _place(options, settings) as place:
            return await _COMMANDS[name](place, options)
    except DebugMcpError as error:
        code = print_refusal(error, as_json=False)
        return NOT_RUN if name in _OF_THEIR_OWN else code


@contextlib.asynccontextmanager
async def _place(options: argparse.Namespace, settings: Settings | None) -> AsyncIterator[Place]:
    if settings is not None:
        async with opened(open_services(settings)) as services:
            yield Here(services)
        return
    root, token = rest_root(read_url(options.url)), read_token(options.token_file)
    async with client(token) as http:
        yield There(http, root, token)
