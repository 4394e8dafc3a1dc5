"""What a command can reach, and what it cannot."""

import os
import socket
from pathlib import Path

import pytest

from debug_mcp.config import IsolationPolicy
from debug_mcp.errors import Unavailable
from debug_mcp.models.sessions import Isolation
from debug_mcp.runner import sandbox as sandbox_module
from debug_mcp.runner.sandbox import Sandbox, choose_boundary
from tests.runner.conftest import Runs

pytestmark = pytest.mark.anyio

only_bwrap = pytest.mark.parametrize(
    "sandbox",
    [pytest.param(IsolationPolicy.REQUIRE_BWRAP, marks=pytest.mark.bwrap, id="bwrap")],
    indirect=True,
)


async def test_a_command_works_in_the_tree_and_has_a_home_and_a_temporary_folder(
    runs: Runs,
) -> None:
    seen, output = await runs.run("touch a $HOME/b && pwd && echo $HOME")
    assert seen.code == 0
    assert (runs.folders.tree / "a").exists()
    assert (runs.folders.home / "b").exists()
    assert output.decode().split() == [
        runs.sandbox.workspace(runs.folders),
        runs.sandbox.home(runs.folders),
    ]


async def test_nothing_of_the_servers_environment_comes_through(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_SECRET", "hunter2")
    _, output = await runs.run("env; cat /proc/1/environ /proc/self/environ || true")
    assert b"hunter2" not in output


@only_bwrap
async def test_in_the_sandbox_the_tree_is_the_workspace_and_tmp_is_the_sessions(
    runs: Runs,
) -> None:
    _, output = await runs.run("pwd; touch /tmp/here; ls -a /")
    assert output.startswith(b"/workspace\n")
    assert (runs.folders.temporary / "here").exists()


@only_bwrap
@pytest.mark.parametrize(
    "attempt",
    [
        pytest.param("cat {data}/secret", id="the data directory"),
        pytest.param("ls {data}/sessions", id="other sessions"),
        pytest.param("cat {outside}", id="another folder of the host"),
        pytest.param("ls -d /root/* /home/*/*", id="homes of people"),
        pytest.param("touch /etc/x || touch /usr/x || touch /x", id="writing to the system"),
        pytest.param("umount /proc", id="unmounting"),
        pytest.param("mount -t tmpfs x /mnt", id="mounting"),
        pytest.param("unshare --user true", id="a user namespace of its own"),
        pytest.param("touch {objects}/x", id="writing to the mirror"),
        pytest.param("kill -0 {pid}", id="signalling the server"),
    ],
)
async def test_in_the_sandbox_these_are_out_of_reach(
    runs: Runs, tmp_path: Path, attempt: str
) -> None:
    data = tmp_path / "data"
    (data / "secret").write_text("hunter2")
    outside = tmp_path / "outside"
    outside.write_text("hunter2")
    command = attempt.format(
        data=data, outside=outside, objects=runs.folders.objects, pid=os.getpid()
    )
    seen, output = await runs.run(command)
    assert seen.code != 0, output
    assert b"hunter2" not in output


@only_bwrap
async def test_only_processes_of_the_command_are_there(runs: Runs) -> None:
    _, output = await runs.run("echo /proc/[0-9]*")
    assert len(output.split()) <= 3


@only_bwrap
@pytest.mark.parametrize(("network", "reached"), [(False, False), (True, True)])
async def test_the_hosts_network_is_reached_only_where_it_was_granted(
    runs: Runs, network: bool, reached: bool
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        connect = f"import socket; socket.create_connection(('127.0.0.1', {port}), 5)"
        seen, _ = await runs.run(["python3", "-c", connect], network=network)
    assert (seen.code == 0) is reached


@only_bwrap
async def test_a_toolchain_that_holds_the_data_directory_does_not_open_it(
    runs: Runs, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    (data / "secret").write_text("hunter2")
    (tmp_path / "tool").write_text("a tool")
    toolchains = runs.sandbox.toolchains
    wide = Sandbox(
        runs.sandbox.boundary,
        type(toolchains)(toolchains.path, toolchains.shell, (tmp_path,)),
        data,
    )
    seen, output = await Runs(wide, runs.folders, data / "more").run(
        f"cat {tmp_path}/tool; ls -A {data}; cat {data}/secret"
    )
    assert output.startswith(b"a tool")
    assert b"hunter2" not in output
    assert seen.code != 0


def test_without_a_sandbox_the_boundary_says_why() -> None:
    boundary = choose_boundary(IsolationPolicy.NONE)
    assert boundary.isolation is Isolation.NONE
    assert boundary.why == "chosen by the setting isolation=none"


def test_where_bwrap_does_not_work_auto_steps_down_and_says_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'setting up uid map: Permission denied' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sandbox_module, "BWRAP_PATH", str(tmp_path))
    boundary = choose_boundary(IsolationPolicy.AUTO)
    assert boundary.isolation is Isolation.NONE
    assert boundary.why is not None
    assert "Permission denied" in boundary.why
    assert "apparmor" in boundary.why
    with pytest.raises(Unavailable, match="Permission denied"):
        choose_boundary(IsolationPolicy.REQUIRE_BWRAP)


def test_where_bwrap_is_missing_the_remedy_is_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox_module, "BWRAP_PATH", str(tmp_path))
    with pytest.raises(Unavailable, match=r"bwrap is not installed.*install bubblewrap"):
        choose_boundary(IsolationPolicy.REQUIRE_BWRAP)
