"""What a caller is shown of a session: where it stands, what is in it, what to do next."""

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
from debug_mcp.worktrees.project import look_at

FILES_SHOWN = 100


def session_view(
    session: WorkSession,
    repository: Repository,
    folders: Folders,
    made: Made,
    python: str | None,
    reopened: NextCall | None,
) -> SessionView:
    """Return the view of a session; looks into its tree, so call it in a thread.

    Args:
        session: The session.
        repository: Its repository.
        folders: Its folders on the host.
        made: What it has beside its commit, when that is to be told.
        python: The version of Python that commands get, if there is one and it is known.
        reopened: The call that opens another like it, for one that cannot be worked in.
    """
    project = look_at(folders.tree)
    run: NextCall = {
        "tool": "command_run",
        "arguments": {"session_id": session.id, "command": project.tests or "ls"},
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
        project=ProjectView(
            python=python, requires_python=project.requires_python, tests=project.tests
        ),
        env=tuple(session.env),
        expires_at=session.unused_until if session.state is SessionState.READY else None,
        hint=_misfit(python, project.requires_python),
        next=run if session.state is SessionState.READY else reopened,
    )
    return view.model_copy(update=real_paths(session, folders))


def real_paths(session: WorkSession, folders: Folders) -> dict[str, object]:
    """Return what a view says of paths; nothing in the sandbox, where they are always the same."""
    if session.isolation is Isolation.BWRAP:
        return {}
    paths = PathsView(workspace=str(folders.tree), home=str(folders.home))
    return {"workspace": str(folders.tree), "paths": paths}


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


def _misfit(python: str | None, requires: str | None) -> str | None:
    """Return what is to be said when the tree asks for another Python than there is."""
    if python is None or requires is None:
        return None
    # Only where a tree says something.
    from packaging.specifiers import InvalidSpecifier, SpecifierSet  # noqa: PLC0415

    try:
        fits = SpecifierSet(requires).contains(python, prereleases=True)
    except InvalidSpecifier:
        return None
    return None if fits else f"this tree asks for Python {requires}; commands get {python}"
