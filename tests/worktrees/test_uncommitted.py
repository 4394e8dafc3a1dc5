"""A person's uncommitted work is taken as it is, and nothing of theirs is written or run."""

import os
import stat
from pathlib import Path

import pytest

from debug_mcp.errors import InvalidInput, ToolFailed
from debug_mcp.models.sessions import Isolation
from debug_mcp.runner.capture import Captured, capture
from debug_mcp.runner.sandbox import Confined
from debug_mcp.worktrees import uncommitted
from debug_mcp.worktrees.git import GitCall, service_environment
from debug_mcp.worktrees.uncommitted import Changes, Glass, Person
from tests.upstream import Upstream, everything
from tests.worktrees.conftest import Followed, Tree, host_git, open_tree

pytestmark = pytest.mark.anyio


async def nobodys_git(call: GitCall) -> Captured:
    """Run git with nobody's configuration."""
    environment = service_environment(os.environ["PATH"])
    return await capture(
        Confined("git", tuple(call.command), environment, "/", Isolation.NONE), call.stdin
    )


async def person_of(upstream: Upstream, ignore: Path = Path("/nonexistent")) -> Person:
    return await uncommitted.locate(host_git, str(upstream.path), ignore)


async def transfer(upstream: Upstream, mirror: Followed, tree: Tree, folder: Path) -> Changes:
    """Bring the uncommitted work of an upstream into a tree; return what was found."""
    glass = Glass(folder, await person_of(upstream), nobodys_git, mirror.objects)
    glass.lay_out()
    found = await glass.look()
    await uncommitted.put(
        tree.run, tree.base, await glass.take(found, tree.path / ".git/objects/pack")
    )
    return found


def files(path: Path) -> dict[str, tuple[int, bytes]]:
    """Return mode and content of every file of a checkout."""
    return {
        name: (mode, content)
        for name, (mode, _, content) in everything(path).items()
        if not name.startswith(".git/") and not stat.S_ISDIR(mode)
    }


async def test_every_kind_of_change_arrives_and_nothing_of_the_persons_is_touched(
    upstream: Upstream, mirror: Followed, tree: Tree, tmp_path: Path
) -> None:
    there = upstream.path
    (there / "calculator.py").write_text("staged\n")
    upstream.git("add", "calculator.py")
    (there / "calculator.py").write_text("staged, then changed\n")
    (there / "staged.txt").write_text("new and staged\n")
    upstream.git("add", "staged.txt")
    upstream.git("mv", "test_calculator.py", "test_renamed.py")
    (there / "pytest.ini").unlink()
    (there / ".gitignore").chmod(0o755)
    (there / "folder").mkdir()
    (there / "folder/größe\nx").write_bytes(b"\0\xff untracked\n")
    (there / "link").symlink_to("calculator.py")
    (there / "build").mkdir()
    (there / "build/ignored").write_text("")
    (there / ".git/info/exclude").write_text("secret\n")
    (there / "secret").write_text("")
    before = everything(there)

    found = await transfer(upstream, mirror, tree, tmp_path / "glass")

    assert everything(there) == before
    expected = files(there)
    del expected["build/ignored"], expected["secret"]
    assert files(tree.path) == expected
    assert found.count == 8
    status = await tree.git("status", "--porcelain", "--no-renames", "-z")
    assert set(status.split("\0")) == {
        " M .gitignore", " M calculator.py", " D pytest.ini", " D test_calculator.py",
        " A folder/größe\nx", " A link", " A staged.txt", " A test_renamed.py", "",
    }  # fmt: skip
    assert await tree.git("rev-parse", "HEAD") == f"{tree.base}\n"
    await tree.git("fsck", "--strict", "--no-progress")


