"""What a command reaches outside of its session, tried by every attempt in ``attempts.py``.

A true server is launched over stdio, as whoever runs the tests and, where that is root, also as the
ordinary user ``tester``. ``docs/explanation/security-model.md`` has the same table for people.
"""

import contextlib
import ctypes
import json
import os
import pwd
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from debug_mcp.config import IsolationPolicy, Settings
from debug_mcp.runner.landlock import rules
from tests.clients import Agent, connect, launched_server, opened, run, stdio_parameters
from tests.isolation import attempts
from tests.upstream import CALCULATOR, Upstream

pytestmark = pytest.mark.anyio

ORDINARY = "tester"
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
PACKAGES = os.pathsep.join([str(Path(__file__).parents[2]), sysconfig.get_path("purelib")])
SECRET = "hunter2-of-the-host"
KEYCTL_JOIN_SESSION_KEYRING = 1
SYS_ADD_KEY = {"x86_64": 248, "aarch64": 217}

EVERY = {attempt.__name__ for attempt in attempts.ATTEMPTS}
# With the host's network its sockets without a file come too: the namespace holds them both.
BY_NETWORK = {"connect_to_an_abstract_socket", "connect_to_the_loopback_of_the_host"}
# What a server's own user may always do, on any machine.
OPEN_WITHOUT_BOUNDARY = BY_NETWORK | {
    "read_the_ledger",
    "read_the_tree_of_another_session",
    "read_a_file_of_the_person",
    "read_the_servers_environment",
    "see_the_server_among_the_processes",
    "read_through_the_root_of_a_process",
    "signal_the_server",
    "connect_to_a_socket_in_the_file_system",
    "read_shared_memory_of_the_host",
    "read_sys",
}
# What holds there too, because every command begins in a session of the kernel without a terminal
# and without descriptors of the server.
BLOCKED_WITHOUT_BOUNDARY = {
    "type_into_the_terminal_of_the_server",
    "use_a_descriptor_that_was_left_open",
}
# What Landlock leaves open where the machine has no bubblewrap for it, offline and online.
OPEN_IN_LANDLOCK = {"see_the_server_among_the_processes"}
OPEN_IN_LANDLOCK_ONLINE = OPEN_IN_LANDLOCK | {"connect_to_the_loopback_of_the_host"}
# As it is installed on a machine without bubblewrap; its arguments are as usual.
WITHOUT_BWRAP = (
    "import sys; from debug_mcp.runner import boundary; boundary.BWRAP_PATH = '/nowhere'; "
    "from debug_mcp.cli import main; sys.exit(main())  # debug_mcp"
)
# The targets are not in its arguments, where it would find them itself.
STARTING = (
    "import runpy, sys; sys.argv = ['attempts.py', open('targets.json').read()]; "
    "runpy.run_path('attempts.py', run_name='__main__')"
)
OUT = "import socket; socket.create_connection(('192.0.2.1', 9), 0.1)"
needs_landlock = pytest.mark.skipif(
    rules.version() < rules.SCOPED_ABI, reason="this kernel's Landlock is missing or too old"
)
PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "security-model.md"


@dataclass(frozen=True)
class Host:
    """What lies around a server, to be reached or not."""

    folder: Path
    user: str | None
    targets: dict[str, Any]

    @property
    def data(self) -> Path:
        """The server's data directory."""
        return self.folder / "data"

    def give(self) -> None:
        """Make all of it the property of whom the server runs as."""
        if self.user is not None:
            for path in (self.folder, *self.folder.rglob("*")):
                shutil.chown(path, self.user, self.user)


@pytest.fixture(params=[None, ORDINARY], ids=["as myself", "as an ordinary user"])
def user(request: pytest.FixtureRequest) -> str | None:
    """Whom the server runs as; None for whoever runs the tests."""
    if request.param is not None:
        if os.geteuid() != 0:
            pytest.skip("only root can start a server as somebody else")
        try:
            pwd.getpwnam(request.param)
        except KeyError:
            pytest.skip(f"there is no user {request.param} here")
    chosen: str | None = request.param
    return chosen


def put_a_key() -> str | None:
    """Put a key into a new session keyring of this process; its children inherit that."""
    libc = ctypes.CDLL(None, use_errno=True)
    machine = os.uname().machine
    libc.syscall(attempts.SYS_KEYCTL[machine], KEYCTL_JOIN_SESSION_KEYRING, None)
    value = SECRET.encode()
    where = attempts.KEY_SPEC_SESSION_KEYRING
    key = libc.syscall(
        SYS_ADD_KEY[machine], b"user", b"debug-mcp-test", value, ctypes.c_size_t(len(value)), where
    )
    return None if key < 0 else "debug-mcp-test"


