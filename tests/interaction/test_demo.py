"""``debug-mcp demo``, as a person runs it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.upstream import Upstream


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "debug_mcp", "demo", *arguments], capture_output=True, text=True
    )


def test_the_demo_leaves_the_fix_as_a_branch_in_its_repository() -> None:
    done = demo()
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    found = re.search(r"The branch fix-show is in (\S+);", done.stdout)
    assert found
    checkout = Path(found[1])
    try:
        subprocess.run(["git", "rev-parse", "fix-show"], cwd=checkout, check=True)
    finally:
        shutil.rmtree(checkout.parent)


def test_the_demo_runs_a_command_on_the_persons_own_repository(upstream: Upstream) -> None:
    done = demo("--repo", str(upstream.path), "--command", "cat calculator.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "return a - b" in done.stdout
    assert upstream.git("status", "--porcelain") == ""


def test_the_demo_fails_when_a_step_is_not_as_it_should_be(tmp_path: Path) -> None:
    done = demo("--repo", str(tmp_path))
    assert done.returncode == 1
    assert "not as it should be: session_create refused" in done.stderr
    assert "is not in a git repository" in done.stdout
