"""The short form of ``make chaos``, and proof that its verdict sees what goes wrong."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from debug_mcp.config import IsolationPolicy, Settings
from debug_mcp.runner.supervisor import read_fields
from tests.chaos import work
from tests.chaos.load import Asked, Plan
from tests.chaos.run import chaos
from tests.chaos.servers import Server
from tests.chaos.sniper import kill_shim
from tests.chaos.verdict import judge
from tests.upstream import Upstream


@pytest.mark.parametrize(
    "isolation",
    [
        pytest.param(IsolationPolicy.REQUIRE_BWRAP, marks=pytest.mark.bwrap, id="bwrap"),
        pytest.param(IsolationPolicy.NONE, id="none"),
    ],
)
def test_nothing_accepted_is_lost_doubled_or_left_running_when_servers_are_killed(
    tmp_path: Path, isolation: IsolationPolicy
) -> None:
    verdict = chaos(tmp_path, seed=11, kills=15, servers=3, isolation=isolation)

    assert verdict.kills == 15
    assert verdict.commands > 0
    assert (verdict.lost, verdict.doubled, verdict.orphans, verdict.faults) == (0, 0, 0, [])


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    upstream = Upstream(tmp_path / "upstream")
    upstream.commit("Add the work", {"work.py": Path(work.__file__).read_text()})
    settings = Settings(data_dir=tmp_path / "data", isolation=IsolationPolicy.NONE)
    return Plan(settings, str(upstream.path), str(tmp_path / "journal"), kills=0)


@pytest.fixture
def server(plan: Plan) -> Iterator[Server]:
    server = Server(plan.settings, plan.errors)
    yield server
    server.bury()


@pytest.fixture
def asked(plan: Plan, server: Server) -> Asked:
    """One command that ran to its end."""
    session = server.call("session_create", {"repository": plan.repository, "idempotency_key": "s"})
    plan.sessions[session["session_id"]] = "s"
    asked = Asked("token", "quick", {"session_id": session["session_id"]})
    command = ["python3", "-I", "-S", "work.py", plan.journal, "token", "quick"]
    view = server.call("command_run", {**asked.arguments, "command": command})
    asked.ids.add(view["command_id"])
    plan.asked["token"] = asked
    return asked


def test_the_verdict_finds_nothing_wrong_with_what_ran_once(
    plan: Plan, server: Server, asked: Asked
) -> None:
    assert asked.ids
    assert judge(plan, server).faults == []


def test_the_verdict_sees_a_command_that_started_twice(
    plan: Plan, server: Server, asked: Asked
) -> None:
    with Path(plan.journal).open("a") as journal:
        journal.write(f"start {asked.token}\n")

    verdict = judge(plan, server)

    assert verdict.doubled == 1
    assert any("started 2 times" in fault for fault in verdict.faults)


def test_the_verdict_forgives_a_lost_end_only_where_the_supervisor_was_killed(
    plan: Plan, server: Server, asked: Asked
) -> None:
    command = ["python3", "-I", "-S", "work.py", plan.journal, "stuck", "stubborn"]
    view = server.call("command_run", {**asked.arguments, "command": command, "wait_seconds": 0})
    command_id = view["command_id"]
    plan.asked["stuck"] = Asked("stuck", "stubborn", asked.arguments, ids={command_id})
    directory = plan.settings.data_dir / "commands" / command_id
    deadline = time.monotonic() + 10
    while (state := read_fields(directory / "state")) is None:
        assert time.monotonic() < deadline
    assert kill_shim(directory, int(state["shim"]))

    fault = judge(plan, server)
    plan.shot = {command_id}
    forgiven = judge(plan, server)

    assert (fault.lost, len(fault.faults)) == (1, 1)
    assert (forgiven.lost, forgiven.shots, forgiven.faults) == (0, 1, [])


def test_the_verdict_sees_output_that_is_gone(plan: Plan, server: Server, asked: Asked) -> None:
    [command] = asked.ids
    os.truncate(plan.settings.data_dir / "commands" / command / "output", 10)

    [fault] = judge(plan, server).faults

    assert "its output is not what it wrote" in fault


def test_the_verdict_sees_a_command_that_nobody_kept(
    plan: Plan, server: Server, asked: Asked
) -> None:
    plan.asked["other"] = Asked("other", "quick", asked.arguments, ids={"c_none"})

    [fault] = judge(plan, server).faults

    assert "accepted, and not in the ledger" in fault


def test_the_verdict_sees_a_process_that_is_left(plan: Plan, server: Server, asked: Asked) -> None:
    assert asked.ids
    sleeper = "import time; time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", sleeper, plan.journal]) as left:
        try:
            verdict = judge(plan, server)
        finally:
            left.kill()

    assert verdict.orphans == 1
    assert verdict.faults == [f"process {left.pid} is left"]


def test_the_verdict_sees_the_folder_of_a_session_that_is_gone(
    plan: Plan, server: Server, asked: Asked
) -> None:
    assert asked.ids
    (plan.settings.data_dir / "sessions" / "s_gone").mkdir()

    assert judge(plan, server).faults == ["session s_gone has a folder, and is not open"]