async def test_what_was_a_folder_may_be_a_file_and_the_other_way_round(
    upstream: Upstream, mirror: Followed, tmp_path: Path
) -> None:
    upstream.commit("Folders", {"a/x": "1", "a/y": "2", "b": "3"})
    await mirror.sync()
    tree = await open_tree(mirror, tmp_path / "tree")
    for name in ("a/x", "a/y", "b"):
        (upstream.path / name).unlink()
    (upstream.path / "a").rmdir()
    (upstream.path / "a").symlink_to("pytest.ini")
    (upstream.path / "b").mkdir()
    (upstream.path / "b/z").write_text("4")
    await transfer(upstream, mirror, tree, tmp_path / "glass")
    assert files(tree.path) == files(upstream.path)
    await tree.git("diff", "--quiet", "--", "pytest.ini")


async def test_a_file_staged_and_gone_again_is_gone(
    upstream: Upstream, mirror: Followed, tree: Tree, tmp_path: Path
) -> None:
    (upstream.path / "new").write_text("")
    upstream.git("add", "new")
    (upstream.path / "new").unlink()
    await transfer(upstream, mirror, tree, tmp_path / "glass")
    assert not (tree.path / "new").exists()


async def test_no_program_of_the_persons_runs(
    upstream: Upstream, mirror: Followed, tree: Tree, tmp_path: Path, own_home: Path
) -> None:
    ran = tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho $0 $@ >> {ran}\ncat\n")
    program.chmod(0o755)
    for key in ("filter.mine.clean", "filter.mine.smudge", "core.fsmonitor", "diff.external",
                "diff.mine.textconv"):  # fmt: skip
        upstream.git("config", key, str(program))
    upstream.git("config", "filter.mine.required", "true")
    for hook in ("post-index-change", "post-checkout", "pre-commit", "reference-transaction"):
        (upstream.path / ".git/hooks" / hook).write_text(program.read_text())
        (upstream.path / ".git/hooks" / hook).chmod(0o755)
    (upstream.path / ".gitattributes").write_text("*.py filter=mine diff=mine\n")
    (upstream.path / "calculator.py").write_text("changed\n")
    glass = Glass(tmp_path / "glass", await person_of(upstream), nobodys_git, mirror.objects)
    glass.lay_out()
    found = await glass.look()
    taken = await glass.take(found, tree.path / ".git/objects/pack")
    assert await glass.filtered(found) == ["calculator.py"]
    assert (await glass.numbers(taken)).files == (".gitattributes", "calculator.py")
    assert not ran.exists()


async def test_line_ends_and_ignored_files_are_as_the_person_has_set_them(
    upstream: Upstream, mirror: Followed, tree: Tree, tmp_path: Path
) -> None:
    upstream.git("config", "core.autocrlf", "true")
    (upstream.path / "calculator.py").write_bytes(b"x = 1\r\n")
    ignore = tmp_path / "ignore"
    ignore.write_text("*.swp\n")
    (upstream.path / "x.swp").write_text("")
    glass = Glass(
        tmp_path / "glass", await person_of(upstream, ignore), nobodys_git, mirror.objects
    )
    glass.lay_out()
    found = await glass.look()
    assert found.shown == ["calculator.py"]
    taken = await glass.take(found, tree.path / ".git/objects/pack")
    await uncommitted.put(tree.run, tree.base, taken)
    assert (tree.path / "calculator.py").read_bytes() == b"x = 1\n"
    upstream.git("config", "core.excludesFile", "/nonexistent/other")
    glass = Glass(
        tmp_path / "second", await person_of(upstream, ignore), nobodys_git, mirror.objects
    )
    glass.lay_out()
    assert (await glass.look()).shown == ["calculator.py", "x.swp"]


