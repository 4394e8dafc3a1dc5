"""Python in a session: its own environment, on top of the person's."""

from pathlib import Path

import pytest

from debug_mcp.config import Settings
from tests.clients import WAYS, Agent, run
from tests.upstream import Upstream
from tests.wheels import make_wheel

pytestmark = pytest.mark.anyio

GREETER = "def main():\n    print('hello from a wheel')\n\ndef answer():\n    return 42\n"
TESTS = "import greeter\n\n\ndef test_answer():\n    assert greeter.answer() == 42\n"


@pytest.fixture
def upstream(tmp_path: Path) -> Upstream:
    repository = Upstream(tmp_path / "project")
    repository.commit("Add a test of what is not installed", {"test_answer.py": TESTS})
    return repository


@pytest.fixture
def way() -> str:
    """One way is enough where the story is of what commands find."""
    return "memory-modern"


@pytest.fixture
async def session(agent: Agent, settings: Settings, upstream: Upstream) -> str:
    view = await agent.call("session_create", repository=str(upstream.path))
    session: str = view["session_id"]
    tree = settings.data_dir / "sessions" / session / "tree"
    make_wheel(tree, "greeter", GREETER, "greet")
    return session


@pytest.mark.parametrize("way", WAYS)
async def test_what_is_installed_is_there_for_tests_and_as_a_program(
    agent: Agent, session: str
) -> None:
    output = await run(
        agent, session, "pip install --no-index -q ./greeter-1.0-py3-none-any.whl && pytest -q"
    )
    assert "1 passed" in output
    assert await run(agent, session, "greet") == "hello from a wheel\n"


async def test_python_pip_and_pytest_are_of_one_environment(agent: Agent, session: str) -> None:
    shown = await run(
        agent,
        session,
        'python -c "import sys; print(sys.prefix)"; python3 -c "import sys; print(sys.prefix)"; '
        "echo $VIRTUAL_ENV; echo $UV_PROJECT_ENVIRONMENT; echo $HOME/venv",
    )
    assert len(set(shown.split())) == 1
    assert await run(agent, session, "command -v python") == f"{shown.split()[0]}/bin/python\n"
    code = "import sys, pytest; print(sys.prefix, pytest.__version__)"
    [prefix, version] = (await run(agent, session, f'python -c "{code}"')).split()
    assert prefix == shown.split()[0]
    assert version in await run(agent, session, "pytest --version 2>&1")


async def test_what_one_session_installs_no_other_sees(
    agent: Agent, session: str, upstream: Upstream
) -> None:
    await run(agent, session, "pip install --no-index -q ./greeter-1.0-py3-none-any.whl")
    other = await agent.call("session_create", repository=str(upstream.path))
    view = await agent.call(
        "command_run", session_id=other["session_id"], command=["python", "-c", "import greeter"]
    )
    assert view["outcome"] == "failed"


async def test_an_environment_that_a_command_removed_or_replaced_stays_so(
    agent: Agent, session: str, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    await run(agent, session, f"rm -r ~/venv && ln -s {outside} ~/venv")
    assert "venv" in await run(agent, session, "ls -l ~; command -v python3")
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("way", WAYS)
async def test_a_session_says_which_python_it_has_and_when_the_tree_asks_for_another(
    agent: Agent, upstream: Upstream
) -> None:
    first = await agent.call("session_create", repository=str(upstream.path))
    version = (await run(agent, first["session_id"], "python -V")).split()[1]
    assert first["project"] == {"python": version, "tests": "pytest -q"}
    assert "asks for Python" not in first.get("hint", "")
    for requires, fits in ((">=3.8", True), (">=99", False), ("nonsense", True)):
        upstream.commit("Ask", {"pyproject.toml": f"[project]\nrequires-python = '{requires}'\n"})
        view = await agent.call("session_create", repository=str(upstream.path))
        assert view["project"]["requires_python"] == requires
        said = f"this tree asks for Python {requires}; commands get {version}"
        assert (said in view.get("hint", "")) is not fits
