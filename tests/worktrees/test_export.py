"""Work on its way out: everything that is not ignored, whatever state a command left git in."""

from pathlib import Path

import anyio
import pytest

from debug_mcp.worktrees import checkouts, export, patches
from debug_mcp.worktrees.files import reader
from debug_mcp.worktrees.git import GitCall
from tests.worktrees.conftest import Tree

pytestmark = pytest.mark.anyio


async def exported(tree: Tree) -> list[str]:
    """Commit everything; return status and path of what the session changed."""
    await export.commit_everything(tree.run, "Work")
    assert await tree.git("status", "--porcelain") == ""
    changes = await tree.git("diff", "--name-status", "--no-renames", "-z", tree.base, "HEAD")
    parts = changes.split("\0")[:-1]
    return [f"{status} {path}" for status, path in zip(parts[::2], parts[1::2], strict=True)]


async def test_a_tree_without_changes_has_no_work(tree: Tree) -> None:
    assert await export.commit_everything(tree.run, "Work") == []
    assert await export.head(tree.run) == tree.base
    assert not await export.has_commits(tree.run, tree.base)


async def test_new_changed_deleted_renamed_and_staged_files_go_out_and_ignored_ones_do_not(
    tree: Tree,
) -> None:
    tree.write("new folder/new\nfile", "x")
    tree.write("-option", "x")
    tree.write(":(glob)*", "x")
    tree.write("calculator.py", "changed\n")
    (tree.path / "pytest.ini").unlink()
    (tree.path / "test_calculator.py").rename(tree.path / "test_sums.py")
    tree.write("staged", "x")
    await tree.git("add", "staged")
    for ignored in ("build/x", "__pycache__/x.pyc", ".venv/x"):
        tree.write(ignored, "x")
    assert sorted(await exported(tree)) == [
        "A -option", "A :(glob)*", "A new folder/new\nfile", "A staged", "A test_sums.py",
        "D pytest.ini", "D test_calculator.py", "M calculator.py",
    ]  # fmt: skip


async def test_files_and_folders_may_change_places(tree: Tree) -> None:
    tree.write("folder/file", "x")
    await tree.git("add", "--all")
    await tree.git("commit", "--quiet", "--message=A folder")
    (tree.path / "folder/file").unlink()
    (tree.path / "folder").rmdir()
    tree.write("folder", "now a file")
    (tree.path / "pytest.ini").unlink()
    tree.write("pytest.ini/inside", "now a folder")
    (tree.path / "test_calculator.py").unlink()
    (tree.path / "test_calculator.py").mkdir()
    (tree.path / "calculator.py").unlink()
    (tree.path / "calculator.py").symlink_to("pytest.ini/inside")
    assert await exported(tree) == [
        "T calculator.py", "A folder", "D pytest.ini", "A pytest.ini/inside",
        "D test_calculator.py",
    ]  # fmt: skip


async def test_a_file_that_a_patch_made_goes_out(tree: Tree) -> None:
    patch = "--- /dev/null\n+++ b/new\n@@ -0,0 +1 @@\n+x\n"
    await patches.apply(tree.run, patch, reader(tree.path))
    await patches.note_new(tree.run, patch)
    assert await exported(tree) == ["A new"]


async def test_a_repository_inside_of_the_tree_stays_out_and_is_named(tree: Tree) -> None:
    tree.write("vendored/file", "x")
    tree.write("work", "x")
    # Without a commit of its own: `git add` fails on it.
    await anyio.run_process(["git", "init", "--quiet", "vendored"], cwd=tree.path)
    assert await export.commit_everything(tree.run, "Work") == ["vendored/"]
    assert await tree.git("diff", "--name-only", tree.base, "HEAD") == "work\n"


async def test_work_on_an_older_commit_or_on_none_goes_out(tree: Tree, tmp_path: Path) -> None:
    tree.write("one", "1")
    await exported(tree)
    await tree.git("checkout", "--quiet", "--detach", tree.base)
    assert not await export.has_commits(tree.run, tree.base)
    tree.write("two", "2")
    assert await exported(tree) == ["A two"]
    await tree.git("checkout", "--quiet", "--orphan", "fresh")
    tree.write("three", "3")
    assert await exported(tree) == ["A three", "A two"]
    with (tmp_path / "bundle").open("w+b") as bundle:
        await export.bundle(tree.run, tree.base, bundle.fileno())
        bundle.seek(0)
        assert bundle.read().startswith(b"# v2 git bundle\n")


async def test_an_unfinished_merge_goes_out_as_it_stands(tree: Tree) -> None:
    for branch in ("one", "two"):
        await tree.git("checkout", "--quiet", "-B", branch, tree.base)
        tree.write("calculator.py", branch)
        await exported(tree)
    assert (await tree.run(GitCall(("merge", "one")))).exit_code == 1
    assert await exported(tree) == ["M calculator.py"]
    assert "<<<<<<<" in (tree.path / "calculator.py").read_text()


async def test_a_bundle_and_a_patch_hold_binary_files_whole(tree: Tree, tmp_path: Path) -> None:
    content = bytes(range(256)) * 10
    tree.write("binary", content)
    await exported(tree)
    with (tmp_path / "patch").open("wb") as file:
        await export.patch(tree.run, tree.base, file.fileno())
    await tree.git("checkout", "--quiet", tree.base)
    await tree.git("-C", str(tree.path), "apply", str(tmp_path / "patch"))
    assert (tree.path / "binary").read_bytes() == content


@pytest.mark.parametrize("damage", ["HEAD", "config", "index", "objects/info/alternates"])
async def test_a_broken_git_directory_is_told_from_a_sound_one(tree: Tree, damage: str) -> None:
    assert await export.is_sound(tree.run, tree.base)
    (tree.path / ".git" / damage).write_text("[broken\n")
    assert not await export.is_sound(tree.run, tree.base)


async def test_the_index_of_a_new_git_directory_knows_the_files_that_are_there(tree: Tree) -> None:
    (tree.path / ".git/index").unlink()
    await checkouts.note_files(tree.run)
    assert await tree.git("status", "--porcelain") == ""
