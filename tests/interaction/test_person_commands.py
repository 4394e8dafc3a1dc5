"""``sessions``, ``run``, ``logs`` and ``get``: true processes, of a server elsewhere and here."""

import contextlib
import http.server
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from debug_mcp.config import Layout
from tests.files import appears
from tests.operator import SECONDS, Operator, Serving
from tests.service.house import GATED
from tests.upstream import Upstream

# Each command is a process of its own, and a busy machine takes seconds to start one.
pytestmark = [pytest.mark.anyio, pytest.mark.timeout(240)]

PROGRAM = (sys.executable, "-m", "debug_mcp")
NEEDS = ("--isolation", "none")


class Person:
    """Somebody who has a token, and a session on a server elsewhere."""

    def __init__(self, url: str, token: str, data_dir: Path) -> None:
        self.url = url
        self._environment = {**os.environ, "DEBUG_MCP_TOKEN": token}
        self._layout = Layout(data_dir)
        made = self.does("call", "session_create", "repository=app", "--json")
        self.session = str(json.loads(made.stdout)["session_id"])

    @property
    def tree(self) -> Path:
        return self._layout.sessions / self.session / "tree"

    def does(self, command: str, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end."""
        return subprocess.run(
            self._line(command, words),
            capture_output=True,
            text=True,
            timeout=2 * SECONDS,
            env=self._environment,
        )

    @contextlib.contextmanager
    def begins(self, command: str, *words: str) -> Iterator["subprocess.Popen[str]"]:
        """Run a command beside the test."""
        process = subprocess.Popen(
            self._line(command, words),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self._environment,
        )
        with process:
            try:
                yield process
            finally:
                process.kill()

    def outcome(self, command: str) -> str:
        """Return how a command ended."""
        view = self.does("call", "command_wait", f"command_id={command}", "--json")
        return str(json.loads(view.stdout).get("outcome"))

    def _line(self, command: str, words: tuple[str, ...]) -> list[str]:
        return [*PROGRAM, command, "--url", self.url, *words]


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(tmp_path / "data")


@pytest.fixture
def server(operator: Operator, upstream: Upstream) -> Iterator[Serving]:
    made = operator.does("call", "repository_init", f"url={upstream.path}", "name=app", *NEEDS)
    assert made.returncode == 0, made.stderr
    with operator.serving(*NEEDS, DEBUG_MCP_GRACE_SECONDS="1") as server:
        yield server


@pytest.fixture
def person(operator: Operator, server: Serving) -> Person:
    return Person(server.url, operator.token("ada"), operator.data_dir)


def named(line: str) -> str:
    """Return the command that a line names."""
    [command] = re.findall(r"\bc_\w+", line)
    return str(command)


async def ended(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    """Return the exit code of a process and what it still said."""
    with anyio.fail_after(SECONDS):
        out, err = await anyio.to_thread.run_sync(process.communicate, abandon_on_cancel=True)
    return process.returncode, out, err


def test_a_command_looks_as_if_it_ran_in_this_terminal(person: Person) -> None:
    done = person.does(
        "run", "--env", "X=a  b", person.session, 'printf "$X\\r\\n\\033[1m"; exit 3'
    )
    assert done.returncode == 3
    # Text mode of the test reads \r\n as one line end.
    assert done.stdout == "a  b\n\033[1m"
    assert re.fullmatch(r"debug-mcp: command c_\w+\n", done.stderr)
    words = person.does("run", person.session, "--", "printf", "%s|", "a  b", "$X", "--url")
    assert (words.returncode, words.stdout) == (0, "a  b|$X|--url|")


def test_an_end_that_has_no_exit_code_gets_that_of_a_shell(person: Person) -> None:
    killed = person.does("run", person.session, "kill -9 $$")
    assert killed.returncode == 128 + signal.SIGKILL
    assert "SIGKILL" in killed.stderr
    late = person.does("run", "--timeout", "0.2", person.session, "sleep", "60")
    assert late.returncode == 124
    assert re.search(r"command c_\w+: timed_out", late.stderr)


async def test_output_is_shown_while_the_command_runs(person: Person) -> None:
    with person.begins("run", person.session, f"echo first; {GATED}") as process:
        assert process.stdout is not None
        assert await anyio.to_thread.run_sync(process.stdout.readline) == "first\n"
        (person.tree / "go").touch()
        code, out, _ = await ended(process)
    assert (code, out) == (5, "went on\n")


async def test_logs_follow_a_command_to_its_end_and_take_its_exit_code(person: Person) -> None:
    with person.begins("run", person.session, f"echo first; {GATED}") as first:
        assert first.stderr is not None
        command = named(await anyio.to_thread.run_sync(first.stderr.readline))
        await appears(person.tree / "started")
        upto = person.does("logs", command)
        assert (upto.returncode, upto.stdout) == (0, "first\n")
        with person.begins("logs", "-f", command) as second:
            assert second.stdout is not None
            assert await anyio.to_thread.run_sync(second.stdout.readline) == "first\n"
            (person.tree / "go").touch()
            assert (await ended(second))[:2] == (5, "went on\n")
        assert (await ended(first))[0] == 5


async def test_an_interrupted_run_ends_the_command_and_shows_its_last_words(
    person: Person,
) -> None:
    line = f"trap 'echo bye; exit' TERM; {GATED}"
    with person.begins("run", person.session, line) as process:
        await appears(person.tree / "started")
        process.send_signal(signal.SIGINT)
        code, out, err = await ended(process)
    assert code == 130
    assert out.endswith("bye\n")
    command, ending = err.splitlines()
    assert ending == f"debug-mcp: ending {named(command)}; once more leaves it to itself"
    assert person.outcome(named(command)) == "cancelled"


async def test_a_second_interrupt_leaves_a_command_to_itself_that_does_not_end(
    operator: Operator, upstream: Upstream
) -> None:
    operator.does("call", "repository_init", f"url={upstream.path}", "name=app", *NEEDS)
    token = operator.token("ada")
    with operator.serving(*NEEDS, DEBUG_MCP_GRACE_SECONDS="60") as server:
        person = Person(server.url, token, operator.data_dir)
        line = f"trap 'touch asked' TERM; {GATED}"
        with person.begins("run", person.session, line) as process:
            await appears(person.tree / "started")
            process.send_signal(signal.SIGINT)
            await appears(person.tree / "asked")
            process.send_signal(signal.SIGINT)
            code, _, err = await ended(process)
        assert code == 130
        assert err.splitlines()[-1].endswith("is left to itself")
        (person.tree / "go").touch()


async def test_an_interrupted_look_leaves_the_command_to_itself(person: Person) -> None:
    with person.begins("run", person.session, f"echo first; {GATED}") as first:
        assert first.stderr is not None
        command = named(await anyio.to_thread.run_sync(first.stderr.readline))
        with person.begins("logs", "-f", command) as look:
            assert look.stdout is not None
            await anyio.to_thread.run_sync(look.stdout.readline)
            look.send_signal(signal.SIGINT)
            assert await ended(look) == (130, "", "")
        (person.tree / "go").touch()
        assert (await ended(first))[0] == 5


async def test_a_run_whose_reader_has_gone_ends_the_command(person: Person) -> None:
    with person.begins("run", person.session, "yes") as process:
        assert process.stdout is not None
        await anyio.to_thread.run_sync(process.stdout.readline)
        process.stdout.close()
        assert process.stderr is not None
        err = await anyio.to_thread.run_sync(process.stderr.read)
        assert await anyio.to_thread.run_sync(process.wait) == 141
    assert err.count("\n") == 1
    assert person.outcome(named(err)) == "cancelled"


async def test_nothing_is_lost_when_the_server_is_killed_and_comes_back(
    operator: Operator, server: Serving, person: Person
) -> None:
    port = server.url.split(":")[2].removesuffix("/mcp")
    line = f"echo first; {GATED}"
    with person.begins("run", person.session, line) as process:
        assert process.stdout is not None
        assert await anyio.to_thread.run_sync(process.stdout.readline) == "first\n"
        server.process.kill()
        await server.ended()
        (person.tree / "go").touch()
        with operator.serving(*NEEDS, "--port", port):
            code, out, err = await ended(process)
    assert (code, out) == (5, "went on\n"), err


def test_an_artifact_is_downloaded_whole_and_never_over_another_file(
    person: Person, tmp_path: Path
) -> None:
    line = "mkdir out; head -c 3000000 /dev/urandom > out/big.bin; sha256sum < out/big.bin"
    made = person.does("run", "--artifact", "out/*", person.session, line)
    assert made.returncode == 0, made.stderr
    [line] = [line for line in made.stderr.splitlines() if "kept" in line]
    artifact = line.split()[-1]
    assert line == f"debug-mcp: kept out/big.bin (2.9 MiB): debug-mcp get {artifact}"
    got = person.does("get", artifact, "-o", str(tmp_path))
    target = tmp_path / "big.bin"
    assert (got.returncode, got.stderr) == (0, f"debug-mcp: {target} has 2.9 MiB\n")
    content = target.read_bytes()
    digest = subprocess.run(["sha256sum"], input=content, capture_output=True).stdout.decode()
    assert digest == made.stdout
    again = person.does("get", artifact, "-o", str(target))
    assert again.returncode == 2
    assert f"{target} is there already" in again.stderr
    # One that was cut off is gone on with: what is there already is not asked for again.
    part = tmp_path / f"other.{artifact}.part"
    part.write_bytes(content[:1_000_000])
    assert person.does("get", artifact, "-o", str(tmp_path / "other")).returncode == 0
    assert (tmp_path / "other").read_bytes() == content
    assert not part.exists()
    part.write_bytes(b"x" * 1_000_000)
    wrong = person.does("get", artifact, "-o", str(tmp_path / "other2"))
    assert wrong.returncode == 0
    (tmp_path / "other").unlink()
    wrong = person.does("get", artifact, "-o", str(tmp_path / "other"))
    assert wrong.returncode == 1
    assert "its SHA-256 differs" in wrong.stderr
    assert not part.exists()
    assert not (tmp_path / "other").exists()


def test_an_artifact_that_names_a_hidden_file_writes_none(person: Person, tmp_path: Path) -> None:
    made = person.does("run", "--artifact", ".*rc", person.session, "echo evil > .bashrc")
    artifact = made.stderr.split()[-1]
    refused = person.does("get", artifact, "-o", str(tmp_path))
    assert refused.returncode == 2
    assert "is called '.bashrc': name a file with -o" in refused.stderr
    assert person.does("get", artifact, "-o", "-").stdout == "evil\n"
    assert person.does("get", artifact, "-o", "/nowhere/x").returncode == 1


def test_sessions_are_listed_without_those_that_ended(person: Person) -> None:
    listed = person.does("sessions").stdout.splitlines()
    assert listed[0].split()[:3] == ["SESSION", "STATE", "REPOSITORY"]
    assert [line.split()[:3] for line in listed[1:]] == [[person.session, "ready", "app"]]
    assert f"session_id: {person.session}" in person.does("sessions", person.session).stdout
    person.does("call", "session_close", f"session_id={person.session}")
    assert person.does("sessions").stdout == "There is no open session.\n"
    rows = json.loads(person.does("sessions", "--all", "--json").stdout)
    assert [row["state"] for row in rows] == ["closed"]


def test_what_kept_a_command_from_running_is_no_exit_code_of_it(
    person: Person, operator: Operator
) -> None:
    def refused(command: str, *words: str) -> str:
        done = person.does(command, *words)
        assert (done.returncode, done.stdout) == (125, "")
        return done.stderr

    assert "not_found: no session 's_none'" in refused("run", "s_none", "true")
    assert "not_found: no command 'c_none'" in refused("logs", "-f", "c_none")
    assert "not_found: no command 'c_none'" in refused("logs", "c_none")
    assert "which command?" in refused("run", person.session)
    assert "options stand before the session" in refused("run", person.session, "--cwd", "x", "ls")
    assert "is no NAME=VALUE" in refused("run", "--env", "X", person.session, "ls")
    url, person.url = person.url, "http://127.0.0.1:1"
    assert "cannot be reached" in refused("run", person.session, "true")
    assert "cannot be reached" in refused("logs", "-f", "c_none")
    person.url = url
    assert operator.does("token", "revoke", "ada").returncode == 0
    assert "unauthenticated" in refused("run", person.session, "true")
    assert "unauthenticated" in refused("logs", "-f", "c_none")
    missing = person.does("get", "a_none", "-o", "-")
    assert (missing.returncode, missing.stdout) == (1, "")


def test_a_stranger_that_answers_steers_no_terminal(person: Person) -> None:
    class Stranger(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = b"<html>\x1b[2J\x1b]0;mine\x07"
            self.send_response(404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Stranger) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        person.url = f"http://127.0.0.1:{server.server_port}"
        said = [
            person.does("sessions"),
            person.does("logs", "-f", "c_x"),
            person.does("run", person.session, "true"),
        ]
        server.shutdown()
        serving.join()
    for done in said:
        assert "answers 404, and not as debug-mcp does: <html>?[2J?]0;mine?" in done.stderr
        assert "\x1b" not in done.stderr + done.stdout


async def test_without_a_url_it_is_done_on_the_data_directory(
    tmp_path: Path, upstream: Upstream
) -> None:
    data = tmp_path / "data"
    environment = {
        **os.environ,
        "DEBUG_MCP_DATA_DIR": str(data),
        "DEBUG_MCP_ISOLATION": "none",
        "DEBUG_MCP_GRACE_SECONDS": "1",
    }

    def does(*words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([*PROGRAM, *words], capture_output=True, text=True, env=environment)

    made = does("call", "session_create", f"repository={upstream.path}", "--json")
    session = json.loads(made.stdout)["session_id"]
    assert does("sessions").stdout.splitlines()[1].split()[0] == session
    done = does("run", "--artifact", "*.py", session, "echo one; exit 4")
    assert (done.returncode, done.stdout) == (4, "one\n")
    logs = does("logs", "-f", named(done.stderr.splitlines()[0]))
    assert (logs.returncode, logs.stdout) == (4, "one\n")
    got = does("get", done.stderr.split()[-1], "-o", str(tmp_path))
    assert got.returncode == 0, got.stderr
    assert does("run", "s_none", "true").returncode == 125
    with subprocess.Popen(  # noqa: ASYNC220
        [*PROGRAM, "run", session, f"echo first; {GATED}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        tree = Layout(data).sessions / session / "tree"
        await appears(tree / "started")
        process.send_signal(signal.SIGINT)
        assert (await ended(process))[:2] == (130, "first\n")
