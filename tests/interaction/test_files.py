"""Reading and editing the files of a session: what an agent does all day, in every way in."""

import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from debug_mcp.config import Settings
from tests.clients import WAYS, Agent, connect, run
from tests.upstream import FIX, Upstream

pytestmark = pytest.mark.anyio

MEND = [{"path": "calculator.py", "old": "a - b", "new": "a + b"}]


@pytest.fixture
async def agent(settings: Settings) -> AsyncIterator[Agent]:
    async with connect("memory-modern", settings) as agent:
        yield agent


@pytest.fixture
async def session(agent: Agent, upstream: Upstream) -> str:
    view = await agent.call("session_create", repository=str(upstream.path))
    session: str = view["session_id"]
    return session


@pytest.fixture
def tree(settings: Settings, session: str) -> Path:
    return settings.data_dir / "sessions" / session / "tree"


@pytest.mark.parametrize("way", WAYS)
async def test_a_file_is_read_mended_and_tested_without_a_shell(
    way: str, settings: Settings, upstream: Upstream
) -> None:
    async with connect(way, settings) as agent:
        session = (await agent.call("session_create", repository=str(upstream.path)))["session_id"]
        listing = await agent.call("file_read", session_id=session)
        assert [entry["name"] for entry in listing["entries"]] == [
            ".git", ".gitignore", "calculator.py", "pytest.ini", "test_calculator.py",
        ]  # fmt: skip
        assert listing["entries"][2] == {"name": "calculator.py", "kind": "file", "size": 32}
        read = await agent.call("file_read", session_id=session, path="calculator.py")
        assert read == {
            "path": "calculator.py",
            "kind": "file",
            "start": 1,
            "end": 2,
            "total": 2,
            "text": "1  def add(a, b):\n2      return a - b\n",
        }
        edits = [*MEND, {"path": "new/place/notes.md", "content": "Mended.\n"}]
        assert await agent.call("file_edit", session_id=session, edits=edits) == {
            "changed": [
                {"path": "calculator.py", "change": "modified", "lines": "+1 -1"},
                {"path": "new/place/notes.md", "change": "added", "lines": "+1 -0"},
            ]
        }
        await run(agent, session, "pytest -q")
        assert await run(agent, session, "git status --porcelain") == " M calculator.py\n?? new/\n"


@pytest.mark.parametrize("way", WAYS)
async def test_edits_are_made_all_or_none_and_the_error_says_what_to_do(
    way: str, settings: Settings, upstream: Upstream
) -> None:
    async with connect(way, settings) as agent:
        session = (await agent.call("session_create", repository=str(upstream.path)))["session_id"]
        wrong = [*MEND, {"path": "test_calculator.py", "old": "assert add(2, 2)", "new": "x"}]
        refused = await agent.refused("file_edit", session_id=session, edits=wrong)
        assert refused["error"] == {
            "code": "conflict",
            "message": (
                "old does not occur in test_calculator.py: the nearest line is line 5; nothing was "
                "changed"
            ),
            "field": "edits",
            "file": "test_calculator.py",
            "line": 5,
            "expected": "assert add(2, 2)",
            "found": "    assert add(1, 2) == 3",
        }
        patch = FIX.replace("return a - b", "return a * b")
        refused = await agent.refused("file_edit", session_id=session, patch=patch)
        assert refused["error"] == {
            "code": "conflict",
            "message": "hunk 1 of calculator.py does not apply at line 2; nothing was changed",
            "field": "patch",
            "file": "calculator.py",
            "line": 2,
            "expected": "    return a * b",
            "found": "    return a - b",
        }
        assert await run(agent, session, "git status --porcelain") == ""
        changed = await agent.call("file_edit", session_id=session, patch=FIX)
        assert changed["changed"] == [
            {"path": "calculator.py", "change": "modified", "lines": "+1 -1"}
        ]
        await run(agent, session, "pytest -q")