async def test_repositories_inside_and_submodules_stay_out(
    upstream: Upstream, mirror: Followed, tree: Tree, tmp_path: Path
) -> None:
    Upstream(upstream.path / "nested").commit("First", {"x": ""})
    other = Upstream(tmp_path / "other")
    other.commit("First", {"x": ""})
    upstream.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(other.path), "m")
    upstream.git("commit", "-q", "--message=Submodule")
    at(upstream.path / "m").git("commit", "-q", "--allow-empty", "--message=Moved")
    (upstream.path / "m/x").write_text("changed\n")
    glass = Glass(tmp_path / "glass", await person_of(upstream), nobodys_git, mirror.objects)
    glass.lay_out()
    found = await glass.look()
    assert (found.count, found.nested, found.submodules) == (0, ["nested/"], ["m"])


def at(path: Path) -> Upstream:
    """Return a repository that is there already."""
    upstream = Upstream.__new__(Upstream)
    upstream.path = path
    return upstream


async def test_a_merge_that_is_not_finished_is_taken_with_its_marks(
    upstream: Upstream, mirror: Followed, tree: Tree, tmp_path: Path
) -> None:
    upstream.git("switch", "-q", "-c", "other")
    upstream.commit("Theirs", {"calculator.py": "theirs\n"})
    upstream.git("switch", "-q", "main")
    upstream.commit("Ours", {"calculator.py": "ours\n"})
    with pytest.raises(Exception, match="merge"):
        upstream.git("merge", "-q", "other")
    glass = Glass(tmp_path / "glass", await person_of(upstream), nobodys_git, mirror.objects)
    glass.lay_out()
    found = await glass.look()
    assert found.unmerged == ["calculator.py"]
    taken = await glass.take(found, tree.path / ".git/objects/pack")
    content = await tree.git("show", f"{taken}:calculator.py")
    assert content.startswith("<<<<<<<")


async def test_a_linked_worktree_has_work_of_its_own(
    upstream: Upstream, mirror: Followed, tree: Tree, tmp_path: Path
) -> None:
    upstream.git("worktree", "add", "-q", "--detach", str(tmp_path / "linked"))
    linked = at(tmp_path / "linked")
    (linked.path / "calculator.py").write_text("linked\n")
    (upstream.path / "pytest.ini").write_text("not here\n")
    linked.git("update-index", "--split-index")
    found = await transfer(linked, mirror, tree, tmp_path / "glass")
    assert found.shown == ["calculator.py"]
    assert (tree.path / "calculator.py").read_text() == "linked\n"


async def test_a_checkout_without_an_index_is_read_as_it_is(
    upstream: Upstream, mirror: Followed, tree: Tree, tmp_path: Path
) -> None:
    (upstream.path / ".git/index").unlink()
    await transfer(upstream, mirror, tree, tmp_path / "glass")
    assert await tree.git("status", "--porcelain") == ""


async def test_a_change_that_left_size_and_time_alone_is_seen(
    upstream: Upstream, mirror: Followed, tmp_path: Path
) -> None:
    file, index = upstream.path / "calculator.py", upstream.path / ".git/index"
    upstream.git("config", "core.trustctime", "false")
    content = file.read_text()
    stamp = file.stat().st_mtime_ns
    file.write_text(content.replace("-", "+"))
    for changed in (file, index):
        os.utime(changed, ns=(stamp, stamp))
    glass = Glass(tmp_path / "glass", await person_of(upstream), nobodys_git, mirror.objects)
    glass.lay_out()
    assert (await glass.look()).shown == ["calculator.py"]


async def test_what_is_too_large_is_refused_with_its_name(
    upstream: Upstream, tmp_path: Path
) -> None:
    with (upstream.path / "data").open("wb") as file:
        file.truncate(uncommitted.LIMIT_BYTES + 1)
    person = await person_of(upstream)
    found = Changes(written=[b"data", b"gone"])
    with pytest.raises(InvalidInput, match="the largest: data"):
        uncommitted.check_size(person, found)


async def test_a_bare_repository_has_none(upstream: Upstream, tmp_path: Path) -> None:
    upstream.git("clone", "-q", "--bare", ".", str(tmp_path / "bare"))
    with pytest.raises(ToolFailed, match="work tree"):
        await person_of(at(tmp_path / "bare"))
