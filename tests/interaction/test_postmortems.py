"""Where a command hangs, as an agent sees it: while it runs, and after its time was over."""

from pathlib import Path

import pytest

from debug_mcp.config import Settings
from tests.clients import WAYS, Agent, connect, opened
from tests.files import appears
from tests.interaction.debugged import opened_with
from tests.upstream import Upstream

pytestmark = pytest.mark.anyio

DEADLOCK = """\
import threading

first, second = threading.Lock(), threading.Lock()
both = threading.Barrier(3)


def take(mine, other, number):
    with mine:
        both.wait()
        with other:
            print("never", number)


threading.Thread(target=take, args=(first, second, 1), name="one").start()
threading.Thread(target=take, args=(second, first, 2), name="two").start()
both.wait()
open("locked", "w").close()
"""
SERVER = """\
import http.server


class Answer(http.server.BaseHTTPRequestHandler):
    pass


server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
open("serving", "w").close()
server.serve_forever()
"""
SLOW = """\
import time


def wait_for(answer):
    while answer is None:
        time.sleep(0.05)


def test_quick():
    pass


def test_hangs():
    wait_for(None)
"""
PAUSING = """\
#include <fcntl.h>
#include <unistd.h>

static int wait_for(int number) {
    for (;;) pause();
    return number;
}

int main(void) {
    close(open("pausing", O_CREAT | O_WRONLY, 0600));
    return wait_for(3);
}
"""


async def begun(agent: Agent, settings: Settings, session: str, command: str, sign: str) -> str:
    """Start a command that leaves a file when it is where it stays; return its id."""
    view = await agent.call("command_run", session_id=session, command=command, wait_seconds=0)
    await appears(settings.data_dir / "sessions" / session / "tree" / sign)
    command_id: str = view["command_id"]
    return command_id


@pytest.mark.parametrize("way", WAYS)
async def test_a_deadlock_shows_which_threads_wait_and_where(
    way: str, settings: Settings, upstream: Upstream
) -> None:
    async with connect(way, settings) as agent:
        session = await opened_with(agent, upstream, {"deadlock.py": DEADLOCK})
        command_id = await begun(agent, settings, session, "python3 deadlock.py", "locked")
        seen = await agent.call("debug_postmortem", command_id=command_id)
        assert seen["state"] == "running"
        [process] = [each for each in seen["processes"] if "threads" in each]
        assert process["command"] == "python3 deadlock.py"
        threads = {thread["thread"]: thread for thread in process["threads"]}
        assert set(threads) == {"MainThread", "one", "two"}
        for name, number in (("one", "1"), ("two", "2")):
            thread = threads[name]
            assert thread["stack"] == ["deadlock.py:10 in take"]
            assert thread["at"] == "deadlock.py:10"
            assert thread["runs"] is False
            assert thread["locals"]["number"] == number
        assert seen["next"] == {"tool": "command_wait", "arguments": {"command_id": command_id}}
        # Nobody was disturbed.
        view = await agent.call("command_wait", command_id=command_id, wait_seconds=0)
        assert view["state"] == "running"


async def test_a_server_that_waits_for_requests_is_looked_into(
    settings: Settings, upstream: Upstream
) -> None:
    async with connect("memory-modern", settings) as agent:
        session = await opened_with(agent, upstream, {"serve.py": SERVER})
        command_id = await begun(agent, settings, session, "python3 serve.py; true", "serving")
        seen = await agent.call("debug_postmortem", command_id=command_id)
        [process] = [each for each in seen["processes"] if "threads" in each]
        [thread] = process["threads"]
        assert thread["at"] == "serve.py:10"
        assert any("serve_forever" in frame for frame in thread["stack"])


@pytest.mark.lldb
async def test_a_program_of_machine_code_is_looked_into_too(
    settings: Settings, upstream: Upstream
) -> None:
    async with connect("memory-modern", settings) as agent:
        session = await opened_with(agent, upstream, {"pausing.c": PAUSING})
        build = "cc -g -O0 -o waits pausing.c && exec ./waits"
        command_id = await begun(agent, settings, session, build, "pausing")
        seen = await agent.call("debug_postmortem", command_id=command_id)
        [process] = seen["processes"]
        [thread] = process["threads"]
        assert "pausing.c:5 in wait_for(number=3)" in thread["stack"]
        assert "pausing.c:11 in main" in thread["stack"]


async def test_a_test_that_hung_is_shown_after_its_time_was_over(
    settings: Settings, upstream: Upstream
) -> None:
    async with connect("memory-modern", settings) as agent:
        session = await opened_with(agent, upstream, {"test_slow.py": SLOW})
        view = await agent.call(
            "command_run",
            session_id=session,
            command="python3 -m pytest -q test_slow.py",
            timeout_seconds=15,
            wait_seconds=50,
        )
        assert view["outcome"] == "timed_out"
        assert view["hint"].startswith("stuck in test_slow.py::test_hangs for ")
        seen = await agent.follow(view)
        assert (seen["state"], seen["command_id"]) == ("finished", view["command_id"])
        [process] = seen["processes"]
        [thread] = process["threads"]
        assert thread["stack"] == ["test_slow.py:6 in wait_for", "test_slow.py:14 in test_hangs"]
        assert thread["more_frames"] > 10
        assert thread["locals"] == {"answer": "None"}
        # And the next call stops it there.
        stopped = await agent.follow(seen)
        assert (stopped["reason"], stopped["at"]) == ("breakpoint", "test_slow.py:6")


