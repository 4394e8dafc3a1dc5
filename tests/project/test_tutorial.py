"""The tutorial does what it says, word for word."""

import re
from pathlib import Path

import pytest

from tests.transcripts import Reader, Shell, steps

ROOT = Path(__file__).parents[2]
IDENTITY = "[user]\n\tname = Ada Example\n\temail = ada@example.org\n"


@pytest.mark.bwrap
@pytest.mark.timeout(300)
def test_the_tutorial_prints_what_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".gitconfig").write_text(IDENTITY)
    # In a folder of its own: the only thing in which this differs from what a person does.
    page = re.sub(r"/tmp\b", str(tmp_path), (ROOT / "docs/tutorial.md").read_text())
    reader, shell = Reader(), Shell(ROOT)
    try:
        for step in steps(page):
            code, printed = shell.run(reader.own(step.command))
            wrong_usage = any(line.startswith("invalid_input") for line in step.shown)
            assert code == (2 if wrong_usage else 0), f"{step.command}: {printed}"
            assert step.shown or not printed.strip(), f"{step.command} printed {printed}"
            reader.compare(step.shown, printed)
    finally:
        shell.close()
