"""What a commit has that a session has to know of: looked at once, as it never changes."""

from dataclasses import dataclass

from debug_mcp.config import Settings
from debug_mcp.errors import InvalidInput
from debug_mcp.service.limits import size_in_words
from debug_mcp.worktrees.extents import Extent
from debug_mcp.worktrees.mirrors import Mirror

_SUBMODULES = (
    "submodules are empty folders: `git submodule update --init --recursive` in a command with "
    "network: true fetches public ones, and what is changed in them is not exported"
)
_LFS = "files that Git LFS keeps are pointers here: .gitattributes says which"


@dataclass(frozen=True, slots=True)
class _Seen:
    extent: Extent
    submodules: bool
    lfs: bool


class Contents:
    """Says whether a commit may be checked out, and what its tree will lack."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._seen: dict[str, _Seen] = {}

    async def check(self, mirror: Mirror, commit: str) -> tuple[str, ...]:
        """Return what is to be said of a commit's tree.

        A few kilobytes of a repository can name millions of files, or one of a terabyte.

        Raises:
            InvalidInput: It is larger than the settings allow.
        """
        files, size = self._settings.tree_files, self._settings.session_disk_bytes
        if commit not in self._seen:
            extent = await mirror.extent(commit, files or None)
            # Of one that is too large nothing else is asked.
            fits = not files or extent.entries <= files
            parts = await mirror.missing_parts(commit) if fits else (False, False)
            self._seen[commit] = _Seen(extent, *parts)
        seen = self._seen[commit]
        if files and seen.extent.entries > files:
            raise _too_large(commit, f"more than {files} files and folders", "tree_files")
        if size and seen.extent.size > size:
            found = f"{size_in_words(seen.extent.size)} of files, more than {size_in_words(size)}"
            raise _too_large(commit, found, "session_disk_bytes")
        return (*([_SUBMODULES] if seen.submodules else []), *([_LFS] if seen.lfs else []))


def _too_large(commit: str, what: str, setting: str) -> InvalidInput:
    return InvalidInput(
        f"commit {commit[:12]} has {what}, so it is not checked out: name another ref, or let the "
        f"operator raise the setting {setting}",
        field="ref",
    )
