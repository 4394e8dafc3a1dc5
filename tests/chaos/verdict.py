"""What must hold after a load: asked of a last server, of the journal, and of the kernel."""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos.load import Asked, Plan
from tests.chaos.servers import Server
from tests.chaos.work import LINES

SETTLED_SECONDS = 120
PAGE = 40_000
# What ended by itself, and how.
ENDS = {
    "quick": ("succeeded", 0),
    "slow": ("succeeded", 0),
    "daemon": ("succeeded", 0),
    "keep": ("succeeded", 0),
    "fail": ("failed", 7),
    "stubborn": ("timed_out", None),
}
UNSETTLED_SESSIONS = {"preparing", "closing"}


@dataclass
class Verdict:
    """The figures of one load, and everything that did not hold."""

    kills: int = 0
    shots: int = 0
    commands: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    doubled: int = 0
    orphans: int = 0
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        outcomes = ", ".join(f"{count} {name}" for name, count in sorted(self.outcomes.items()))
        return (
            f"{self.kills} kills, {self.shots} of supervisors, "
            f"{self.commands} commands ({outcomes}): "
            f"{self.lost} lost, {self.doubled} doubled, {self.orphans} orphans, "
            f"{len(self.faults)} faults"
        )


def judge(plan: Plan, last: Server) -> Verdict:
    """Let a last server bring everything to its end, and compare what it says with the journal."""
    verdict = Verdict(kills=plan.kills, shots=len(plan.shot), faults=list(plan.faults))
    rows = _settled(last, verdict)
    for command_id in plan.shot & rows.keys():
        if rows[command_id]["outcome"] == "lost":  # as it must, unless it ended a moment before
            rows[command_id]["outcome"] = "shot"
    facts = _facts(plan)
    verdict.commands = len(rows)
    verdict.outcomes.update(str(row["outcome"]) for row in rows.values())
    verdict.lost = verdict.outcomes["lost"]
    known = {command_id for asked in plan.asked.values() for command_id in asked.ids}
    for command_id in rows.keys() - known:
        verdict.faults.append(f"{command_id} is in the ledger, and nobody was told of it")
    for asked in plan.asked.values():
        starts = facts[f"start {asked.token}"]
        verdict.doubled += starts > 1
        verdict.faults.extend(
            f"{asked.token} {asked.ids}: {fault}"
            for fault in _wrong(asked, rows, starts, facts[f"end {asked.token}"], last)
        )
    orphans = list(_processes(plan.journal))
    verdict.orphans = len(orphans)
    verdict.faults.extend(f"process {pid} is left" for pid in orphans)
    verdict.faults.extend(_left_over(plan, last))
    return verdict


def _settled(last: Server, verdict: Verdict) -> dict[str, dict[str, Any]]:
    """Return every command once none is unfinished."""
    deadline = time.monotonic() + SETTLED_SECONDS
    while True:
        rows = {row["command_id"]: row for row in _pages(last)}
        going_on = [row for row in rows.values() if row["state"] != "finished"]
        if not going_on:
            return rows
        if time.monotonic() > deadline:
            verdict.faults.extend(f"{row['command_id']} is {row['state']}" for row in going_on)
            return rows
        last.call("command_wait", {"command_id": going_on[-1]["command_id"], "wait_seconds": 5})


def _pages(last: Server) -> Iterator[dict[str, Any]]:
    arguments: dict[str, Any] = {"limit": 100}
    while True:
        page = last.call("command_list", arguments)
        yield from page["commands"]
        if not page.get("next_cursor"):
            return
        arguments["cursor"] = page["next_cursor"]


def _facts(plan: Plan) -> Counter[str]:
    """Return how often each fact stands in the journal, or in those of all trees."""
    trees = (plan.settings.data_dir / "sessions").glob("*/tree")
    journals = [Path(plan.journal)] if plan.closes else [tree / plan.journal for tree in trees]
    return Counter(
        line for path in journals if path.exists() for line in path.read_text().splitlines()
    )


def _wrong(
    asked: Asked, rows: dict[str, dict[str, Any]], starts: int, ends: int, last: Server
) -> Iterator[str]:
    if not asked.ids:
        if starts:
            yield "refused, and it ran"
        return
    if len(asked.ids) > 1:
        yield "one key, several commands"
    if starts > 1:
        yield f"started {starts} times"
    row = rows.get(min(asked.ids))
    if row is None:
        yield "accepted, and not in the ledger"
        return
    told = (row["outcome"], row.get("exit_code"))
    if row["outcome"] == "shot" or (row["outcome"] == "cancelled" and asked.cancelled):
        return
    # On a busy machine the time of a stubborn one may be over before it has noted its start.
    noted = (starts, ends) == (1, 1) or (asked.kind == "stubborn" and not ends)
    if told != ENDS[asked.kind]:
        yield f"{told}, not {ENDS[asked.kind]}"
    elif not noted:
        yield f"{told}, and the journal has {starts} starts and {ends} ends"
    elif asked.kind != "stubborn":
        yield from _wrong_left(asked, row["command_id"], last)


def _wrong_left(asked: Asked, command_id: str, last: Server) -> Iterator[str]:
    """Compare what a command left with what it wrote."""
    if _output(last, command_id) != _expected(asked):
        yield "its output is not what it wrote"
    if asked.kind == "keep":
        view = last.call("command_wait", {"command_id": command_id, "wait_seconds": 0})
        kept = [artifact["name"] for artifact in view.get("artifacts", ())]
        if kept != [f"kept-{asked.token}"]:
            yield f"kept {kept}"


def _output(last: Server, command_id: str) -> str:
    view = last.call(
        "command_output",
        {"command_id": command_id, "mode": "range", "length": PAGE, "raw": True},
    )
    text: str = view["output"]["text"]
    return text


def _expected(asked: Asked) -> str:
    return "".join(f"{asked.token} {number}\n" for number in range(LINES))


def _processes(journal: str) -> Iterator[int]:
    """Find what is left of any command: each was called with the journal's path."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                called = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if journal.encode() in called.split(b"\0"):
                yield int(folder.name)


def _left_over(plan: Plan, last: Server) -> Iterator[str]:
    """Name half-made things: folders without a session, sessions that hang."""
    folders = {folder.name for folder in (plan.settings.data_dir / "sessions").iterdir()}
    for session in sorted(folders - plan.sessions.keys()):
        yield f"session {session} has a folder, and is not open"
    for session in plan.sessions:
        view = last.call("session_create", _as_opened(plan, session))
        if view["session_id"] != session or view["state"] in UNSETTLED_SESSIONS:
            yield f"session {session} is {view['state']} as {view['session_id']}"
    for repository in last.call("repository_list", {})["repositories"]:
        if repository["state"] != "ready":
            yield f"repository is not ready: {repository}"


def _as_opened(plan: Plan, session: str) -> dict[str, Any]:
    return {"repository": plan.repository, "idempotency_key": plan.sessions[session]}
