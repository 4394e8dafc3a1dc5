"""``debug-mcp doctor``: what is there, what is missing, and what to do about it."""

import argparse
import dataclasses
import json

from debug_mcp.cli.table import table
from debug_mcp.config import load
from debug_mcp.doctor import Check, State, examine
from debug_mcp.errors import InvalidInput


async def run_doctor(options: argparse.Namespace) -> int:
    """Examine the machine; return 1 when something that is needed is missing."""
    try:
        settings = load(data_dir=options.data_dir, isolation=options.isolation)
        checks = await examine(settings)
    except InvalidInput as error:
        checks = [Check("configuration", State.FAILED, error.message, "correct it")]
    failed = any(check.state is State.FAILED for check in checks)
    if options.json:
        facts = [dataclasses.asdict(check) for check in checks]
        print(json.dumps({"ok": not failed, "checks": facts}, indent=2))
    else:
        print(_text(checks, failed=failed))
    return 1 if failed else 0


def _text(checks: list[Check], *, failed: bool) -> str:
    lines = table(("", "", ""), [(check.state, check.name, check.found) for check in checks])
    told = []
    for check, line in zip(checks, lines.splitlines()[1:], strict=True):
        told.append(line)
        if check.remedy is not None:
            told.append(f"         {check.remedy}")
    end = "Something that is needed is missing." if failed else "debug-mcp can work here."
    return "\n".join([*told, "", end])
