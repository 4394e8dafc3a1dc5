"""The command line as a person uses it."""

import json
import re
from pathlib import Path

import pytest

from debug_mcp.cli import main
from debug_mcp.operations.catalogue import CORE
from tests.upstream import Upstream


class Shell:
    """Runs commands on one data directory and keeps what they print."""

    def __init__(self, data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._folder = ("--data-dir", str(data_dir))
        self._capsys = capsys
        self.out = self.err = ""

    def run(self, *words: str) -> int:
        """Run a command; return its exit code."""
        code = main([*words, *self._folder])
        self.out, self.err = self._capsys.readouterr()
        return code

    def call(self, *words: str) -> int:
        return self.run("call", "--isolation", "none", *words)


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path / "data", capsys)


def test_a_call_prints_what_a_model_would_read(shell: Shell, upstream: Upstream) -> None:
    assert shell.call("session_create", f"repository={upstream.path}") == 0
    [session] = re.findall(r"^session_id: (\S+)$", shell.out, re.MULTILINE)
    run = ("command_run", f"session_id={session}")
    assert shell.call(*run, "command=echo a=b", "timeout_seconds=9") == 0
    assert "| a=b" in shell.out
    assert shell.call(*run, 'command=["echo", "one  two"]') == 0
    assert "one  two" in shell.out
    assert shell.call(*run, "command=echo $X", 'env={"X": "y"}') == 0
    assert "| y" in shell.out


def test_a_call_prints_the_structured_result_on_request(shell: Shell) -> None:
    assert shell.call("server_info", "--json") == 0
    assert json.loads(shell.out)["name"] == "debug-mcp"


def test_arguments_may_be_one_json_object(shell: Shell, upstream: Upstream) -> None:
    given = json.dumps({"url": str(upstream.path), "name": "calc"})
    assert shell.call("repository_init", "--json", given) == 0
    assert json.loads(shell.out)["repository"] == "calc"


def test_arguments_may_come_on_standard_input(
    shell: Shell, upstream: Upstream, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given = tmp_path / "given.json"
    given.write_text(json.dumps({"url": str(upstream.path), "name": "calc"}))
    with given.open() as file:
        monkeypatch.setattr("sys.stdin", file)
        assert shell.call("repository_init", "-") == 0
    assert "repository: calc" in shell.out


def test_an_unknown_tool_is_answered_with_the_nearest(shell: Shell) -> None:
    assert shell.call("sesion_create") == 2
    assert shell.err.startswith("invalid_input: unknown tool 'sesion_create'\n")
    assert "candidates: session_create" in shell.err
    assert shell.call() == 2
    assert "which tool?" in shell.err


@pytest.mark.parametrize("words", [["url"], ["url=/x", "nmae=y"], ["{"], ["{}"], ['{"a"}']])
def test_wrong_arguments_are_wrong_usage(shell: Shell, words: list[str]) -> None:
    assert shell.call("repository_init", *words) == 2
    assert shell.err.startswith("invalid_input: ")


def test_what_cannot_be_done_is_an_error_on_the_other_stream(shell: Shell) -> None:
    assert shell.call("command_wait", "command_id=c_none") == 1
    assert shell.out == ""
    assert shell.err.startswith("not_found: ")
    assert shell.call("command_wait", "command_id=c_none", "--json") == 1
    assert json.loads(shell.out)["error"]["code"] == "not_found"


def test_arguments_may_follow_an_option(shell: Shell, upstream: Upstream) -> None:
    assert shell.call("repository_init", f"url={upstream.path}", "--json", "name=calc") == 0
    assert json.loads(shell.out)["repository"] == "calc"
    with pytest.raises(SystemExit):
        shell.call("repository_init", "--jsno")


def test_all_operations_are_listed(shell: Shell) -> None:
    assert shell.call("--list") == 0
    assert [line.split()[0] for line in shell.out.splitlines()[1:]] == [op.name for op in CORE]


def test_a_token_is_made_listed_rotated_and_revoked(shell: Shell) -> None:
    assert shell.run("token", "list") == 0
    assert shell.out == "There is no token yet; debug-mcp token create NAME makes one.\n"
    assert shell.run("token", "create", "ci", "--scope", "session:read,command:run", "--scope",
                     "artifact:read", "--repository", "app", "--expires", "30d") == 0  # fmt: skip
    [first] = re.findall(r"dmcp_\S+", shell.out)
    assert shell.run("token", "list") == 0
    heading, row = shell.out.splitlines()
    assert heading.split()[:4] == ["NAME", "ID", "OWNER", "STATE"]
    assert re.fullmatch(
        r"ci +t_\w+ +ci +valid +20\S+Z +never +app +session:read,command:run,artifact:read", row
    )
    assert shell.run("token", "rotate", "ci", "--json") == 0
    assert json.loads(shell.out)["secret"] != first
    assert shell.run("token", "revoke", "ci") == 0
    assert shell.out == "Token ci is revoked: its next request is refused.\n"


def test_a_token_for_an_agent_can_neither_push_nor_reach_out_nor_make_tokens(
    shell: Shell,
) -> None:
    assert shell.run("token", "create", "agent", "--json") == 0
    scopes = json.loads(shell.out)["scopes"]
    assert "command:run" in scopes
    assert not {"admin", "repository:push", "command:network"} & set(scopes)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["create", "ci", "--scope", "sesion:read"], "there is no scope 'sesion:read'; there is"),
        (["create", "ci", "--expires", "soon"], "--expires 'soon' is no time: write a number"),
        (["create", "ci", "--expires", "0d"], "--expires '0d' is no time"),
        (["create", "a b"], "name should match pattern"),
        (["create", "local"], "'local' is the person who uses stdio"),
        (["revoke", "nobody"], "no token 'nobody'; there is none that is valid"),
        (["rotate", "nobody"], "no token 'nobody'"),
    ],
)  # fmt: skip
def test_a_wrong_wish_for_a_token_is_answered_with_what_is_valid(
    shell: Shell, words: list[str], message: str
) -> None:
    assert shell.run("token", *words) == 1
    assert shell.err.startswith(f"debug-mcp: {message}")
    assert shell.err.count("\n") == 1


def test_doctor_says_what_is_there(shell: Shell) -> None:
    assert shell.run("doctor", "--isolation", "none") == 0
    assert re.search(r"^ok +git +\d", shell.out, re.MULTILINE)
    assert "debug-mcp can work here." in shell.out
    assert shell.run("doctor", "--json") == 0
    assert json.loads(shell.out)["ok"] is True


def test_doctor_says_what_is_wrong_with_the_settings(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEBUG_MCP_RUNNING_COMMANDS", "many")
    assert shell.run("doctor") == 1
    assert "failed  configuration  setting running_commands:" in shell.out


def test_gc_says_what_it_removes(
    shell: Shell, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEBUG_MCP_RETENTION_DAYS", "0")
    assert shell.call("session_create", f"repository={upstream.path}", "--json") == 0
    session = f"session_id={json.loads(shell.out)['session_id']}"
    assert shell.call("command_run", session, "command=echo hello") == 0
    assert shell.call("session_close", session) == 0

    assert shell.run("gc", "--dry-run") == 0
    assert shell.out == (
        "1 commands and 0 artifacts of sessions that ended would be removed: 6 B; "
        "0 B of outputs and artifacts would stay\n"
    )
    assert shell.run("gc") == 0
    assert "ended removed: 6 B; 0 B of outputs and artifacts stay" in shell.out
    assert shell.run("gc", "--json") == 0
    assert json.loads(shell.out)["commands"] == 0
