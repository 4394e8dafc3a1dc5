"""Patches as models and git write them: all of one goes in, or nothing and the place is named."""

from pathlib import Path

import anyio
import pytest

from debug_mcp.errors import Conflict, InvalidInput
from debug_mcp.worktrees import patches
from debug_mcp.worktrees.files import reader
from debug_mcp.worktrees.patches import Numbers
from tests.upstream import FIX, Upstream
from tests.worktrees.conftest import Followed, Tree, open_tree

pytestmark = pytest.mark.anyio


async def apply(tree: Tree, patch: str) -> Numbers:
    """Apply a patch, as opening a session with one does."""
    numbers = await patches.apply(tree.run, patch, reader(tree.path))
    await patches.note_new(tree.run, patch)
    return numbers


async def applied(tree: Tree, patch: str) -> tuple[str, tuple[str, ...], str]:
    """Apply a patch; return what git says is changed, and the numbers."""
    numbers = await apply(tree, patch)
    return await tree.git("diff", "--name-status"), numbers.files, numbers.lines


async def test_a_patch_goes_in_also_without_its_last_newline(tree: Tree) -> None:
    assert await applied(tree, FIX.rstrip("\n")) == (
        "M\tcalculator.py\n", ("calculator.py",), "+1 -1",
    )  # fmt: skip
    assert (tree.path / "calculator.py").read_text() == "def add(a, b):\n    return a + b\n"
    # The other files are as they were, in the index too.
    assert await tree.git("status", "--porcelain") == " M calculator.py\n"


async def test_new_files_are_shown_by_git_diff(tree: Tree) -> None:
    patch = "--- /dev/null\n+++ b/new/file.py\n@@ -0,0 +1,2 @@\n+one\n+two\n"
    assert await applied(tree, patch) == ("A\tnew/file.py\n", ("new/file.py",), "+2 -0")


async def changed(upstream: Upstream, mirror: Followed, tmp_path: Path) -> tuple[Tree, str]:
    """Return a tree at the upstream's commit, and what the person changed since."""
    await mirror.sync()
    tree = await open_tree(mirror, tmp_path / "tree")
    upstream.git("add", "--all")
    # As bytes: a text would lose DOS line ends on the way.
    diff = await anyio.run_process(
        ["git", "diff", "--cached", "--binary", "--find-renames"], cwd=upstream.path
    )
    return tree, diff.stdout.decode()


async def test_what_git_diff_prints_goes_in_whatever_it_is(
    upstream: Upstream, mirror: Followed, tmp_path: Path
) -> None:
    # Binary, mode, rename, deletion, DOS line ends and a file without a last newline.
    (upstream.path / "dos.txt").write_bytes(b"one\r\ntwo\r\n")
    upstream.commit("More", {"run.sh": "#!/bin/sh\n", "old name.txt": "a\nb\nc\nd\n"})
    base = upstream.git("rev-parse", "HEAD")
    (upstream.path / "dos.txt").write_bytes(b"one\r\n2\r\n")
    (upstream.path / "binary").write_bytes(bytes(range(256)))
    (upstream.path / "run.sh").chmod(0o755)
    (upstream.path / "old name.txt").rename(upstream.path / "größe.txt")
    (upstream.path / "pytest.ini").unlink()
    (upstream.path / "unended").write_text("no newline")
    tree, patch = await changed(upstream, mirror, tmp_path)
    assert tree.base == base
    numbers = await apply(tree, patch)
    assert sorted(numbers.files) == [
        "binary", "dos.txt", "größe.txt", "pytest.ini", "run.sh", "unended",
    ]  # fmt: skip
    for path in upstream.path.iterdir():
        if path.is_file():
            assert (tree.path / path.name).read_bytes() == path.read_bytes()
    assert (tree.path / "run.sh").stat().st_mode & 0o111
    assert not (tree.path / "pytest.ini").exists()
    assert not (tree.path / "old name.txt").exists()


async def test_a_patch_that_does_not_apply_names_file_and_line_and_changes_nothing(
    tree: Tree,
) -> None:
    second = "--- a/test_calculator.py\n+++ b/test_calculator.py\n@@ -4,2 +4,2 @@\n"
    second += " def test_add():\n-    assert add(2, 2) == 4\n+    assert add(2, 2) == 5\n"
    with pytest.raises(Conflict) as caught:
        await apply(tree, FIX + second)
    assert caught.value.details == {
        "file": "test_calculator.py",
        "line": 5,
        "expected": "    assert add(2, 2) == 4",
        "found": "    assert add(1, 2) == 3",
    }
    assert "nothing was changed" in caught.value.message
    assert await tree.git("status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("patch", "said"),
    [
        ("--- a/no.py\n+++ b/no.py\n@@ -1 +1 @@\n-a\n+b\n", "no.py does not exist in this tree"),
        (
            "--- /dev/null\n+++ b/calculator.py\n@@ -0,0 +1 @@\n+b\n",
            "calculator.py: already exists in working directory",
        ),
    ],
)
async def test_a_patch_of_another_tree_says_what_is_different(
    tree: Tree, patch: str, said: str
) -> None:
    with pytest.raises(Conflict, match="nothing was changed") as caught:
        await apply(tree, patch)
    assert said in caught.value.message


@pytest.mark.parametrize(
    "patch",
    [
        "", "\n \n", "please mend add()", "```diff\nx\n```", "--- a/calculator.py\n",
        FIX.replace("@@ -1,2 +1,2 @@", "@@ -1,9 +1,9 @@"),
        "diff --git a/x b/x\nindex 1..2 100644\nBinary files a/x and b/x differ\n",
    ],
)  # fmt: skip
async def test_what_is_no_patch_is_told_from_one_that_does_not_fit(tree: Tree, patch: str) -> None:
    with pytest.raises((InvalidInput, Conflict)) as caught:
        await apply(tree, patch)
    assert caught.value.field == "patch"
    assert await tree.git("status", "--porcelain") == ""


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside", ".git/hooks/pre-commit", "l/x"])
async def test_a_patch_cannot_write_out_of_the_tree_or_into_its_git_directory(
    tree: Tree, tmp_path: Path, name: str
) -> None:
    (tree.path / "l").symlink_to(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises((InvalidInput, Conflict), match="nothing was changed") as caught:
        await apply(tree, f"--- /dev/null\n+++ b/{name}\n@@ -0,0 +1 @@\n+x\n")
    assert caught.value.field == "patch"
    assert sorted(tmp_path.rglob("*")) == before
