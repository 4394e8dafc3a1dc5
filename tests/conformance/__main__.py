"""Run the official conformance suite: ``make conformance``.

Against the server itself, where a scenario needs no fixtures of the suite's, and against the same
server with these fixtures. What does not pass is held against ``expected.yml``: a miss that is not
listed there fails the run, and so does one that is listed and passes, or a check that is not made
any more.
"""

import argparse
import contextlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.conformance.suite import MISSED, REVISIONS, Check, Suite, Unavailable

# What means something without the suite's own tools, resources and prompts.
_WITHOUT_FIXTURES = {
    "caching",
    "dns-rebinding-protection",
    "http-header-validation",
    "input-required-result-ignore-extra-params",
    "input-required-result-unsupported-methods",
    "ping",
    "prompts-list",
    "resources-list",
    "sep-2164-resource-not-found",
    "server-initialize",
    "server-session-lifecycle",
    "server-sse-multiple-streams",
    "server-stateless",
    "tools-list",
}
EXPECTED = Path(__file__).parent / "expected.yml"
_FLOOR = "passing"


@dataclass(frozen=True)
class Run:
    """One run of the suite: at a revision of the protocol, with the fixtures or without."""

    revision: str
    fixtures: bool

    @property
    def name(self) -> str:
        return f"{self.revision} {'with fixtures' if self.fixtures else 'as served'}"


RUNS = [Run(revision, fixtures) for fixtures in (False, True) for revision in REVISIONS]


def main() -> int:
    """Print what passed and what did not; return 1 when that is not as expected."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("--tools", type=Path, required=True, help="where the suite is installed")
    options = parser.parse_args()
    try:
        suite = Suite.installed(options.tools)
    except Unavailable as error:
        print(f"conformance: {error}", file=sys.stderr)
        return 2
    expected = read_expected(EXPECTED.read_text())
    return max([_judge(run, _checks(suite, run), expected.get(run.name, {})) for run in RUNS])


def read_expected(text: str) -> dict[str, dict[str, str]]:
    """Return the reason of each expected miss, by run and by ``scenario/check``."""
    runs: dict[str, dict[str, str]] = {}
    for line in text.splitlines():
        if found := re.fullmatch(r"(\S.*):", line):
            members = runs.setdefault(found[1], {})
        elif found := re.fullmatch(r"  (\S+): (.+)", line):
            members[found[1]] = found[2]
        elif line.strip() and not line.startswith("#"):
            raise ValueError(f"{EXPECTED.name}: not understood: {line}")
    return runs


def _checks(suite: Suite, run: Run) -> list[Check]:
    with tempfile.TemporaryDirectory(prefix="debug-mcp-conformance-") as scratch:
        folder = Path(scratch)
        with _serving(folder, fixtures=run.fixtures) as url:
            checks = suite.run(url, run.revision, folder / "results")
    if not run.fixtures:
        checks = [check for check in checks if check.scenario in _WITHOUT_FIXTURES]
    return checks


def _judge(run: Run, checks: list[Check], listed: dict[str, str]) -> int:
    expected = {name: why for name, why in listed.items() if name != _FLOOR}
    floor = int(listed.get(_FLOOR, 1))
    passed = [check for check in checks if check.status == "SUCCESS"]
    missed = {check.name: check for check in checks if check.status in MISSED}
    print(f"{run.name}: {len(passed)} of {len(passed) + len(missed)} checks pass", flush=True)
    for name, check in missed.items():
        print(f"  {check.status.lower()} {name}: {expected.get(name, check.message)}")
    unlisted = missed.keys() - expected.keys()
    stale = expected.keys() - missed.keys()
    for name in sorted(unlisted):
        print(f"  NOT EXPECTED: {name}")
    for name in sorted(stale):
        print(f"  PASSES NOW (take it out of {EXPECTED.name}): {name}")
    if len(passed) < floor:
        print(f"  FEWER THAN {floor} PASS")
    return 1 if unlisted or stale or len(passed) < floor else 0


@contextlib.contextmanager
def _serving(folder: Path, *, fixtures: bool) -> Iterator[str]:
    command = [sys.executable, "-m", "tests.conformance.program", str(folder)]
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(
            [*command, *(["--fixtures"] if fixtures else [])],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            if not url:
                raise RuntimeError((folder / "log").read_text())
            yield url
        finally:
            process.terminate()


if __name__ == "__main__":
    sys.exit(main())
