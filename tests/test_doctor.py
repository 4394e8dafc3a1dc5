"""What the doctor says of machines that are not this one."""

from pathlib import Path

import pytest

from debug_mcp.config import IsolationPolicy
from debug_mcp.doctor import State, check_data_dir, check_git_version, check_sandbox
from debug_mcp.models.sessions import Isolation
from debug_mcp.runner.boundary import Boundary

BLOCKED = Boundary(
    Isolation.NONE, why="bwrap does not work here: setting up uid map: Permission denied; …"
)


def machine(**files: str) -> dict[str, str]:
    return {f"/proc/sys/{name.replace('__', '/')}": text for name, text in files.items()}


@pytest.mark.parametrize(
    ("boundary", "files", "remedy"),
    [
        (Boundary(Isolation.NONE, why="bwrap is not installed; …"), {}, "apt install bubblewrap"),
        (
            BLOCKED,
            machine(kernel__apparmor_restrict_unprivileged_userns="1\n"),
            "apparmor_parser -r /etc/apparmor.d/bwrap-userns-restrict",
        ),
        (
            BLOCKED,
            machine(kernel__unprivileged_userns_clone="0\n"),
            "sysctl kernel.unprivileged_userns_clone=1",
        ),
        (BLOCKED, machine(user__max_user_namespaces="0\n"), "user.max_user_namespaces="),
        (BLOCKED, {}, "in a container"),
    ],
    ids=["not installed", "Ubuntu 24.04", "old Debian", "none allowed", "container"],
)
def test_a_sandbox_that_does_not_work_comes_with_its_remedy(
    boundary: Boundary, files: dict[str, str], remedy: str
) -> None:
    check = check_sandbox(boundary, IsolationPolicy.AUTO, files.get)
    assert check.state is State.MISSING
    assert check.remedy is not None
    assert remedy in check.remedy


def test_a_sandbox_that_is_required_and_does_not_work_is_a_failure() -> None:
    required = IsolationPolicy.REQUIRE_BWRAP
    nothing: dict[str, str] = {}
    assert check_sandbox(BLOCKED, required, nothing.get).state is State.FAILED
    works = Boundary(Isolation.BWRAP, "/usr/bin/bwrap")
    assert check_sandbox(works, required, nothing.get).state is State.OK


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ("git version 2.39.5", State.OK),
        ("git version 2.50.1 (Apple Git-155)", State.OK),
        ("git version 3.0.0", State.OK),
        ("git version 2.25.1", State.FAILED),
        ("what?", State.FAILED),
    ],
)
def test_git_has_to_be_new_enough(said: str, state: State) -> None:
    assert check_git_version(said, "/usr/bin/git").state is state


def test_a_data_directory_on_the_network_is_a_failure(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "there" / "yet"
    mounted = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
    assert check_data_dir(folder, mounted).state is State.OK
    mounted += f"2 1 0:44 / {tmp_path} rw - nfs4 server:/export rw\n"
    check = check_data_dir(folder, mounted)
    assert check.state is State.FAILED
    assert "nfs4" in check.found


def test_a_data_directory_that_is_a_file_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert check_data_dir(tmp_path / "file", "").state is State.FAILED
