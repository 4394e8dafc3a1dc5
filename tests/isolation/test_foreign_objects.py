"""A session whose git files name another session: nothing of that is read, and nothing is run."""

import json
import subprocess
from pathlib import Path

import pytest

from debug_mcp.config import IsolationPolicy, Settings
from tests.clients import connect, opened, run
from tests.upstream import Upstream

pytestmark = [pytest.mark.anyio, pytest.mark.bwrap]

SECRET = "hunter2-of-another-session"
TAMPERED = {
    "alternates and HEAD": "echo {other}/.git/objects >> .git/objects/info/alternates; "
    "echo {commit} > .git/HEAD",
    "alternates and a branch": "echo {other}/.git/objects >> .git/objects/info/alternates; "
    "git symbolic-ref HEAD refs/heads/x; echo {commit} > .git/refs/heads/x",
    "a file that names its git directory": "rm -rf .git; echo 'gitdir: {other}/.git' > .git",
    "a link to its git directory": "rm -rf .git; ln -s {other}/.git .git",
    "its working tree": "git config core.worktree {other}",
    "an included configuration": "git config include.path {other}/.git/config; "
    "git config core.sshCommand 'touch {canary}'; git config core.fsmonitor 'touch {canary}'",
    "links in the tree": "ln -s {other}/secret secret; ln -s {other} folder; git add -A",
    "a repository within": "git init -q within; git -C within config core.fsmonitor 'touch "
    "{canary}'; echo 'gitdir: {other}/.git' > within/.git; git add -A",
}


def has_object(repository: Path, commit: str) -> bool:
    """Tell whether a repository of the server, or of the person, has taken a commit in."""
    asked = ["git", "--git-dir", str(repository), "cat-file", "-e", commit]
    return subprocess.run(asked, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("tampering", TAMPERED)
async def test_git_files_that_name_another_session_show_nothing_of_it(
    tmp_path: Path, upstream: Upstream, tampering: str
) -> None:
    settings = Settings(data_dir=tmp_path / "data", isolation=IsolationPolicy.REQUIRE_BWRAP)
    canary = tmp_path / "canary"
    async with connect("memory-modern", settings) as agent:
        theirs = await opened(agent, upstream)
        commit = await run(
            agent, theirs, f"echo {SECRET} > secret && git add -A && git commit -qm x && "
            "git rev-parse HEAD",
        )  # fmt: skip
        other = settings.data_dir / "sessions" / theirs / "tree"
        mine = await opened(agent, upstream)
        tampered = TAMPERED[tampering].format(other=other, commit=commit.strip(), canary=canary)
        await agent.call("command_run", session_id=mine, command=tampered)
        seen = []
        for tool, arguments in (
            ("session_get", {}),
            ("session_diff", {}),
            ("session_export", {"as": "patch"}),
            ("session_export", {"as": "bundle"}),
            ("session_export", {"branch": "taken"}),
            ("file_read", {"path": "secret"}),
            ("file_read", {"path": "folder/secret"}),
        ):
            answer = await agent.client.call_tool(tool, {"session_id": mine, **arguments})
            seen.append(json.dumps(answer.structured_content))
        closed = await agent.client.call_tool("session_close", {"session_id": mine})
        seen.append(json.dumps(closed.structured_content))
        assert SECRET not in "".join(seen)
        mirrors = [head.parent for head in settings.data_dir.glob("repositories/*/HEAD")]
        assert mirrors
        for repository in (*mirrors, upstream.path / ".git"):
            assert not has_object(repository, commit.strip())
        kept = [path for path in settings.data_dir.rglob("artifacts/**/*") if path.is_file()]
        assert not any(SECRET.encode() in path.read_bytes() for path in kept)
        assert not canary.exists()
        assert has_object(other / ".git", commit.strip()), "it is there to be taken"
        assert (await run(agent, theirs, "cat secret")).strip() == SECRET
