"""``debug-mcp call --url``: one operation of a server elsewhere, from the command line."""

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.operator import Operator, Serving
from tests.upstream import Upstream

# Each call is a process of its own, and a busy machine takes seconds to start one.
pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(tmp_path / "data")


@pytest.fixture
def server(operator: Operator, upstream: Upstream) -> Iterator[Serving]:
    """A server that knows one repository."""
    made = operator.does("call", "repository_init", f"url={upstream.path}", "name=app",
                         "--isolation", "none")  # fmt: skip
    assert made.returncode == 0, made.stderr
    with operator.serving("--isolation", "none") as server:
        yield server


def test_a_server_elsewhere_does_what_is_asked_as_the_owner_of_the_token(
    operator: Operator, server: Serving
) -> None:
    token = {"DEBUG_MCP_TOKEN": operator.token("ada")}
    # A server alone stands for its /mcp.
    made = operator.asks(
        "session_create", "repository=app", "--url", server.url.removesuffix("/mcp"), **token
    )
    [session] = re.findall(r"^session_id: (\S+)$", made.stdout, re.MULTILINE)
    run = ("command_run", f"session_id={session}", "--url", server.url, "--json")
    done = operator.asks(*run, 'command=["echo", "one  two"]', **token)
    assert json.loads(done.stdout)["output"]["text"] == "one  two\n"
    # The command failed, and the call did not.
    failed = operator.asks(*run, "command=exit 3", **token)
    assert (failed.returncode, json.loads(failed.stdout)["exit_code"]) == (0, 3)
    listed = operator.asks("--list", "--url", server.url, **token)
    assert listed.stdout.splitlines()[1].startswith("repository_init ")


def test_what_the_server_refuses_is_said_as_if_it_had_been_asked_here(
    operator: Operator, server: Serving
) -> None:
    token = {"DEBUG_MCP_TOKEN": operator.token("ada")}
    unknown = operator.asks("sesion_create", "--url", server.url, **token)
    assert unknown.returncode == 2
    assert unknown.stderr.startswith("invalid_input: unknown tool 'sesion_create'\ncandidates: ses")
    wait = ("command_wait", "command_id=c_none", "--url", server.url)
    missing = operator.asks(*wait, **token)
    assert (missing.returncode, missing.stdout) == (1, "")
    assert missing.stderr.startswith("not_found: no command 'c_none'")
    as_json = operator.asks(*wait, "--json", **token)
    assert json.loads(as_json.stdout)["error"]["code"] == "not_found"


def test_a_token_may_stand_in_a_file_that_nobody_else_can_read(
    operator: Operator, server: Serving, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text(operator.token("ada") + "\n")
    call = ("server_info", "--url", server.url, "--token-file", str(file))
    file.chmod(0o640)
    refused = operator.asks(*call)
    assert refused.returncode == 2
    assert f"others may read the token in {file}: chmod 600 {file}" in refused.stderr
    file.chmod(0o600)
    assert operator.asks(*call).returncode == 0


def test_why_a_server_cannot_be_used_is_one_line(operator: Operator, server: Serving) -> None:
    def refused(url: str, token: str = "dmcp_wrong") -> str:
        done = operator.asks("server_info", "--url", url, DEBUG_MCP_TOKEN=token)
        assert done.returncode in (1, 2)
        assert (done.stdout, done.stderr.count("\n")) == ("", 1)
        return done.stderr

    right = operator.token("ada")
    assert "answers 401: the token is unknown, expired or revoked" in refused(server.url)
    assert "a token is needed and DEBUG_MCP_TOKEN holds none" in refused(server.url, "")
    assert "holds no token" in refused(server.url, "two words")
    assert "no MCP server there; debug-mcp serves it at /mcp" in refused(f"{server.url}x", right)
    other = server.url.replace("127.0.0.1", "0.0.0.0")
    assert "answers 421: this server does not answer to Host" in refused(other, right)
    assert "is no URL such as https://" in refused("ftp://localhost")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        gone = f"http://127.0.0.1:{closed.getsockname()[1]}"
    assert re.search("cannot be reached: .*[Rr]efused|cannot be reached: .*111", refused(gone))
    assert "cannot be reached: [SSL" in refused(server.url.replace("http:", "https:"))


def test_options_that_would_count_for_nothing_are_refused(operator: Operator) -> None:
    here = operator.does("call", "server_info", "--url", "http://127.0.0.1:1")
    assert here.returncode == 1
    assert "--data-dir and --isolation are set where the server at --url runs" in here.stderr
    alone = operator.does("call", "server_info", "--token-file", "/dev/null")
    assert "--token-file is for --url" in alone.stderr
