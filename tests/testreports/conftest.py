"""Running real pytests with our plugin in them, as a command in a session would."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from debug_mcp.testreports import injected_folder
from debug_mcp.testreports.model import Report
from debug_mcp.testreports.pytest_events import read_events


class Project:
    """A folder with tests, and what its runs reported."""

    def __init__(self, tree: Path, reports: Path) -> None:
        self.tree = tree
        self.reports = reports
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PYTEST")},
            "PYTHONPATH": str(injected_folder()),
            "DEBUG_MCP_REPORT": str(reports),
            "DEBUG_MCP_TREE": str(tree),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def write(self, **files: str) -> None:
        """Write ``tests__test_x="…"`` to ``tests/test_x.py``; ``ini`` is the configuration."""
        for name, text in files.items():
            path = self.tree / ("pytest.ini" if name == "ini" else name.replace("__", "/") + ".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def pytest(
        self, *arguments: str, env: Mapping[str, str] | None = None, cwd: str = "."
    ) -> subprocess.CompletedProcess[str]:
        """Run pytest in it."""
        return subprocess.run(
            [sys.executable, "-m", "pytest", *arguments],
            cwd=self.tree / cwd,
            env={**self.environment, **(env or {})},
            capture_output=True,
            text=True,
        )

    @property
    def report(self) -> Report:
        """What all runs until now reported."""
        found = self.read()
        assert found is not None
        return found

    def read(self) -> Report | None:
        """Read what there is."""
        files = sorted(self.reports.iterdir(), key=lambda file: file.stat().st_mtime_ns)
        return read_events(file.read_bytes() for file in files)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    tree, reports = tmp_path / "tree", tmp_path / "reports"
    tree.mkdir()
    reports.mkdir()
    return Project(tree, reports)
