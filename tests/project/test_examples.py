"""Every example runs, and checks itself."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.transcripts import Reader, blocks

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(ROOT.glob("examples/*/*.py"))


# `serve` does not start without a sandbox.
NEEDS_SANDBOX = {"05_remote_over_http"}


def test_there_are_examples() -> None:
    assert EXAMPLES


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(
            path,
            id=path.parent.name,
            marks=[pytest.mark.bwrap] if path.parent.name in NEEDS_SANDBOX else [],
        )
        for path in EXAMPLES
    ],
)
def test_an_example_does_what_it_says(example: Path) -> None:
    done = subprocess.run([sys.executable, str(example)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (example.parent / "README.md").exists()
    for transcript in blocks((example.parent / "README.md").read_text(), "console"):
        Reader().compare([line for line in transcript if not line.startswith("$ ")], done.stdout)
