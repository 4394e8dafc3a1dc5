"""Writes the reference pages that the code decides; ``--check`` only says whether they are stale.

python docs/generate.py [--check]
"""

import argparse
import inspect
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from debug_mcp.auth.principal import Scope
from debug_mcp.cli.parser import build_parser
from debug_mcp.config import REFUSED_VARIABLES, Settings
from debug_mcp.errors import DebugMcpError
from debug_mcp.interfaces.errors import TABLE
from debug_mcp.interfaces.rest import PREFIX
from debug_mcp.interfaces.schema import slim_schema
from debug_mcp.lifecycle import COMMAND, ENVIRONMENT, EVIDENCE, REPOSITORY, SESSION
from debug_mcp.models.commands import Outcome
from debug_mcp.operations.catalogue import ADMIN, BUNDLES, CORE, REST
from debug_mcp.operations.registry import Operation

REFERENCE = Path(__file__).parent / "reference"
NOTICE = "<!-- Written by docs/generate.py. Edit the code, then run `make docs`. -->\n"

_READS = """\
A read returns at most {limit} KiB; where there is more, `_meta` has `total_bytes` and `next`, the
tool call that reads on.
"""

_ORDER = """\
In the order in which clients see them. [Permissions](permissions.md) has what some arguments need
besides.
"""

_BUNDLES = """\
Over REST and as `debug-mcp evidence`, not as a tool:
[take the evidence along](../how-to/evidence.md).
"""

_OPERATORS = """\
Over REST alone, with the scope `admin`; `debug-mcp token` does the same on the data directory. They
are no tools, so that no secret passes through a model.
"""

_SOURCES = """\
The [command line](command-line.md) (`--data-dir`, `--isolation`, `--host`) counts before the
environment, that before `config.toml`, that before the default. `config.toml` is looked for in the
user's configuration folder (`~/.config/debug-mcp/` on Linux), or where `DEBUG_MCP_CONFIG` says. An
unknown setting in it is refused.
"""

_CODES = """\
Exit codes: 0 when it was done, 1 when it could not be done, 2 for wrong usage. A program that fails
in a session is an answer, and so 0; `run` and `logs -f` exit with its code, and with 125 when they
cannot. What went wrong is one line on standard error.
"""

_CANCEL = """\
A request to cancel is a flag on a command, not a state. How a command ended is its outcome:
"""

_SHAPE = """\
A tool that cannot do what was asked answers with `isError` and, in the text and in the structured
content alike, `error` (`code`, `message`, and where they help `field` and `candidates`) and `next`,
the corrected call. A program that exits with another code than 0 is no error: see `outcome` in
[lifecycle](lifecycle.md).
"""

_OUTCOMES = {
    Outcome.SUCCEEDED: "exit code 0",
    Outcome.FAILED: "another exit code; 128 + n when it died of signal n",
    Outcome.TIMED_OUT: "`timeout_seconds` passed",
    Outcome.IDLE_TIMED_OUT: "it printed nothing for `idle_timeout_seconds`",
    Outcome.CANCELLED: "somebody asked for its end, or closed its session",
    Outcome.OUTPUT_LIMIT: "it ended by itself, but not all of its output could be kept",
    Outcome.RESOURCE_LIMIT: "it used more memory, processes, processor time or disk than it may, "
    "and was ended at once",
    Outcome.SPAWN_FAILED: "the program or the sandbox could not be started",
    Outcome.LOST: "nobody saw its end; it is never run again by itself",
}


_PERMISSIONS = """\
What a [token](../how-to/serve-over-http.md#tokens) needs: every scope that is marked ●, and with
some arguments the one that is marked ○ as well. Over stdio everything is allowed. A missing scope
is `permission_denied`, and names the scope. What belongs to another principal, or to a repository
that the token does not reach, is `not_found`, whatever the scopes. Tests hold this table and what
the server does equal.
"""

_OWNED = """\
Input on the stream needs `command:run` as well. A session's set-up gets the network only with
`command:network`.

Repositories are everybody's whose token reaches them. Sessions, commands, artifacts, debug runs and
comparisons are their principal's alone. Tokens and the audit log are of the whole server.
"""