async def test_a_long_file_is_read_in_parts_that_join_without_a_gap(
    agent: Agent, session: str, tree: Path
) -> None:
    lines = [f"line {number} of many" for number in range(1, 2001)]
    (tree / "long.txt").write_text("\n".join(lines) + "\n")
    view = await agent.call("file_read", session_id=session, path="long.txt")
    assert len(view["text"]) < 8000
    got = view["text"]
    while "next" in view:
        view = await agent.follow(view)
        got += view["text"]
    assert [line.lstrip().split("  ", 1)[1] for line in got.splitlines()] == lines
    asked = await agent.call("file_read", session_id=session, path="long.txt", start=5, end=900)
    assert (asked["start"], asked["end"], asked["total"]) == (5, 900, 2000)
    assert "next" not in asked
    whole = await agent.call("file_read", session_id=session, path="long.txt", end=2000)
    assert len(whole["text"]) < 50_000
    rest = await agent.follow(whole)
    assert rest["start"] == whole["end"] + 1
    refused = await agent.refused("file_read", session_id=session, path="long.txt", start=9000)
    assert refused["error"]["message"] == "long.txt has 2000 lines; start is 9000"
    assert (await agent.follow(refused))["end"] == 2000


async def test_a_folder_of_many_files_is_listed_in_parts(
    agent: Agent, session: str, tree: Path
) -> None:
    (tree / "many").mkdir()
    names = [f"file-{number:04}.txt" for number in range(700)]
    for name in names:
        (tree / "many" / name).touch()
    view = await agent.call("file_read", session_id=session, path="many/")
    assert view["total"] == 700
    got = view["entries"]
    while "next" in view:
        view = await agent.follow(view)
        got += view["entries"]
    assert [entry["name"] for entry in got] == names
    refused = await agent.refused("file_read", session_id=session, path="many", start=701)
    assert refused["error"]["message"] == "many has 700 entries; start is 701"


@pytest.mark.parametrize(
    ("path", "candidate"),
    [
        ("utils.py", "src/package/utils.py"),
        ("src/utils.py", "src/package/utils.py"),
        ("src/package/utlis.py", "src/package/utils.py"),
        ("calculator.py/x", None),
    ],
)
async def test_a_path_that_is_not_there_is_answered_with_what_was_meant(
    agent: Agent, session: str, tree: Path, path: str, candidate: str | None
) -> None:
    (tree / "src/package").mkdir(parents=True)
    (tree / "src/package/utils.py").write_text("x = 1\n")
    edits = [{"path": path, "old": "x", "new": "y"}]
    for refused in (
        await agent.refused("file_read", session_id=session, path=path),
        await agent.refused("file_edit", session_id=session, edits=edits),
    ):
        assert refused["error"]["code"] == "not_found"
        if candidate:
            assert refused["error"]["candidates"][0] == candidate


@pytest.mark.parametrize(
    "path", ["../outside", "/etc/passwd", "~/x", "a/../../x", "link/x", "link", "\0", "pipe"]
)
async def test_no_path_leads_out_of_the_tree(
    agent: Agent, session: str, tree: Path, tmp_path: Path, path: str
) -> None:
    (tree / "link").symlink_to(tmp_path)
    os.mkfifo(tree / "pipe")
    before = sorted(tmp_path.glob("*"))
    for edit in ({"content": "x"}, {"old": "x", "new": "y"}, {"delete": True}):
        refused = await agent.refused(
            "file_edit", session_id=session, edits=[{"path": path, **edit}]
        )
        assert refused["error"]["code"] == "invalid_input"
    if path != "pipe":
        refused = await agent.refused("file_read", session_id=session, path=path)
        assert refused["error"]["code"] == "invalid_input"
    patch = f"--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+x\n"
    refused = await agent.refused("file_edit", session_id=session, patch=patch)
    assert refused["error"]["code"] == ("conflict" if path == "link" else "invalid_input")
    assert sorted(tmp_path.glob("*")) == before


@pytest.mark.parametrize("path", [".git/config", "sub/.git/hooks/x", ".GIT/config", "git~1/x"])
async def test_a_git_directory_is_not_edited(agent: Agent, session: str, path: str) -> None:
    edits = [{"path": path, "content": "x"}]
    refused = await agent.refused("file_edit", session_id=session, edits=edits)
    assert "git directory" in refused["error"]["message"]
    patch = f"--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+x\n"
    refused = await agent.refused("file_edit", session_id=session, patch=patch)
    assert refused["error"]["code"] == "invalid_input"


async def test_a_link_is_answered_with_the_file_behind_it(
    agent: Agent, session: str, tree: Path
) -> None:
    (tree / "sub").mkdir()
    (tree / "sub/link").symlink_to("../calculator.py")
    refused = await agent.refused("file_read", session_id=session, path="sub/link")
    assert refused["error"]["candidates"] == ["calculator.py"]
    listed = await agent.call("file_read", session_id=session, path="sub")
    assert listed["entries"] == [{"name": "link", "kind": "link", "target": "../calculator.py"}]


