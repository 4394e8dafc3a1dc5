"""Real processes, at each level of isolation, on both event loops."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from debug_mcp.config import IsolationPolicy
from debug_mcp.runner.boundary import choose_boundary
from debug_mcp.runner.sandbox import Confined, Folders, Sandbox
from debug_mcp.runner.supervisor import Exit, Job, Supervisor
from debug_mcp.runner.toolchains import find_toolchains


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    """The folders of a session, in a data directory."""
    root = tmp_path / "data" / "sessions" / "s_test"
    objects = tmp_path / "data" / "repositories" / "r_test" / "objects"
    found = Folders(root / "tree", root / "home", root / "tmp", objects)
    for folder in (found.tree, found.home, found.temporary, found.objects):
        folder.mkdir(parents=True)
    return found


@pytest.fixture(
    params=[
        pytest.param(IsolationPolicy.REQUIRE_BWRAP, marks=pytest.mark.bwrap, id="bwrap"),
        pytest.param(IsolationPolicy.NONE, id="none"),
    ]
)
def sandbox(request: pytest.FixtureRequest, tmp_path: Path) -> Sandbox:
    """A sandbox at each level."""
    return make_sandbox(request.param, tmp_path / "data")


def make_sandbox(policy: IsolationPolicy, data_dir: Path) -> Sandbox:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    toolchains = find_toolchains(path, Path.home())
    return Sandbox(choose_boundary(policy), toolchains, data_dir)


only_bwrap = pytest.mark.parametrize(
    "sandbox",
    [pytest.param(IsolationPolicy.REQUIRE_BWRAP, marks=pytest.mark.bwrap, id="bwrap")],
    indirect=True,
)
only_none = pytest.mark.parametrize(
    "sandbox", [pytest.param(IsolationPolicy.NONE, id="none")], indirect=True
)


OPTIONS = ("cwd", "network", "entering", "readable", "env", "terminal")


class Runs:
    """Starts jobs as the scheduler does, each in a directory of its own."""

    def __init__(self, sandbox: Sandbox, folders: Folders, root: Path) -> None:
        self.sandbox = sandbox
        self.folders = folders
        self.supervisor = Supervisor()
        self._root = root
        self._count = 0

    def program(self, command: str | Sequence[str], **options: Any) -> Confined:
        arguments = ["sh", "-c", command] if isinstance(command, str) else command
        environment = {
            "PATH": self.sandbox.toolchains.path,
            "HOME": self.sandbox.home(self.folders),
            **options.pop("env", {}),
        }
        return self.sandbox.confine(self.folders, arguments, environment=environment, **options)

    def start(self, command: str | Sequence[str], **limits: Any) -> Path:
        """Start a job; ``OPTIONS`` go to the sandbox, the rest are limits, ``channel`` apart."""
        channel = limits.pop("channel", None)
        options = {key: limits.pop(key) for key in OPTIONS if key in limits}
        self._count += 1
        directory = self._root / f"c_{self._count}"
        job = {"timeout": 30.0, "grace": 1.0, "output_limit": 1 << 24, **limits}
        self.supervisor.start(directory, Job(self.program(command, **options), **job), channel)
        return directory

    async def run(self, command: str | Sequence[str], **limits: Any) -> tuple[Exit, bytes]:
        """Run a job to its end; return what the shim saw, and the output."""
        directory = self.start(command, **limits)
        seen = await self.supervisor.wait(directory)
        assert seen is not None, (directory / "log").read_text()
        return seen, (directory / "output").read_bytes()


@pytest.fixture
def runs(sandbox: Sandbox, folders: Folders, tmp_path: Path) -> Runs:
    return Runs(sandbox, folders, tmp_path / "data" / "commands")
