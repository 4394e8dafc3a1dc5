"""``debug-mcp demo``, as a person runs it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.transcripts import Reader, blocks
from tests.upstream import Upstream

ROOT = Path(__file__).parents[2]


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "debug_mcp", "demo", *arguments], capture_output=True, text=True
    )


def test_the_demo_prints_what_the_readme_shows_and_leaves_the_fix_as_a_branch() -> None:
    done = demo()
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    [transcript] = blocks((ROOT / "README.md").read_text(), "text")
    Reader().compare([line for line in transcript if line.strip()], done.stdout)
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
