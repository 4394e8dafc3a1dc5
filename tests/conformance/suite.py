"""The suite itself: an npm package, put into a folder of its own, and what it finds."""

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "@modelcontextprotocol/conformance@0.2.0-alpha.12"
REVISIONS = ("2025-11-25", "2026-07-28")
MISSED = ("FAILURE", "WARNING", "SKIPPED")
NODE = 22


class Unavailable(Exception):
    """Raised when the suite cannot run here; says what is missing."""


@dataclass(frozen=True)
class Check:
    """What the suite says to one requirement: SUCCESS, FAILURE, WARNING, SKIPPED or INFO."""

    scenario: str
    id: str
    status: str
    message: str

    @property
    def name(self) -> str:
        return f"{self.scenario}/{self.id}"


class Suite:
    """An installed suite."""

    def __init__(self, folder: Path, node: str) -> None:
        self._program = folder / "node_modules/@modelcontextprotocol/conformance/dist/index.js"
        self._node = node

    @classmethod
    def installed(cls, folder: Path) -> "Suite":
        """Return the suite in a folder; it is downloaded when it is not there yet.

        Raises:
            Unavailable: There is no npm, or it could not install the suite.
        """
        npm = shutil.which("npm")
        if npm is None:
            raise Unavailable("npm is needed, which comes with Node: on Debian, apt install npm")
        stamp = folder / "installed"
        if not stamp.exists() or stamp.read_text() != PACKAGE:
            folder.mkdir(parents=True, exist_ok=True)
            # npm brings a newer Node too; what Debian has is too old for the suite.
            wanted = [PACKAGE, *([] if _is_new("node") else ["node@24"])]
            done = subprocess.run(
                [npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), *wanted],
                capture_output=True,
                text=True,
            )
            if done.returncode:
                raise Unavailable(f"npm could not install {PACKAGE}:\n{done.stderr}")
            stamp.write_text(PACKAGE)
        own = folder / "node_modules/node/bin/node"
        node = str(own) if own.exists() else "node"
        if not _is_new(node):
            raise Unavailable(f"Node {NODE} or newer is needed, and {folder} has none: delete it")
        return cls(folder, node)

    def run(self, url: str, revision: str, results: Path) -> list[Check]:
        """Run all that a revision requires; return every check."""
        subprocess.run(
            [
                self._node, str(self._program), "server", "--url", url,
                "--requirements", revision, "--output-dir", str(results),
            ],
            capture_output=True,
            env={**os.environ, "NO_COLOR": "1"},
        )  # fmt: skip
        checks = []
        for file in sorted(results.glob("server-*/checks.json")):
            scenario = re.sub(r"-\d{4}-\d\d-\d\dT.*$", "", file.parent.name.removeprefix("server-"))
            checks += [
                Check(scenario, each["id"], each["status"], each.get("errorMessage", ""))
                for each in json.loads(file.read_text())
            ]
        return checks


def _is_new(node: str) -> bool:
    try:
        said = subprocess.run([node, "--version"], capture_output=True, text=True).stdout
    except FileNotFoundError:
        return False
    found = re.match(r"v(\d+)", said)
    return found is not None and int(found[1]) >= NODE
