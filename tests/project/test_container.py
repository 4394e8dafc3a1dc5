"""The container file keeps its promises, as far as that can be seen without building it."""

import json
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
LINES = re.sub(r"\\\n\s*", "", (ROOT / "Containerfile").read_text()).splitlines()


def last(instruction: str) -> str:
    return [line for line in LINES if line.startswith(f"{instruction} ")][-1]


def test_an_ordinary_user_serves() -> None:
    user = last("USER").split()[1]
    assert int(user.partition(":")[0]) > 0
    assert LINES.index(last("USER")) > LINES.index(last("RUN"))
    for instruction in ("ENTRYPOINT", "CMD"):
        json.loads(last(instruction).partition(" ")[2])  # no shell between the signal and us
    assert json.loads(last("CMD").partition(" ")[2]) == ["serve"]


def test_no_secret_and_no_lack_of_a_sandbox_is_built_in() -> None:
    text = "\n".join(LINES)
    assert "TOKEN" not in text
    assert "isolation" not in text.lower()


def test_both_kinds_of_builder_are_given_the_same_files() -> None:
    assert (ROOT / ".dockerignore").read_text() == (ROOT / ".containerignore").read_text()


def test_all_that_the_package_is_built_from_is_copied() -> None:
    copied = {
        name
        for line in LINES
        if line.startswith("COPY ") and "--from" not in line
        for name in line.split()[1:-1]
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    needed = {"pyproject.toml", project["project"]["readme"], *packages}
    assert copied == needed | set(project["project"]["license-files"])
    ignored = (ROOT / ".containerignore").read_text().split()
    assert {f"!{name}" for name in copied} <= set(ignored)
