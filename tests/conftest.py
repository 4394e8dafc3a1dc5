"""What every test stands on: a home of its own, a real upstream, services on a real data directory.

The sandbox and sshd are system packages. Where one is missing, the tests that need it are skipped
with the reason; where CI=true they are not, so that nothing is skipped there.
"""

import os
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from debug_mcp.app import open_services
from debug_mcp.config import IsolationPolicy, Settings
from debug_mcp.debuggers.adapters import LLDB
from debug_mcp.models.sessions import Isolation
from debug_mcp.runner.boundary import choose_boundary
from debug_mcp.service.services import Services
from tests.sshserver import MISSING
from tests.upstream import CALCULATOR, Upstream

NO_LLDB = f"no lldb-dap or no C compiler here: {LLDB.remedy}, and gcc"
GIT_IDENTITY = "[user]\n\tname = Ada Example\n\temail = ada@example.org\n"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.environ.get("CI"):
        return
    boundary = choose_boundary(IsolationPolicy.AUTO)
    sandboxed = boundary.isolation is Isolation.BWRAP
    why = {
        "bwrap": None if sandboxed else f"no sandbox here: {boundary.why}",
        "sshd": MISSING,
        "lldb": None if any(map(shutil.which, LLDB.programs)) and shutil.which("cc") else NO_LLDB,
    }
    for item in items:
        for mark, reason in why.items():
            if reason is not None and item.get_closest_marker(mark):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session", autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep every test away from the home and the settings of the person who runs it."""
    home = tmp_path_factory.mktemp("home")
    (home / ".gitconfig").write_text(GIT_IDENTITY)
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith(("DEBUG_MCP_", "GIT_", "XDG_")):
                patch.delenv(name)
        patch.setenv("HOME", str(home))
        # So that sessions find the pytest that runs this.
        patch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
        yield home


@pytest.fixture(autouse=True)
def no_network_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """End the networks of sessions that a test left open, as it may: servers come back to them."""
    folders: list[Path] = []
    if "tmp_path" in request.fixturenames:
        folders.append(request.getfixturevalue("tmp_path"))
    yield
    for folder in folders:
        for pattern in ("sessions/*/network/lock", "*/sessions/*/network/lock"):
            for lock in folder.glob(pattern):
                lock.unlink(missing_ok=True)


@pytest.fixture
def anyio_backend() -> str:
    """Asyncio, because the store is; tests without a store ask for both."""
    return "asyncio"


@pytest.fixture
def upstream(tmp_path: Path) -> Upstream:
    """A repository whose only test fails; ``tests.upstream.FIX`` mends it."""
    repository = Upstream(tmp_path / "calculator")
    repository.commit("Add a calculator", CALCULATOR)
    return repository


@pytest.fixture(
    params=[
        pytest.param(IsolationPolicy.REQUIRE_BWRAP, marks=pytest.mark.bwrap, id="bwrap"),
        pytest.param(IsolationPolicy.NONE, id="none"),
    ]
)
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings of a server with a data directory of its own, at each level of isolation."""
    return Settings(data_dir=tmp_path / "data", isolation=request.param, grace_seconds=1)


@pytest.fixture
async def services(settings: Settings) -> AsyncIterator[Services]:
    """The services of a running server."""
    async with open_services(settings) as services:
        yield services
