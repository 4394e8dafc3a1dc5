"""Repositories as a caller sees them."""

from collections.abc import Sequence

from debug_mcp.auth.principal import LOCAL, Principal
from debug_mcp.errors import NextCall
from debug_mcp.models.repositories import (
    Head,
    ProgressView,
    Repository,
    RepositoryState,
    RepositoryView,
)
from debug_mcp.worktrees.upstreams import registered

BRANCHES_SHOWN = 20
_WAIT_SECONDS = 50


def row(repository: Repository, principal: Principal) -> RepositoryView:
    """Return what is stored of a repository: its state, its settings, and what went wrong last."""
    head = None
    if repository.head_ref is not None and repository.head_commit is not None:
        head = Head(ref=repository.head_ref, commit=repository.head_commit)
    return RepositoryView(
        repository=repository.name,
        url=repository.url if may_see(principal, repository) else None,
        state=repository.state,
        head=head,
        synced_at=repository.synced_at,
        error=repository.error,
        default_ref=repository.default_ref,
        depth=repository.depth,
        setup=repository.setup,
        artifacts=repository.artifacts,
        # Their names: a value may be a secret.
        env=tuple(repository.env),
    )


def with_branches(view: RepositoryView, branches: Sequence[str]) -> RepositoryView:
    """Return a ready repository's view with its branches, the default one first."""
    default = view.head.ref if view.head else None
    ordered = sorted(branches, key=lambda name: name != default)[:BRANCHES_SHOWN]
    start: NextCall = {"tool": "session_create", "arguments": {"repository": view.repository}}
    return view.model_copy(
        update={
            "branches": tuple(ordered),
            "more_branches": max(len(branches) - len(ordered), 0) or None,
            "next": start,
        }
    )


def with_progress(view: RepositoryView, progress: tuple[int, str] | None) -> RepositoryView:
    """Return the view of a repository that is being cloned or fetched, with how far that is."""
    told = None if progress is None else ProgressView(percent=progress[0], text=progress[1])
    return view.model_copy(update={"progress": told})


def again(repository: Repository) -> NextCall:
    """Return the call that waits for a clone, or tries one that failed again."""
    arguments: dict[str, object] = {"url": repository.url, "name": repository.name}
    if repository.state is RepositoryState.CLONING:
        arguments["wait_seconds"] = _WAIT_SECONDS
    return {"tool": "repository_init", "arguments": arguments}


def may_see(principal: Principal, repository: Repository) -> bool:
    """Return whether a URL may be shown: a path of this machine is the person's to know."""
    return principal.name == LOCAL.name or not registered(repository.url).is_local
