"""``/readyz`` of a true server process: what is wrong is said, and when it is right again too."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from tests.operator import SECONDS, Operator, Serving

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(tmp_path / "data")


async def asked(server: Serving) -> httpx2.Response:
    async with httpx2.AsyncClient(timeout=SECONDS) as http:
        return await http.get(f"{server.url.removesuffix('/mcp')}/readyz")


async def becomes(server: Serving, status: int) -> dict[str, Any]:
    """Wait until the server says something else: what it found is told for two seconds."""
    with anyio.fail_after(SECONDS):
        while (answer := await asked(server)).status_code != status:
            await anyio.sleep(0.2)
    facts: dict[str, Any] = answer.json()
    return facts


def reason(facts: dict[str, Any], name: str) -> str:
    """Return why one check failed; all others did not."""
    assert facts["ready"] is False
    [bad] = [check for check in facts["checks"] if not check["ok"]]
    assert bad["name"] == name
    return str(bad["why"])


async def test_a_server_that_can_work_says_so_without_a_token(operator: Operator) -> None:
    with operator.serving("--isolation", "none") as server:
        answer = await asked(server)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    checks = [{"name": name, "ok": True} for name in ("store", "git", "sandbox", "disk")]
    assert answer.json() == {"ready": True, "checks": checks}


async def test_too_little_disk_is_a_reason(operator: Operator) -> None:
    with operator.serving("--isolation", "none", DEBUG_MCP_READY_DISK_BYTES=str(1 << 60)) as server:
        facts = await becomes(server, 503)
    assert reason(facts, "disk").endswith(f"MiB are free, and {1 << 40} are wanted")


async def test_a_ledger_that_somebody_locks_is_a_reason_until_they_let_go(
    operator: Operator,
) -> None:
    with operator.serving("--isolation", "none") as server, locking(operator.data_dir) as lock:
        assert reason(await becomes(server, 503), "store")
        lock.communicate("\n")
        assert (await becomes(server, 200))["ready"] is True


async def test_git_that_has_gone_is_a_reason(operator: Operator, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    git = shutil.which("git")
    assert git is not None
    (programs / "git").symlink_to(git)
    with operator.serving("--isolation", "none", PATH=str(programs)) as server:
        assert (await asked(server)).status_code == 200
        (programs / "git").unlink()
        assert reason(await becomes(server, 503), "git")


def locking(data_dir: Path) -> "subprocess.Popen[str]":
    """Start a process that holds the ledger's write lock until it is told to go on."""
    program = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); "
        "c.execute('BEGIN IMMEDIATE'); print('held', flush=True); sys.stdin.readline()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(data_dir / "debug-mcp.sqlite3")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process
