"""What a caller is shown of a session: where it stands, what is in it, what to do next."""

from pathlib import Path

from debug_mcp.errors import NextCall
from debug_mcp.models.repositories import Repository
from debug_mcp.models.sessions import (
    Isolation,
    PatchView,
    PathsView,
    ProjectView,
    SessionState,
    SessionView,
    UncommittedView,
    WorkSession,
)
from debug_mcp.runner.sandbox import Folders
from debug_mcp.service.trees import Made
from debug_mcp.worktrees.patches import Numbers

FILES_SHOWN = 100

# How a tree says how it is tested: the first name that stands at its root decides.
_TEST_COMMANDS = {
    "pytest.ini": "pytest -q",
    "conftest.py": "pytest -q",
    "tox.ini": "pytest -q",
    "pyproject.toml": "pytest -q",
    "setup.py": "pytest -q",
    "Cargo.toml": "cargo test",
    "go.mod": "go test ./...",
    "package.json": "npm test",
    "Makefile": "make test",
}


def session_view(
    session: WorkSession,
    repository: Repository,
    folders: Folders,
    made: Made,
    reopened: NextCall | None,
) -> SessionView:
    """Return the view of a session; looks into its tree, so call it in a thread.

    Args:
        session: The session.
        repository: Its repository.
        folders: Its folders on the host.
        made: What it has beside its commit, when that is to be told.
        reopened: The call that opens another like it, for one that cannot be worked in.
    """
    tests = _test_command(folders.tree)
    run: NextCall = {
        "tool": "command_run",
        "arguments": {"session_id": session.id, "command": tests or "ls"},
    }
    view = SessionView(
        session_id=session.id,
        name=session.name,
        state=session.state,
        repository=repository.name,
        ref=session.ref,
        commit=session.base,
        uncommitted=_uncommitted_view(made),
        patch=_patch_view(session, made.patch),
        isolation=session.isolation,
        project=ProjectView(tests=tests) if tests else None,
        env=tuple(session.env),
        next=run if session.state is SessionState.READY else reopened,
    )
    if session.isolation is Isolation.NONE:
        paths = PathsView(workspace=str(folders.tree), home=str(folders.home))
        return view.model_copy(update={"workspace": str(folders.tree), "paths": paths})
    return view


def _uncommitted_view(made: Made) -> UncommittedView | None:
    if made.uncommitted is None or not made.uncommitted.numbers.files:
        return None
    numbers = made.uncommitted.numbers
    return UncommittedView(
        files=list(numbers.files[:FILES_SHOWN]),
        more_files=max(len(numbers.files) - FILES_SHOWN, 0) or None,
        lines=numbers.lines,
    )


def _patch_view(session: WorkSession, numbers: Numbers | None) -> PatchView | None:
    if numbers is None or session.patch_digest is None:
        return None
    return PatchView(
        digest=session.patch_digest,
        files=list(numbers.files[:FILES_SHOWN]),
        lines=numbers.lines,
    )


def _test_command(tree: Path) -> str | None:
    """Guess from names alone: what stands in the files is nobody's business yet."""
    try:
        names = {entry.name for entry in tree.iterdir()}
    except OSError:
        return None
    return next((command for name, command in _TEST_COMMANDS.items() if name in names), None)
