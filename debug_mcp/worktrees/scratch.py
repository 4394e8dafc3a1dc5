"""A small tree beside the session's: copies of the files that a patch names, for git to work on.

So git's own rules decide what a patch makes of them, and the session's tree is changed by the
journal alone, all of it or nothing.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from debug_mcp.folders import delete_tree, each_folder
from debug_mcp.worktrees.diffs import Diff
from debug_mcp.worktrees.drafts import Draft
from debug_mcp.worktrees.journal import Content
from debug_mcp.worktrees.paths import relative

_ATTRIBUTES = ".gitattributes"


def lay_out(folder: Path, diff: Diff, draft: Draft) -> None:
    """Copy what a patch names into a new folder, with what git needs to work there.

    Raises:
        InvalidInput: The patch names something that edits do not touch.
    """
    delete_tree(folder)  # what a killed server left
    folder.mkdir(mode=0o700)
    for name in ("objects", "refs"):
        (folder / ".git" / name).mkdir(parents=True)
    (folder / ".git/HEAD").write_text("ref: refs/heads/none\n")
    named = {
        relative(name, (), "patch")
        for file in diff.files
        for name in (file.old, file.new)
        if name is not None
    }
    for path in sorted(named):
        _copy(folder, path, draft[path])
    # They say which line ends git writes.
    above = {str(parent / _ATTRIBUTES) for path in named for parent in PurePosixPath(path).parents}
    for path in sorted(above - named):
        _copy(folder, path, draft[path])


def collect(folder: Path, draft: Draft) -> None:
    """Take what git made of the copies into the draft."""
    there = dict(_files(folder))
    for path in draft:
        draft[path] = there.pop(path, None)
    for path, content in there.items():
        draft[path] = content


def _copy(folder: Path, path: str, content: Content | None) -> None:
    if content is None:
        return
    copy = folder / path
    copy.parent.mkdir(parents=True, exist_ok=True)
    if content.is_link:
        copy.symlink_to(os.fsdecode(content.data))
        return
    copy.write_bytes(content.data)
    if content.mode is not None:
        copy.chmod(content.mode | stat.S_IRUSR | stat.S_IWUSR)


def _files(folder: Path) -> Iterator[tuple[str, Content]]:
    for _, entries in each_folder(folder):
        for entry in entries:
            file = Path(entry.path)
            path = file.relative_to(folder).as_posix()
            if entry.is_dir(follow_symlinks=False) or path.startswith(".git/"):
                continue
            if file.is_symlink():
                yield path, Content(os.fsencode(file.readlink()), is_link=True)
            else:
                yield path, Content(file.read_bytes(), stat.S_IMODE(file.stat().st_mode))
