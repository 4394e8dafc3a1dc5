"""The first process of a container: it reaps, passes signals on, and ends as the server does."""

import subprocess
import sys
from collections.abc import Iterator
from typing import IO

import pytest

pytestmark = pytest.mark.bwrap

# A namespace of processes, as a container is one.
CONTAINER = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"]
SERVER = """
import os, signal, sys
from debug_mcp.runner.first import stand_first

if len(sys.argv) > 1:
    os.environ["BEFORE"] = str(os.getpid())
stand_first()
def told(*_):
    print("told", flush=True)
    sys.exit(7)
signal.signal(signal.SIGTERM, told)
print(os.environ.get("BEFORE"), os.getppid(), flush=True)
for line in sys.stdin:
    exec(line)
"""
ORPHAN = """
if os.fork() == 0:
    orphan = os.fork()
    if orphan == 0: os._exit(0)
    print(orphan, flush=True); os._exit(0)
os.wait()
orphan = int(sys.stdin.readline())
while os.path.exists(f"/proc/{orphan}"): pass
print("reaped", flush=True)
"""


@pytest.fixture
def server() -> Iterator["subprocess.Popen[str]"]:
    arguments = [*CONTAINER, sys.executable, "-c", SERVER, "first"]
    with subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert said(process) == "1 1"
        yield process
        process.kill()


def said(process: "subprocess.Popen[str]") -> str:
    return _pipe(process.stdout).readline().strip()


def order(process: "subprocess.Popen[str]", code: str) -> None:
    stdin = _pipe(process.stdin)
    stdin.write(f"exec({code!r})\n")
    stdin.flush()


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe


def test_what_has_lost_its_parent_is_reaped(server: "subprocess.Popen[str]") -> None:
    order(server, ORPHAN)
    orphan = said(server)
    stdin = _pipe(server.stdin)
    stdin.write(f"{orphan}\n")
    stdin.flush()
    assert said(server) == "reaped"


@pytest.mark.parametrize(("end", "code"), [("sys.exit(3)", 3), ("os.kill(os.getpid(), 9)", 137)])
def test_it_ends_as_the_server_does(server: "subprocess.Popen[str]", end: str, code: int) -> None:
    order(server, end)
    assert server.wait(20) == code


def test_a_signal_is_passed_on(server: "subprocess.Popen[str]") -> None:
    order(server, "os.kill(1, signal.SIGTERM)")
    assert said(server) == "told"
    assert server.wait(20) == 7


def test_any_other_process_stays_what_it_is() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SERVER], input="", capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("None ")