async def test_the_place_of_the_tree_may_stand_before_a_path(agent: Agent, session: str) -> None:
    view = await agent.call("file_read", session_id=session, path="/workspace/calculator.py")
    assert view["path"] == "calculator.py"
    refused = await agent.refused("file_read", session_id=session, path="/workspaces/calculator.py")
    assert refused["error"]["code"] == "invalid_input"


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ({"old": "x"}, "old and new together"),
        ({"new": "x"}, "old and new together"),
        ({}, "needs one of"),
        ({"content": "x", "delete": True}, "needs one of"),
        ({"old": "", "new": "x"}, "at least 1 character"),
    ],
)
async def test_an_edit_says_one_thing(
    agent: Agent, session: str, edit: dict[str, Any], said: str
) -> None:
    edits = [{"path": "calculator.py", **edit}]
    refused = await agent.refused("file_edit", session_id=session, edits=edits)
    assert refused["error"]["code"] == "invalid_input"
    assert said in refused["error"]["message"]


async def test_edits_and_a_patch_do_not_come_together(agent: Agent, session: str) -> None:
    for arguments in ({}, {"edits": MEND, "patch": FIX}):
        refused = await agent.refused("file_edit", session_id=session, **arguments)
        assert "arguments need edits or patch" in refused["error"]["message"]


async def test_a_text_that_stands_more_than_once_is_not_guessed_at(
    agent: Agent, session: str, tree: Path
) -> None:
    (tree / "twice").write_text("x = 1\ny\nx = 1\n")
    edits = [{"path": "twice", "old": "x = 1", "new": "x = 2"}]
    refused = await agent.refused("file_edit", session_id=session, edits=edits)
    assert "occurs 2 times in twice, at lines 1, 3;" in refused["error"]["message"]
    edits = [{"path": "twice", "old": "y\nx = 1", "new": "y\nx = 2"}]
    await agent.call("file_edit", session_id=session, edits=edits)
    assert (tree / "twice").read_text() == "x = 1\ny\nx = 2\n"


async def test_edits_of_one_file_build_on_one_another(agent: Agent, session: str) -> None:
    edits = [
        {"path": "one", "content": "a\n"},
        {"path": "one", "old": "a", "new": "b"},
        {"path": "one", "old": "b", "new": "c"},
        {"path": "calculator.py", "delete": True},
        {"path": "calculator.py", "content": "def add(a, b):\n    return a + b\n"},
    ]
    view = await agent.call("file_edit", session_id=session, edits=edits)
    assert view["changed"] == [
        {"path": "one", "change": "added", "lines": "+1 -0"},
        {"path": "calculator.py", "change": "modified", "lines": "+1 -1"},
    ]
    again = await agent.call("file_edit", session_id=session, edits=edits[3:])
    assert again == {"hint": "nothing to change: the files are like that already"}


async def test_an_edit_does_not_wait_for_a_command_that_runs(agent: Agent, session: str) -> None:
    waits = "until grep -q 'a + b' calculator.py; do sleep 0.01; done; echo seen"
    running = await agent.call("command_run", session_id=session, command=waits, wait_seconds=0)
    await agent.call("file_edit", session_id=session, edits=MEND)
    ended = await agent.call("command_wait", command_id=running["command_id"])
    assert ended["output"]["text"] == "seen\n"


async def test_a_closed_session_has_no_files(agent: Agent, session: str) -> None:
    await agent.call("file_edit", session_id=session, edits=MEND)
    closed = await agent.call("session_close", session_id=session)
    assert closed["exported"]["files"] == ["calculator.py"]
    for tool, arguments in (("file_read", {}), ("file_edit", {"edits": MEND})):
        refused = await agent.refused(tool, session_id=session, **arguments)
        assert refused["error"]["code"] == "conflict"