def permissions() -> str:
    """Return the page that says which operation needs which scope."""
    from debug_mcp.interfaces.downloads import download_items
    from debug_mcp.interfaces.resources import SCOPES
    from debug_mcp.interfaces.websocket import stream_items

    rows = [
        _needs(f"[`{operation.name}`](tools.md#{operation.name})", operation.needs)
        for operation in REST
    ]
    for operation, row in zip(REST, rows, strict=True):
        for scope in operation.further.values():
            row[list(Scope).index(scope) + 1] = "○"
    for path, item in {**download_items(), **stream_items()}.items():
        [needed] = item["get"]["security"]
        rows.append(_needs(f"`GET {PREFIX}{path}`", [Scope(name) for name in needed["bearer"]]))
    rows += [_needs(f"resource `{uri}`", [scope]) for uri, scope in SCOPES.items()]
    further = [
        f"- [`{operation.name}`](tools.md#{operation.name}) with {what}: `{scope}`"
        for operation in REST
        for what, scope in operation.further.items()
    ]
    return "\n".join(
        [
            NOTICE,
            "# Permissions\n",
            _PERMISSIONS,
            f"| | {' | '.join(f'`{scope}`' for scope in Scope)} |",
            f"| --- |{' :-: |' * len(Scope)}",
            *(f"| {' | '.join(row)} |" for row in rows),
            "\n○ stands for:\n",
            *further,
            "",
            _OWNED,
        ]
    )


def _needs(what: str, scopes: Sequence[Scope]) -> list[str]:
    return [what, *("●" if scope in scopes else "" for scope in Scope)]


def tools() -> str:
    """Return the page of all tools."""
    parts = [NOTICE, "# Tools\n", _ORDER]
    parts += [
        "| tool | scope | changes something |\n| --- | --- | --- |\n"
        + "".join(
            f"| [`{operation.name}`](#{operation.name}) | "
            f"{', '.join(f'`{scope}`' for scope in operation.needs)} | "
            f"{'no' if operation.read_only else 'yes'} |\n"
            for operation in CORE
        )
    ]
    parts += [_tool(operation) for operation in CORE]
    parts += ["# For people and scripts\n", _BUNDLES, *(_tool(operation) for operation in BUNDLES)]
    parts += ["# For operators\n", _OPERATORS, *(_tool(operation) for operation in ADMIN)]
    parts += ["# Resources\n", *_resources()]
    return "\n".join(parts)


def _tool(operation: Operation) -> str:
    schema = slim_schema(operation.arguments)
    required = set(schema.get("required", ()))
    rows = [
        f"| `{name}`{' (required)' if name in required else ''} | {_type(member)} | "
        f"{_default(member)} | {_cell(member.get('description', ''))} |"
        for name, member in schema["properties"].items()
    ]
    takes = (
        ["| argument | type | default | |", "| --- | --- | --- | --- |", *rows]
        if rows
        else ["No arguments."]
    )
    members = [
        f"| `{name}` | {_type(member)} |"
        for name, member in slim_schema(operation.result)["properties"].items()
    ]
    gives = ["| answer | type |", "| --- | --- |", *members]
    heading = f"## {operation.name}\n"
    answer = f"Answer: {inspect.getdoc(operation.result)}"
    routes = " · ".join(f"`{route.method} {PREFIX}{route.path}`" for route in operation.routes)
    rest = f"[REST](../how-to/rest.md): {routes}"
    return "\n".join(
        [heading, operation.description, "", rest, "", *takes, "", answer, "", *gives, ""]
    )


def _type(member: dict[str, Any]) -> str:
    if "enum" in member:
        return _cell(" or ".join(f"`{value}`" for value in member["enum"]))
    if "const" in member:
        return f"`{member['const']}`"
    if "anyOf" in member:
        return " or ".join(_type(choice) for choice in member["anyOf"])
    if member.get("type") == "array":
        return f"list of {_type(member.get('items', {}))}"
    if "properties" in member:
        return f"object: {', '.join(f'`{name}`' for name in member['properties'])}"
    return str(member.get("type", "any"))