@pytest.fixture
def host(user: str | None) -> Iterator[Host]:
    """Secrets, sockets and memory of the host. Not in tmp_path, where only its owner may look."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        file = folder / "file"
        file.write_text(SECRET)
        listening = stack.enter_context(socket.socket(socket.AF_UNIX))
        listening.bind(str(folder / "socket"))
        abstract = stack.enter_context(socket.socket(socket.AF_UNIX))
        abstract.bind(f"\0debug-mcp-test-{os.getpid()}")
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        for server in (listening, abstract):
            server.listen()
        shared = stack.enter_context(tempfile.NamedTemporaryFile("w+", dir="/dev/shm"))
        shared.write(SECRET)
        shared.flush()
        Path(shared.name).chmod(0o644)
        upstream = Upstream(folder / "calculator")
        program = Path(attempts.__file__).read_text()
        upstream.commit("Add a calculator", {**CALCULATOR, "attempts.py": program})
        (folder / "home").mkdir()
        targets = {
            "secret": SECRET,
            "file": str(file),
            "socket": str(folder / "socket"),
            "abstract": f"debug-mcp-test-{os.getpid()}",
            "port": tcp.getsockname()[1],
            "shared": shared.name,
            "key": put_a_key(),
            "data": str(folder / "data"),
            "ledger": str(folder / "data" / "debug-mcp.sqlite3"),
            "python": sys.prefix,
        }
        made = Host(folder, user, targets)
        made.give()
        yield made


def becoming(user: str) -> tuple[str, ...]:
    """Return what starts a program as another user."""
    return ("setpriv", "--reuid", user, "--regid", user, "--clear-groups", "--")


def interpreter_of(user: str) -> str | None:
    """Return an interpreter like ours that this user may run; ours may be in a home of its own."""
    version = f"python3.{sys.version_info.minor}"
    for program in (sys.executable, shutil.which(version, path=SYSTEM_PATH)):
        # Through a shell, since the right to run anything ends only with the first program.
        asked = [*becoming(user), "sh", "-c", f"exec {program} -c 'import debug_mcp.app'"]
        environment = {"PATH": SYSTEM_PATH, "PYTHONPATH": PACKAGES}
        if program and subprocess.run(asked, env=environment, check=False).returncode == 0:
            return program
    return None


def may_sandbox(user: str) -> bool:
    """Return whether the machine lets this user make namespaces; ours may, as root."""
    least = ("bwrap", "--unshare-user", "--unshare-pid", "--ro-bind", "/", "/", "--proc", "/proc")
    done = subprocess.run([*becoming(user), *least, "true"], capture_output=True, check=False)
    return done.returncode == 0


@contextlib.asynccontextmanager
async def launched(host: Host, policy: IsolationPolicy) -> AsyncIterator[Agent]:
    """Launch a server as the chosen user, with a secret in its environment."""
    launch = stdio_parameters(Settings(data_dir=host.data, isolation=policy))
    home = {"HOME": str(host.folder / "home"), "A_SECRET": SECRET}
    launch.env = {"PATH": os.environ["PATH"], **home}
    if host.user is not None:
        interpreter = interpreter_of(host.user)
        if interpreter is None:
            pytest.skip(f"no interpreter here that {host.user} may run and that has the packages")
        if policy is IsolationPolicy.REQUIRE_BWRAP and not may_sandbox(host.user):
            pytest.skip(f"this machine lets no sandbox be made by {host.user}")
        if policy is IsolationPolicy.REQUIRE_LANDLOCK:
            launch.args[:2] = ["-c", WITHOUT_BWRAP]
        launch.env = {"PATH": SYSTEM_PATH, "PYTHONPATH": PACKAGES, **home}
        become, *options = becoming(host.user)
        launch.args = [*options, interpreter, *launch.args]
        launch.command = become
    async with Client(launch) as client:
        yield Agent(client)


async def reached(host: Host, policy: IsolationPolicy, *, network: bool = False) -> dict[str, Any]:
    """Let a command of a session make every attempt; return what it reached."""
    async with launched(host, policy) as agent:
        sessions = []
        for _ in range(2):
            view = await agent.call("session_create", repository=str(host.folder / "calculator"))
            assert view["isolation"] == str(policy).removeprefix("require:")
            sessions.append(view["session_id"])
        mine, other = (host.data / "sessions" / session / "tree" for session in sessions)
        boundary = policy is not IsolationPolicy.NONE
        targets = {
            **host.targets, "other_tree": str(other), "pid": launched_server(), "boundary": boundary
        }  # fmt: skip
        (mine / "targets.json").write_text(json.dumps(targets))
        view = await agent.call(
            "command_run",
            session_id=sessions[0],
            command=["python3", "-c", STARTING],
            network=network,
        )
        assert view["outcome"] == "succeeded", view
        for session in sessions:
            await agent.call("session_close", session_id=session)
        found: dict[str, Any] = json.loads(view["output"]["text"])
        assert set(found) == EVERY
        return {name: what for name, what in found.items() if what is not None}


@pytest.mark.bwrap
async def test_nothing_outside_of_the_session_is_reached_in_the_sandbox(host: Host) -> None:
    assert await reached(host, IsolationPolicy.REQUIRE_BWRAP) == {}


@pytest.mark.bwrap
async def test_with_the_network_its_sockets_are_reached_and_nothing_else(host: Host) -> None:
    found = await reached(host, IsolationPolicy.REQUIRE_BWRAP, network=True)
    assert set(found) == BY_NETWORK


@needs_landlock
@pytest.mark.parametrize("user", [ORDINARY], indirect=True)
@pytest.mark.parametrize(
    ("network", "left"), [(False, OPEN_IN_LANDLOCK), (True, OPEN_IN_LANDLOCK_ONLINE)]
)
async def test_where_there_is_no_sandbox_landlock_keeps_a_command_to_its_session(
    host: Host, network: bool, left: set[str]
) -> None:
    found = await reached(host, IsolationPolicy.REQUIRE_LANDLOCK, network=network)
    assert set(found) == left


@needs_landlock
@pytest.mark.parametrize("user", [ORDINARY], indirect=True)
async def test_the_daily_work_is_done_where_landlock_confines_it(host: Host) -> None:
    async with launched(host, IsolationPolicy.REQUIRE_LANDLOCK) as agent:
        view = await agent.call("session_create", repository=str(host.folder / "calculator"))
        session = view["session_id"]
        assert view["isolation"] == "landlock"
        assert view["paths"]["workspace"] == str(host.data / "sessions" / session / "tree")
        assert "Landlock confines commands instead" in view["hint"]
        assert "Landlock" in (await agent.call("server_info"))["isolation_why"]

        built = (
            'printf "int main(void) {\n  return 3;\n}\n" > three.c; cc -g three.c -o three; ./three'
        )
        ran = await agent.call("command_run", session_id=session, command=built)
        assert (ran["exit_code"], ran["isolation"]) == (3, "landlock"), ran
        kept = "git add three.c; git commit -qm Three; git log --oneline | wc -l; mktemp"
        ran = await agent.call("command_run", session_id=session, command=kept)
        commits, temporary = ran["output"]["text"].split()
        assert commits == "2"
        assert temporary.startswith(str(host.data / "sessions" / session))
        asked = {"session_id": session, "command": ["python3", "-c", OUT]}
        ran = await agent.call("command_run", **asked)
        assert ran["next"] == {"tool": "command_run", "arguments": {**asked, "network": True}}
        ran = await agent.call("command_run", session_id=session, command=["nowhere"])
        assert ran["hint"].startswith("program_not_found: nowhere")

        refused = await agent.refused("debug_run", session_id=session, command="calculator.py")
        assert "install bubblewrap" in refused["text"]
        shown = await agent.call("session_diff", session_id=session)
        assert [file["path"] for file in shown["files"]] == ["three", "three.c"]
        closed = await agent.call("session_close", session_id=session)
        assert closed["exported"]["branch"] == f"debug-mcp/{session}"


async def test_without_a_boundary_the_attempts_reach_what_the_user_may(host: Host) -> None:
    found = await reached(host, IsolationPolicy.NONE)
    assert set(found) >= OPEN_WITHOUT_BOUNDARY
    assert not set(found) & BLOCKED_WITHOUT_BOUNDARY


@pytest.mark.bwrap
async def test_a_session_of_the_sandbox_never_goes_on_without_it(
    tmp_path: Path, upstream: Upstream
) -> None:
    safe = Settings(data_dir=tmp_path / "data", isolation=IsolationPolicy.REQUIRE_BWRAP)
    async with connect("stdio-modern", safe) as agent:
        session = await opened(agent, upstream)
        assert (await agent.call("server_info"))["isolation"] == "bwrap"
    bare = Settings(data_dir=tmp_path / "data", isolation=IsolationPolicy.NONE)
    async with connect("stdio-modern", bare) as agent:
        view = await agent.client.call_tool(
            "command_run", {"session_id": session, "command": "touch /workspace/ran ran"}
        )
        said = json.dumps(view.structured_content)
        assert "was opened in a bwrap sandbox, which does not work now" in said
        assert not (tmp_path / "data" / "sessions" / session / "tree" / "ran").exists()
    async with connect("stdio-modern", safe) as agent:
        assert await run(agent, session, "pwd") == "/workspace\n"


def test_the_security_model_lists_every_attempt_as_the_tests_found_it() -> None:
    row = r"^\| `(\w+)` \| (\w+) \| (\w+) \| (\w+) \| (\w+) \| (.+?) \|$"
    rows = re.findall(row, PAGE.read_text(), re.MULTILINE)
    assert {name for name, *_ in rows} == EVERY
    for name, sandboxed, granted, kept, online, bare in rows:
        assert sandboxed == "blocked"
        assert kept == ("open" if name in OPEN_IN_LANDLOCK else "blocked"), name
        assert online == ("open" if name in OPEN_IN_LANDLOCK_ONLINE else "blocked"), name
        assert granted == ("open" if name in BY_NETWORK else "blocked"), name
        if name in OPEN_WITHOUT_BOUNDARY:
            assert bare == "open", name
        elif name in BLOCKED_WITHOUT_BOUNDARY:
            assert bare == "blocked", name
        else:
            assert bare == "as the user's rights are", name
