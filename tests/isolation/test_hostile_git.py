"""Repositories and git directories made to turn git against who reads them, through the tools."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from debug_mcp.config import IsolationPolicy, Settings, load
from tests.clients import Agent, connect, opened, run
from tests.upstream import Upstream, everything, write_object

pytestmark = [pytest.mark.anyio, pytest.mark.bwrap]

HOOKS = "pre-commit post-commit reference-transaction post-index-change post-checkout pre-push"
PROGRAMS = (
    "core.fsmonitor core.pager core.editor core.sshCommand core.alternateRefsCommand "
    "credential.helper gpg.program diff.external uploadpack.packObjectsHook merge.x.driver "
    "diff.x.command diff.x.textconv"
)
WORK = "echo more >> calculator.py"

# What a command makes of its git directory; after each, its work is there as it is.
KEPT = {
    "hooks and programs of the configuration": f"mkdir /tmp/hooks .git/hooks; for h in {HOOKS}; do "
    "printf '#!/bin/sh\\n{touch}\\n' > /tmp/hooks/$h; done; "
    "chmod +x /tmp/hooks/*; cp /tmp/hooks/* .git/hooks; git config core.hooksPath /tmp/hooks; "
    f"for k in {PROGRAMS}; do git config $k '{{touch}}; false'; done; "
    "git config commit.gpgSign true; printf '* diff=x merge=x\\n' > .git/info/attributes",
    "filters": "for k in clean smudge; do git config filter.x.$k '{touch}; cat'; done; "
    "echo '* filter=x' > .git/info/attributes",
    "another working tree": "git config core.repositoryformatversion 1; git config "
    "extensions.worktreeConfig true; echo '[core] worktree = /etc' > .git/config.worktree",
    "a promisor that is a program": "git config core.repositoryformatversion 1; git config "
    "extensions.partialClone x; git config remote.x.promisor true; git config remote.x.url "
    "'ext::{touch}'; git config protocol.ext.allow always",
    "a commit in the place of another": "echo 1 > e; git add e; git commit -qm e; "
    "git replace HEAD HEAD~1; rm e; git rm -q --cached e; git commit -qm 'no e'",
    "another history": "git commit -q --allow-empty -m 1; git commit -q --allow-empty -m 2; "
    "git rev-parse HEAD HEAD~2 | xargs > .git/info/grafts",
    "a shallow history": "git commit -q --allow-empty -m 1; git rev-parse HEAD > .git/shallow",
    "a commit graph of noise": "mkdir -p .git/objects/info; "
    "head -c 3000 /dev/zero > .git/objects/info/commit-graph",
    "branches that look like options": "git update-ref refs/heads/--upload-pack={touch} HEAD; "
    "git update-ref refs/heads/-c HEAD; git update-ref refs/tags/-t HEAD; "
    "git symbolic-ref HEAD refs/heads/--output=x; git reset -q",
    "a repository in the place of a submodule": "git update-index --add --cacheinfo "
    "160000,$(git rev-parse HEAD),sub; git commit -qm sub; mkdir -p sub; "
    "git init -q sub; git -C sub config core.fsmonitor '{touch}'",
}  # fmt: skip
# Afterwards git in the session fails, but the session can be closed, with its files as they are.
BROKEN = {
    "a filter that fails": "git config filter.x.process '{touch}; false'; git config "
    "filter.x.required true; echo '* filter=x' > .git/info/attributes",
    "a pack index of noise": "git commit -q --allow-empty -m 1; git repack -q -d -l; "
    "head -c 3000 /dev/zero > .git/objects/pack/multi-pack-index",
    "refs of noise": "head -c 3000 /dev/zero > .git/packed-refs",
    "an index of noise": "head -c 3000 /dev/zero > .git/index",
    "a configuration of noise": "head -c 3000 /dev/zero > .git/config",
    "a HEAD that leads out": "echo 'ref: refs/heads/../../../x' > .git/HEAD",
    "a branch that is itself": "git symbolic-ref HEAD refs/heads/x; "
    "echo 'ref: refs/heads/x' > .git/refs/heads/x",
    "a pipe in the place of a file": "rm test_calculator.py; mkfifo test_calculator.py",
}
LOOKS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("session_get", {}),
    ("session_diff", {}),
    ("session_export", {"as": "patch"}),
    ("session_export", {"as": "bundle"}),
    ("session_export", {"branch": "taken"}),
    ("session_close", {}),
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(data_dir=tmp_path / "data", isolation=IsolationPolicy.REQUIRE_BWRAP)


@pytest.fixture
async def agent(settings: Settings) -> AsyncIterator[Agent]:
    async with connect("memory-modern", settings) as agent:
        yield agent


async def looked_at(agent: Agent, session: str) -> list[dict[str, Any]]:
    """Call every tool that has git read a session; return their answers, whatever they are."""
    answers = []
    for tool, arguments in LOOKS:
        result = await agent.client.call_tool(tool, {"session_id": session, **arguments})
        assert result.structured_content is not None
        answers.append(result.structured_content)
    return answers


@pytest.mark.parametrize("attack", [*KEPT, *BROKEN])
async def test_nothing_runs_outside_and_the_work_is_kept(
    agent: Agent, upstream: Upstream, settings: Settings, tmp_path: Path, attack: str
) -> None:
    canary = tmp_path / "canary"
    canary.mkdir()
    before = everything(upstream.path)
    session = await opened(agent, upstream, env={"GIT_EXTERNAL_DIFF": "false", "GIT_DIR": "/etc"})
    planted = {**KEPT, **BROKEN}[attack].replace("{touch}", f"touch {canary}/ran")
    # The variables of a caller's reach its commands, and no git of the server's.
    command = f"unset GIT_DIR; {WORK}; {planted}"
    await agent.call("command_run", session_id=session, command=command)
    answers = await looked_at(agent, session)
    closed = answers[-1]
    assert list(canary.iterdir()) == []
    assert everything(upstream.path) == before
    # But for the lines that are for the person's own machine.
    for answer in answers:
        plain = {name: value for name, value in answer.items() if name not in ("fetch", "apply")}
        plain.get("exported", {}).pop("fetch", None)
        plain.get("exported", {}).pop("fetch_others", None)
        assert str(settings.data_dir) not in json.dumps(plain)
    if attack in KEPT:
        assert not [answer for answer in answers if "error" in answer], answers
        assert "+more\n" in answers[1]["patch"]
    assert closed["state"] == "closed", answers
    assert "calculator.py" in closed["exported"]["files"]
    taken = await opened(agent, upstream, ref=closed["exported"]["commit"])
    assert "more" in await run(agent, taken, "cat calculator.py")


async def test_an_object_of_gigabytes_that_a_few_bytes_stand_for_is_not_taken_in(
    upstream: Upstream, tmp_path: Path
) -> None:
    """Its delta copies 64 KiB again and again; git needs the memory for the whole of it."""
    settings = load(
        data_dir=tmp_path / "data",
        isolation=IsolationPolicy.REQUIRE_BWRAP,
        command_memory_bytes=256 << 20,
    )
    async with connect("memory-modern", settings) as agent:
        session = await opened(agent, upstream)
        script = (Path(__file__).parent / "delta_bomb.py").read_text()
        await agent.call(
            "file_edit", session_id=session, edits=[{"path": "b.py", "content": script}]
        )
        assert int(await run(agent, session, "python3 b.py")) < 1000
        for tool in ("session_export", "session_close"):
            refused = await agent.refused(tool, session_id=session)
            assert "Out of memory" in refused["error"]["message"]
            assert str(settings.data_dir) not in refused["text"]
        # The mirror is as it was, and the session is open: its work can still be had otherwise.
        await run(agent, session, "git reset -q --hard origin/main && git clean -fdq")
        assert (await agent.call("session_close", session_id=session))["state"] == "closed"
        assert await opened(agent, upstream)


# Names of a folder that some file system takes for `.git` or for what is above.
FOLDERS = (".GIT", ".g\u200cit", "git~1", "..", ".git")
MODULES = (
    '[submodule "../../x"]\n\tpath = s\n\turl = u\n',
    '[submodule "x"]\n\tpath = s\n\turl = -u./x\n',
)


async def test_an_upstream_whose_files_could_be_taken_for_gits_own_is_not_cloned(
    agent: Agent, upstream: Upstream, settings: Settings
) -> None:
    blob = write_object(upstream, "blob", b"[core]\n\tfsmonitor = false\n")
    config = write_object(upstream, "tree", b"100644 config\0" + blob)
    trees = [
        write_object(upstream, "tree", b"40000 %b\0%b" % (name.encode(), config))
        for name in FOLDERS
    ]
    for text in MODULES:
        modules = write_object(upstream, "blob", text.encode())
        trees.append(write_object(upstream, "tree", b"100644 .gitmodules\0" + modules))
    # A .gitmodules that is a link would be read from wherever that leads.
    trees.append(write_object(upstream, "tree", b"120000 .gitmodules\0" + blob))
    for number, tree in enumerate(trees):
        upstream.git(
            "update-ref", "refs/heads/main", upstream.git("commit-tree", "-m", "x", tree.hex())
        )
        refused = await agent.refused(
            "repository_init", url=str(upstream.path), name=f"hostile-{number}"
        )
        assert (
            "contains" in refused["error"]["message"] or "gitmodules" in refused["error"]["message"]
        )
    assert not list(settings.data_dir.glob("repositories/r_*/HEAD"))


async def test_links_of_an_upstream_lead_nobody_out_of_the_tree(
    agent: Agent, upstream: Upstream, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter2")
    for name, target in (("folder", tmp_path), ("file", secret), ("up", "../../../..")):
        (upstream.path / name).symlink_to(target)
    upstream.commit("Links", {})
    session = await opened(agent, upstream)
    new = "diff --git a/folder/new b/folder/new\nnew file mode 100644\n--- /dev/null\n"
    for tool, arguments in (
        ("file_read", {"path": "folder/secret"}),
        ("file_read", {"path": "file"}),
        ("file_read", {"path": "up"}),
        ("file_edit", {"edits": [{"path": "folder/new", "content": "x"}]}),
        ("file_edit", {"edits": [{"path": "file", "old": "hunter2", "new": "x"}]}),
        ("file_edit", {"patch": f"{new}+++ b/folder/new\n@@ -0,0 +1 @@\n+x\n"}),
        ("session_create", {"patch": f"{new}+++ b/folder/new\n@@ -0,0 +1 @@\n+x\n"}),
    ):
        given = arguments if tool == "session_create" else {"session_id": session, **arguments}
        refused = await agent.refused(tool, **given)
        assert "hunter2" not in refused["text"]
    collected = await agent.call(
        "artifact_list", session_id=session, collect=["folder/**", "file", "up/**"]
    )
    assert not collected.get("artifacts")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["calculator", "data", "secret"]
    assert secret.read_text() == "hunter2"


ODD_REFS = (
    "--upload-pack=touch x", "-c core.pager=x", "-x", "a b", "main\nHEAD", "main\x00",
    "main\x1b[2J", "ma\u2028in", "HEAD~1", "main..other", "@{-1}", ":/Add", "refs/../config",
    "main.lock", "a//b",
)  # fmt: skip


async def test_a_ref_that_is_more_than_a_name_is_refused_wherever_it_is_taken(
    agent: Agent, upstream: Upstream
) -> None:
    session = await opened(agent, upstream)
    await run(agent, session, "echo 1 > work")
    for ref in ODD_REFS:
        for tool, arguments in (
            ("session_create", {"ref": ref}),
            ("session_export", {"session_id": session, "branch": ref}),
            ("session_diff", {"session_id": session, "base": ref}),
            ("compare_run", {"base": ref, "head": "main", "command": "true"}),
        ):
            refused = await agent.refused(tool, **arguments)
            assert refused["error"]["code"] in ("invalid_input", "not_found"), (tool, ref, refused)
            assert "\x1b" not in refused["error"]["message"]
