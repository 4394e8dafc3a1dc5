"""What a command can reach, and what it cannot."""

import os
import shutil
import socket
import tempfile
from pathlib import Path

import pytest

from debug_mcp.config import IsolationPolicy
from debug_mcp.errors import Unavailable
from debug_mcp.models.sessions import Isolation
from debug_mcp.runner import boundary as boundary_module
from debug_mcp.runner import sandbox as sandbox_module
from debug_mcp.runner.boundary import choose_boundary
from debug_mcp.runner.sandbox import Sandbox
from debug_mcp.runner.toolchains import Toolchains
from tests.runner.conftest import Runs, only_bwrap

pytestmark = pytest.mark.anyio


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
async def test_the_settings_of_the_kernel_cannot_be_written(runs: Runs) -> None:
    # Root needs no capability to write them, so they have to be mounted read-only.
    _, mounts = await runs.run("cat /proc/self/mountinfo")
    assert b" /proc/sys ro," in mounts
    _, writable = await runs.run("find /proc/sys -type f -writable")
    assert writable == b""


def with_toolchains(runs: Runs, *folders: Path) -> Runs:
    """Return runs whose commands may read these folders."""
    old = runs.sandbox
    toolchains = Toolchains(old.toolchains.path, old.toolchains.shell, folders)
    data = runs.folders.tree.parents[2]
    return Runs(Sandbox(old.boundary, toolchains, data), runs.folders, data / "more")


@only_bwrap
@pytest.mark.parametrize("alias", [False, True])
async def test_a_toolchain_that_holds_the_data_directory_does_not_open_it(
    runs: Runs, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, alias: bool
) -> None:
    (tmp_path / "data" / "secret").write_text("hunter2")
    (tmp_path / "tool").write_text("a tool")
    folder = tmp_path
    if alias:
        folder = tmp_path_factory.mktemp("other") / "name"
        folder.symlink_to(tmp_path)
    seen, output = await with_toolchains(runs, folder).run(
        f"cat {folder}/tool; ls -A {folder}/data; cat {folder}/data/secret"
    )
    assert output.startswith(b"a tool")
    assert b"hunter2" not in output
    assert seen.code != 0


@only_bwrap
async def test_a_toolchain_inside_the_data_directory_is_left_out(
    runs: Runs, tmp_path: Path
) -> None:
    other = tmp_path / "data" / "sessions" / "s_other"
    other.mkdir()
    (other / "secret").write_text("hunter2")
    seen, output = await with_toolchains(runs, other, tmp_path / "data").run(f"cat {other}/secret")
    assert seen.code != 0
    assert b"hunter2" not in output


@only_bwrap
def test_a_data_directory_below_a_folder_of_the_system_is_covered(
    runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing below /usr or /opt can be made here, so the arguments have to tell.
    monkeypatch.setattr(sandbox_module, "SYSTEM_ROOTS", (tmp_path,))
    arguments = runs.program("true").options
    bound = arguments.index(str(tmp_path))
    assert arguments[bound - 1 : bound + 2] == ("--ro-bind-try", str(tmp_path), str(tmp_path))
    covered = [i for i, a in enumerate(arguments) if a == str(tmp_path / "data")]
    assert [arguments[i - 1] for i in covered] == ["--tmpfs"]
    assert covered[0] > bound


@only_bwrap
async def test_a_toolchain_never_hides_the_session(runs: Runs) -> None:
    wide = with_toolchains(runs, Path("/tmp"), Path("/home"), Path("/workspace"))
    seen, output = await wide.run("touch /tmp/a $HOME/b c")
    assert seen.code == 0, output
    assert (runs.folders.temporary / "a").exists()
    assert (runs.folders.home / "b").exists()
    assert (runs.folders.tree / "c").exists()


@only_bwrap
async def test_a_planted_link_does_not_lead_the_sandbox_out(runs: Runs, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    canary.mkdir()
    with tempfile.TemporaryDirectory(dir="/tmp") as below:
        tool = Path(below, "deep", "tool")
        tool.mkdir(parents=True)
        (tool / "file").write_text("a tool")
        near = with_toolchains(runs, tool)
        _, output = await near.run(f"cat {tool}/file; mv {below} /tmp/away && echo moved")
        assert output.startswith(b"a tool"), "a toolchain below /tmp is there"
        assert b"moved" not in output
        # Even if one could be planted: set-up goes over the real root, at /oldroot.
        shutil.rmtree(runs.folders.temporary / Path(below).name)
        (runs.folders.temporary / Path(below).name).symlink_to(f"/oldroot{canary}")
        await near.run("true")
    assert list(canary.iterdir()) == []


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
    monkeypatch.setattr(boundary_module, "BWRAP_PATH", str(tmp_path))
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
    monkeypatch.setattr(boundary_module, "BWRAP_PATH", str(tmp_path))
    with pytest.raises(Unavailable, match=r"bwrap is not installed.*install bubblewrap"):
        choose_boundary(IsolationPolicy.REQUIRE_BWRAP)


@pytest.mark.bwrap
def test_without_nsenter_the_boundary_says_that_commands_have_networks_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert choose_boundary(IsolationPolicy.AUTO).why is None
    (tmp_path / "bwrap").symlink_to("/usr/bin/bwrap")
    monkeypatch.setattr(boundary_module, "BWRAP_PATH", str(tmp_path))
    boundary = choose_boundary(IsolationPolicy.AUTO)
    assert boundary.isolation is Isolation.BWRAP
    assert boundary.nsenter is None
    assert boundary.why is not None
    assert "network of its own" in boundary.why