async def test_a_program_that_fell_silent_is_shown_as_it_was(
    settings: Settings, upstream: Upstream
) -> None:
    async with connect("memory-modern", settings) as agent:
        session = await opened_with(agent, upstream, {"slow.py": SLOW + "\n\nwait_for(None)\n"})
        view = await agent.call(
            "command_run",
            session_id=session,
            command="echo begins; python3 slow.py",
            idle_timeout_seconds=5,
            wait_seconds=50,
        )
        assert view["outcome"] == "idle_timed_out"
        seen = await agent.follow(view)
        assert seen["processes"][0]["threads"][0]["at"] == "slow.py:6"
        assert "next" not in seen


async def test_what_nobody_looked_at_is_said_to_be_gone(
    settings: Settings, upstream: Upstream
) -> None:
    async with connect("memory-modern", settings) as agent:
        session = await opened(agent, upstream)
        view = await agent.call("command_run", session_id=session, command="exit 3")
        error = await agent.refused("debug_postmortem", command_id=view["command_id"])
        assert error["error"]["code"] == "conflict"
        assert "has ended (failed), and nobody looked at it before" in error["error"]["message"]


async def test_a_hundred_threads_are_cut_and_counted(
    settings: Settings, upstream: Upstream
) -> None:
    program = (
        "import threading\nwait = threading.Event()\n"
        "for number in range(100):\n"
        "    threading.Thread(target=wait.wait, name=f'worker {number} ' + 'x' * 50).start()\n"
        "open('waiting', 'w').close()\n"
    )
    async with connect("memory-modern", settings) as agent:
        session = await opened_with(agent, upstream, {"many.py": program})
        command_id = await begun(agent, settings, session, "python3 many.py", "waiting")
        seen = await agent.call("debug_postmortem", command_id=command_id)
        [process] = [each for each in seen["processes"] if "threads" in each]
        assert len(process["threads"]) + process["more_threads"] == 101
        assert len(str(seen)) < 6000


CRASHING = """\
#include <stdlib.h>
struct node { int value; struct node *next; };

static int total(const struct node *list) {
    int sum = 0;
    while (sum < 100) {
        sum += list->value;
        list = list->next;
    }
    return sum;
}

int main(void) {
    struct node last = {1, NULL}, first = {2, &last};
    return total(&first);
}
"""
CORE_PATTERN = Path("/proc/sys/kernel/core_pattern").read_text().strip()
keeps_cores = pytest.mark.skipif(
    CORE_PATTERN.startswith(("|", "/")),
    reason="core files go elsewhere on this machine: sysctl kernel.core_pattern=core",
)


@keeps_cores
@pytest.mark.lldb
async def test_a_crash_is_read_from_its_core_also_when_the_session_is_gone(
    settings: Settings, upstream: Upstream
) -> None:
    async with connect("stdio-modern", settings) as agent:
        session = await opened_with(agent, upstream, {"crash.c": CRASHING})
        await agent.call("command_run", session_id=session, command="cc -g -O0 -o crash crash.c")
        first = await agent.call("command_run", session_id=session, command="./crash")
        assert first["exit_code"] == 139
        assert 'artifacts: ["core*"]' in first["hint"]

        view = await agent.call(
            "command_run", session_id=session, command="./crash", artifacts=["core*"]
        )
        [core] = view["artifacts"]
        [listed] = (await agent.call("artifact_list", session_id=session))["artifacts"]
        assert (listed["artifact_id"], listed["kind"]) == (core["artifact_id"], "core")
        seen = await agent.follow(view)

        [process] = seen["processes"]
        assert process["command"] == "crash"
        assert process["state"].startswith("crashed: ")
        assert "SIGSEGV" in process["state"]
        [thread] = process["threads"]
        assert thread["stack"][:2] == [
            "crash.c:7 in total(list=0x0000000000000000)",
            "crash.c:15 in main",
        ]
        assert thread["locals"] == {"list": "NULL", "sum": "3"}
        assert core["name"] in seen["hint"]
        changed = await agent.call("session_diff", session_id=session, stat_only=True)
        assert "core" not in str(changed)

        await agent.call("session_close", session_id=session)
        again = await agent.call("debug_postmortem", command_id=view["command_id"])
        assert again["processes"] == seen["processes"]
        kept = await agent.call("artifact_read", artifact_id=core["artifact_id"], length=4)
        assert kept["base64"] == "f0VMRg=="


async def test_a_core_file_that_was_there_before_stays_where_it_is(
    settings: Settings, upstream: Upstream
) -> None:
    fixture = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x04\0" + bytes(64)
    async with connect("memory-modern", settings) as agent:
        session = await opened(agent, upstream)
        tree = settings.data_dir / "sessions" / session / "tree"
        (tree / "core.fixture").write_bytes(fixture)
        # Older than the clock of a file system is coarse.
        await agent.call("command_run", session_id=session, command="sleep 0.2")
        view = await agent.call(
            "command_run", session_id=session, command="exit 3", artifacts=["core*"]
        )
        assert [kept["name"] for kept in view["artifacts"]] == ["core.fixture"]
        assert (tree / "core.fixture").read_bytes() == fixture
        error = await agent.refused("debug_postmortem", command_id=view["command_id"])
        assert error["error"]["code"] == "conflict"


@keeps_cores
async def test_a_forged_core_says_that_it_is_none(settings: Settings, upstream: Upstream) -> None:
    forge = "printf '\\177ELF\\2\\1\\1\\0\\0\\0\\0\\0\\0\\0\\0\\0\\4\\0garbage' > core; exit 139"
    async with connect("memory-modern", settings) as agent:
        session = await opened(agent, upstream)
        view = await agent.call(
            "command_run", session_id=session, command=forge, artifacts=["core*"]
        )
        seen = await agent.call("debug_postmortem", command_id=view["command_id"])
        [process] = seen["processes"]
        assert "why" in process, process
        assert "threads" not in process