async def test_a_patch_with_everything_that_git_can_say_goes_in(
    agent: Agent, upstream: Upstream, settings: Settings
) -> None:
    upstream.commit("More", {"run.sh": "#!/bin/sh\n", "old name": "a\nb\nc\n", "gone/x": "x\n"})
    (upstream.path / "link").symlink_to("run.sh")
    upstream.git("add", "--all")
    upstream.git("commit", "--quiet", "--message=Link")
    view = await agent.call("session_create", repository=str(upstream.path))
    session = view["session_id"]
    (upstream.path / "run.sh").chmod(0o755)
    (upstream.path / "old name").rename(upstream.path / "größe")
    (upstream.path / "binary").write_bytes(bytes(range(256)))
    (upstream.path / "gone/x").unlink()
    (upstream.path / "unended").write_text("no newline")
    (upstream.path / "link").unlink()
    (upstream.path / "link").symlink_to("größe")
    upstream.git("add", "--all")
    command = ["git", "diff", "--cached", "--binary", "-M"]
    diff = await anyio.run_process(command, cwd=upstream.path)
    changed = await agent.call("file_edit", session_id=session, patch=diff.stdout.decode())
    assert {file["path"]: file["change"] for file in changed["changed"]} == {
        "binary": "added", "gone/x": "deleted", "größe": "added", "link": "modified",
        "old name": "deleted", "run.sh": "modified", "unended": "added",
    }  # fmt: skip
    upstream.git("commit", "--quiet", "--message=All of it")
    tree = settings.data_dir / "sessions" / session / "tree"
    assert not (tree / "gone").exists()
    await run(agent, session, "git add --all && git commit -qm x")
    ours = await run(agent, session, "git rev-parse HEAD^{tree}")
    assert ours.strip() == upstream.git("rev-parse", "HEAD^{tree}")


# A server that dies at one of an edit's renames: the first one decides, the others follow it.
_DYING = """
import os, signal, sys
import debug_mcp.worktrees.journal as journal
rename, left = os.rename, int(sys.argv.pop(1))
def dying(*args, **kwargs):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    rename(*args, **kwargs)
journal.os.rename = dying
from debug_mcp.cli import main
main()
"""


@pytest.mark.parametrize("renames", [1, 2, 3])
async def test_an_edit_that_a_kill_cuts_in_two_is_finished_by_the_next_server(
    settings: Settings, upstream: Upstream, renames: int
) -> None:
    async with connect("memory-modern", settings) as agent:
        session = (await agent.call("session_create", repository=str(upstream.path)))["session_id"]
    edits = [
        *MEND,
        {"path": "pytest.ini", "delete": True},
        {"path": "one", "content": "1\n"},
        {"path": "two/two", "content": "2\n"},
    ]
    await _die(settings, renames, session, edits)
    tree = settings.data_dir / "sessions" / session / "tree"
    assert not (tree / "two/two").exists()
    async with connect("memory-modern", settings) as agent:
        assert (tree / "two/two").read_text() == "2\n"
        changed = await run(agent, session, "git status --porcelain -uall")
        assert changed == " M calculator.py\n D pytest.ini\n?? one\n?? two/two\n"
        assert await agent.call("file_edit", session_id=session, edits=edits[2:]) == {
            "hint": "nothing to change: the files are like that already"
        }


async def test_an_edit_that_a_kill_ends_before_it_is_decided_was_none(
    settings: Settings, upstream: Upstream
) -> None:
    async with connect("memory-modern", settings) as agent:
        session = (await agent.call("session_create", repository=str(upstream.path)))["session_id"]
    await _die(settings, 0, session, MEND)
    async with connect("memory-modern", settings) as agent:
        assert await run(agent, session, "git status --porcelain") == ""
        await agent.call("file_edit", session_id=session, edits=MEND)


async def _die(settings: Settings, renames: int, session: str, edits: list[Any]) -> None:
    from mcp import Client
    from mcp.client.stdio import StdioServerParameters

    parameters = StdioServerParameters(
        command=sys.executable,
        args=["-c", _DYING, str(renames), "stdio", "--data-dir", str(settings.data_dir),
              "--isolation", str(settings.isolation)],
        env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"]},
    )  # fmt: skip
    with anyio.fail_after(30):
        async with Client(parameters) as client:
            with pytest.raises(Exception, match="onnection"):
                await client.call_tool("file_edit", {"session_id": session, "edits": edits})


async def test_files_are_read_and_edited_where_the_kernel_has_no_openat2(
    agent: Agent, session: str, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("debug_mcp.beneath.HAS_OPENAT2", False)
    (tree / "out").symlink_to("/etc")
    assert "calculator.py" in str(await agent.call("file_read", session_id=session))
    await agent.call("file_edit", session_id=session, edits=MEND)
    shown = await agent.call("file_read", session_id=session, path="calculator.py")
    assert "a + b" in str(shown)
    refused = await agent.refused("file_read", session_id=session, path="out/passwd")
    assert "link" in refused["error"]["message"]
    listed = await agent.call("artifact_list", session_id=session, collect=["*.py"])
    assert len(listed["artifacts"]) == 2