def _default(member: dict[str, Any]) -> str:
    return f"`{member['default']}`" if "default" in member else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _resources() -> list[str]:
    from debug_mcp.interfaces import prompts
    from debug_mcp.interfaces.resources import READ_LIMIT_BYTES, TEMPLATES

    rows = [
        f"| `{template.uri_template}` | {_cell(template.description or '')} |\n"
        for template in TEMPLATES
    ]
    return [
        "| URI | |\n| --- | --- |\n" + "".join(rows),
        _READS.format(limit=READ_LIMIT_BYTES // 1024),
        "# Prompts\n",
        "| prompt | arguments, all optional | |\n| --- | --- | --- |\n"
        + "".join(
            f"| `{template.prompt.name}` | "
            f"{', '.join(f'`{argument.name}`' for argument in template.prompt.arguments or ())} | "
            f"{_cell(template.prompt.description or '')} |\n"
            for template in prompts.TEMPLATES
        ),
    ]


def settings() -> str:
    """Return the page of all settings."""
    rows = [
        f"| `{name}` | {_variable(name)} | {_shown(name, field.default)} | "
        f"{_cell(field.description or '')} |\n"
        for name, field in Settings.model_fields.items()
    ]
    return "\n".join(
        [
            NOTICE,
            "# Settings\n",
            _SOURCES,
            "| in config.toml | in the environment | default | |\n| --- | --- | --- | --- |\n"
            + "".join(rows),
        ]
    )


def _variable(name: str) -> str:
    variable = f"DEBUG_MCP_{name.upper()}"
    return "not there: refused" if variable in REFUSED_VARIABLES else f"`{variable}`"


def _shown(name: str, default: object) -> str:
    if name == "data_dir":
        return "the user's data folder (`~/.local/share/debug-mcp` on Linux)"
    if default is None:
        return "none"
    if isinstance(default, list):
        return "none" if not default else f"`{default}`"
    if name.endswith("_bytes") and isinstance(default, int):
        return f"`{default}` ({default // 1024 // 1024} MiB)"
    return f"`{default}`"


def lifecycle() -> str:
    """Return the page with the diagram of every state machine."""
    parts = [NOTICE, "# Lifecycle\n"]
    for title, table in (
        ("Repository", REPOSITORY),
        ("Session", SESSION),
        ("Command", COMMAND),
        ("Environment", ENVIRONMENT),
        ("Evidence", EVIDENCE),
    ):
        arrows: list[str] = []
        for state, targets in table.items():
            arrows += [f"    {state} --> {target}" for target in sorted(targets)]
            arrows += [] if targets else [f"    {state} --> [*]"]
        first = next(iter(table))
        diagram = "\n".join(["stateDiagram-v2", f"    [*] --> {first}", *arrows])
        parts += [f"## {title}\n", f"```mermaid\n{diagram}\n```\n"]
    parts += [
        _CANCEL,
        "| outcome | when |\n| --- | --- |\n"
        + "".join(f"| `{outcome}` | {why} |\n" for outcome, why in _OUTCOMES.items()),
    ]
    return "\n".join(parts)


def errors() -> str:
    """Return the page of all errors."""
    rows = [
        f"| `{kind.code}` | {_first_line(kind)} | {shown.rpc_code} | {shown.http_status} |\n"
        for kind, shown in TABLE.items()
    ]
    return "\n".join(
        [
            NOTICE,
            "# Errors\n",
            _SHAPE,
            "| code | what to do | JSON-RPC code, for resources | HTTP status |\n"
            "| --- | --- | --- | --- |\n" + "".join(rows),
        ]
    )


def _first_line(kind: type[DebugMcpError]) -> str:
    return _cell((kind.__doc__ or "").splitlines()[0])


def command_line() -> str:
    """Return the page of everything that can be written on the command line."""
    parts = [NOTICE, "# Command line\n", _CODES]
    for name, parser in commands(build_parser()).items():
        rows = [
            f"| `{_written(action)}` | {_cell(action.help or '')} |\n"
            for action in parser._actions  # argparse has no other way
            if not isinstance(action, argparse._HelpAction | argparse._SubParsersAction)
        ]
        if parser.get_default("run_command") is None and name != "debug-mcp":
            continue
        parts += [f"## {name}\n", f"{parser.description}\n"]
        parts += ["| | |\n| --- | --- |\n" + "".join(rows)] if rows else []
    return "\n".join(parts)


def commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return a parser and those of its commands, by what is written to reach them."""
    found = {parser.prog: parser}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                found.update(commands(child))
    return found


def _written(action: argparse.Action) -> str:
    """Return an option or an argument as it is written."""
    value = action.metavar or (action.dest.upper() if action.option_strings else action.dest)
    if action.choices is not None:
        value = "{" + ",".join(action.choices) + "}"
    if not action.option_strings:
        return f"{value} …" if action.nargs in ("*", argparse.REMAINDER) else str(value)
    [option] = action.option_strings[-1:]
    return option if action.nargs == 0 else f"{option} {value}"


PAGES = {
    "tools.md": tools,
    "permissions.md": permissions,
    "settings.md": settings,
    "lifecycle.md": lifecycle,
    "errors.md": errors,
    "command-line.md": command_line,
}


def main() -> int:
    """Write the pages, or with ``--check`` name those that are stale."""
    stale = []
    for name, page in PAGES.items():
        path = REFERENCE / name
        text = page().rstrip() + "\n"
        if not path.exists() or path.read_text() != text:
            stale.append(name)
            if "--check" not in sys.argv:
                path.write_text(text)
    if stale and "--check" in sys.argv:
        print(f"stale: {', '.join(stale)}; run `make docs`")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
