"""``compare``, ``flaky`` and ``bisect``: true processes, in a checkout and with a URL."""

import json
import os
import re
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from tests.files import appears
from tests.operator import SECONDS, Operator, Serving
from tests.upstream import FIX, Upstream

# Each command is a process of its own, and a busy machine takes seconds to start one.
pytestmark = [pytest.mark.anyio, pytest.mark.timeout(240)]

PROGRAM = (sys.executable, "-m", "debug_mcp")
NEEDS = ("--isolation", "none")
CHECK = {"check.sh": 'test "$(cat value)" -lt 5\n'}
BREAK = "--- a/value\n+++ b/value\n@@ -1 +1 @@\n-0\n\\ No newline at end of file\n+7\n"


class Person:
    """Somebody at a terminal: in a checkout, or with a token and a URL."""

    def __init__(self, folder: Path, *more: str, **environment: str) -> None:
        self._folder = folder
        self._more = more
        self._environment = {**os.environ, **environment}

    def does(
        self, command: str, *words: str, fed: str | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end."""
        return subprocess.run(
            [*PROGRAM, command, *self._more, *words],
            capture_output=True,
            text=True,
            timeout=4 * SECONDS,
            cwd=self._folder,
            env=self._environment,
            input=fed,
        )

    def begins(self, command: str, *words: str) -> "subprocess.Popen[str]":
        """Run a command beside the test."""
        return subprocess.Popen(
            [*PROGRAM, command, *self._more, *words],
            stderr=subprocess.PIPE,
            text=True,
            cwd=self._folder,
            env=self._environment,
        )

    def open_sessions(self) -> str:
        return self.does("sessions").stdout


@pytest.fixture
def here(tmp_path: Path, upstream: Upstream) -> Person:
    return Person(
        upstream.path,
        DEBUG_MCP_DATA_DIR=str(tmp_path / "data"),
        DEBUG_MCP_ISOLATION="none",
        DEBUG_MCP_GRACE_SECONDS="1",
    )


@pytest.fixture
def people(tmp_path: Path, upstream: Upstream) -> Iterator[tuple[Person, Person]]:
    operator = Operator(tmp_path / "data")
    made = operator.does("call", "repository_init", f"url={upstream.path}", "name=app", *NEEDS)
    assert made.returncode == 0, made.stderr
    tokens = operator.token("ada"), operator.token("bob")
    with operator.serving(*NEEDS) as server:
        ada, bob = (at(server, tmp_path, token) for token in tokens)
        yield ada, bob


@pytest.fixture
def there(people: tuple[Person, Person]) -> Person:
    return people[0]


def at(server: Serving, folder: Path, token: str) -> Person:
    return Person(folder, "--url", server.url, DEBUG_MCP_TOKEN=token)


def grown(upstream: Upstream, *values: int) -> list[str]:
    """Commit one value after the other; return the commits, shortened."""
    return [
        upstream.commit(f"Value {value}", {**CHECK, "value": str(value)})[:12] for value in values
    ]


def test_a_patch_is_compared_in_the_checkout_that_this_is(here: Person, tmp_path: Path) -> None:
    (tmp_path / "fix.diff").write_text(FIX)
    asked = ("--base", "main", "--patch", "../fix.diff", "--", "python", "-m", "pytest", "-q")
    done = here.does("compare", *asked)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert re.fullmatch(r"x_\w+: improved", lines[0])
    assert lines[2].split() == ["BASE", "HEAD"]
    assert [line.split() for line in lines if line.startswith("failed")] == [["failed", "1", "0"]]
    assert "newly passing:\n  test_calculator.py::test_add\n" in done.stdout
    assert done.stderr.startswith(f"debug-mcp: compare {lines[0].split(':')[0]}; Ctrl-C")
    # Nothing of it is left open, although its server has ended with it.
    assert here.open_sessions() == "There is no open session.\n"


def test_a_patch_that_breaks_something_has_another_exit_code_and_names_it(
    here: Person, upstream: Upstream
) -> None:
    text = "def test_value():\n    with open('value') as file:\n        assert file.read() < '5'\n"
    upstream.commit("Begin", {"value": "0", "test_value.py": text})
    asked = ("--patch", "-", "python -m pytest -q test_value.py")
    done = here.does("compare", *asked, fed=BREAK)
    assert done.returncode == 1, done.stderr
    assert (
        "newly failing:\n  test_value.py::test_value\n      test_value.py:3  assert" in done.stdout
    )
    [head] = [line.split()[2] for line in done.stdout.splitlines() if line.startswith("session")]
    assert head in here.open_sessions()


def test_the_checkout_is_repeated_with_what_is_not_committed(
    here: Person, upstream: Upstream
) -> None:
    steady = here.does("flaky", "--repeats", "2", "--", "true")
    assert steady.returncode == 0, steady.stderr
    assert "2 succeeded, 0 failed" in steady.stdout
    (upstream.path / "new.sh").write_text("exit 1\n")
    failing = here.does("flaky", "--repeats", "2", "--json", "--", "sh", "new.sh")
    view = json.loads(failing.stdout)
    assert (failing.returncode, view["verdict"]) == (3, "inconclusive")
    assert view["runs"]["failed"] == 2
    assert here.open_sessions() == "There is no open session.\n"


def test_what_is_asked_of_a_server_elsewhere_is_the_same(there: Person, upstream: Upstream) -> None:
    commits = grown(upstream, 0, 1, 2, 6, 7)
    found = there.does("bisect", "--good", commits[0], "--", "sh check.sh")
    assert found.returncode == 0, found.stderr
    assert f"first bad commit: {commits[3]} Value 6" in found.stdout
    assert [
        line for line in found.stdout.splitlines() if re.match(rf"{commits[4]}  bad  +c_", line)
    ]
    wrong = there.does("bisect", "--good", commits[3], "--", "sh check.sh")
    assert wrong.returncode == 3
    assert "is bad" in wrong.stdout
    worse = there.does("compare", "--base", commits[0], "--head", commits[4], "sh", "check.sh")
    assert worse.returncode == 1, worse.stderr
    assert "regressed" in worse.stdout
    flaky = there.does("flaky", "--repeats", "2", "--", "python -m pytest -q test_calculator.py")
    assert flaky.returncode == 1, flaky.stderr
    assert "always failing:\n  test_calculator.py::test_add\n" in flaky.stdout


async def test_one_that_was_interrupted_is_waited_for_by_its_id(
    here: Person, upstream: Upstream, tmp_path: Path
) -> None:
    [first, _] = grown(upstream, 0, 9)
    go = tmp_path / "go"
    command = f"touch {tmp_path}/started; while ! test -e {go}; do sleep 0.01; done; sh check.sh"
    with here.begins("bisect", "--good", first, "--", command) as process:
        assert process.stderr is not None
        try:
            said = await anyio.to_thread.run_sync(process.stderr.readline)
            with anyio.fail_after(SECONDS):
                await appears(tmp_path / "started")
            process.send_signal(signal.SIGINT)
            assert await anyio.to_thread.run_sync(process.wait) == 130
        finally:
            process.kill()
    go.touch()
    [words] = re.findall(r"debug-mcp (bisect --id x_\w+) waits on", said)
    found = await anyio.to_thread.run_sync(lambda: here.does(*words.split()))
    assert found.returncode == 0, found.stderr
    assert "first bad commit" in found.stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("compare", "--", "true"), "give one of head and patch"),
        (("compare", "--head", "none-such", "--", "true"), "none-such"),
        (("compare", "--patch", "none.diff", "--", "true"), "none.diff cannot be read"),
        (("compare", "--id", "x_none"), "no comparison 'x_none'"),
        (("flaky",), "which command?"),
        (("flaky", "--session", "s_none", "--", "true"), "no session 's_none'"),
        (("bisect", "--", "true"), "good is missing"),
    ],
)
def test_what_cannot_be_done_is_no_verdict(here: Person, words: tuple[str, ...], says: str) -> None:
    done = here.does(*words)
    assert (done.returncode, done.stdout) == (125, "")
    assert says in done.stderr


def test_a_bundle_has_all_of_it_and_is_checked_without_a_server(
    people: tuple[Person, Person], upstream: Upstream, tmp_path: Path
) -> None:
    there, stranger = people
    text = "def test_value():\n    with open('value') as file:\n        assert file.read() < '5'\n"
    commit = upstream.commit("Begin", {"value": "0", "test_value.py": text})
    asked = ("--json", "--patch", "-", "python -m pytest -q test_value.py")
    view = json.loads(there.does("compare", *asked, fed=BREAK).stdout)
    target = tmp_path / "proof.tar"
    got = there.does("evidence", view["compare_id"], "-o", str(target))
    assert got.returncode == 0, got.stderr
    with tarfile.open(target) as archive:
        files = {name: archive.extractfile(name) for name in archive.getnames()}
        read = {name: file.read() for name, file in files.items() if file is not None}
    evidence = json.loads(read["evidence.json"])
    assert (evidence["kind"], evidence["result"]["verdict"]) == ("compare", "regressed")
    assert {each["commit"] for each in evidence["sessions"].values()} == {commit}
    assert read["patch.diff"].decode() == BREAK
    assert len(evidence["commands"]) == 4  # each side twice, because a test flipped
    head = view["head"]["command_id"]
    command = json.loads(read[f"commands/{head}/command.json"])
    assert (command["outcome"], command["exit_code"]) == ("failed", 1)
    assert command["command"] == asked[-1]
    assert b"1 failed" in read[f"commands/{head}/output"]
    tests = json.loads(read[f"commands/{head}/tests.json"])["tests"]
    assert tests["test_value.py::test_value"]["status"] == "failed"
    # The same evidence is the same file, and needs nobody to be checked.
    assert there.does("evidence", view["compare_id"], "-o", str(tmp_path / "again")).returncode == 0
    assert (tmp_path / "again").read_bytes() == target.read_bytes()
    nobody = Person(tmp_path)
    whole = nobody.does("verify", str(target))
    assert (whole.returncode, "as its manifest says" in whole.stdout) == (0, True)
    target.write_bytes(target.read_bytes().replace(b"1 failed", b"0 failed"))
    changed = nobody.does("verify", str(target))
    assert changed.returncode == 1
    assert f"changed: commands/{head}/output\n" in changed.stdout
    (tmp_path / "none.tar").write_bytes(b"nothing")
    assert nobody.does("verify", str(tmp_path / "none.tar")).returncode == 1
    # What was run with a variable names it, and does not say what it holds.
    session = view["head"]["session_id"]
    run = there.does("run", "--env", "TOKEN=secret-value", session, "echo ran")
    [command_id] = re.findall(r"c_\w+", run.stderr)
    assert there.does("evidence", command_id, "-o", str(tmp_path / "one.tar")).returncode == 0
    one = (tmp_path / "one.tar").read_bytes()
    assert (b"TOKEN" in one, b"secret-value" in one) == (True, False)
    for name in (view["compare_id"], command_id):
        refused = stranger.does("evidence", name)
        assert (refused.returncode, f"'{name}' of yours" in refused.stderr) == (1, True)
    assert "no evidence 'x_none' of yours" in there.does("evidence", "x_none").stderr
    assert "no command 'c_none' of yours" in there.does("evidence", "c_none").stderr
