"""One load and its verdict."""

import secrets
from pathlib import Path

from debug_mcp.config import IsolationPolicy, Settings
from tests.chaos import work
from tests.chaos.load import Plan, run_load
from tests.chaos.servers import Server
from tests.chaos.verdict import Verdict, judge
from tests.upstream import Upstream


def chaos(folder: Path, seed: int, kills: int, servers: int, isolation: IsolationPolicy) -> Verdict:
    """Kill servers this often during a load in a fresh folder, and judge what is left."""
    upstream = Upstream(folder / "upstream")
    files = {"work.py": Path(work.__file__).read_text(), ".gitignore": "journal-*\n"}
    upstream.commit("Add the work", files)
    settings = Settings(
        data_dir=folder / "data", isolation=isolation, grace_seconds=0.2, queued_commands=100
    )
    inside = isolation is not IsolationPolicy.NONE
    journal = f"journal-{secrets.token_hex(4)}" if inside else str(folder / "journal")
    plan = Plan(settings, str(upstream.path), journal, kills)
    run_load(plan, servers, seed)
    last = Server(settings, plan.errors)
    try:
        return judge(plan, last)
    finally:
        last.bury()
