"""What a login shell tells, and that none keeps us waiting."""

import os
import sys
from pathlib import Path

import anyio
import pytest

from debug_mcp.runner import login
from debug_mcp.runner.login import login_environment
from tests.files import appears

pytestmark = pytest.mark.anyio


def person(home: Path, profile: str) -> dict[str, str]:
    """Return the variables of somebody with this profile."""
    (home / ".bashrc").write_text(profile)
    (home / ".profile").write_text(". ~/.bashrc\n")
    return {"HOME": str(home), "SHELL": "/bin/bash", "PATH": os.environ["PATH"]}


async def ended(pid: int) -> None:
    """Wait for the end of a process; nobody may have reaped it yet."""
    process = Path("/proc", str(pid), "status")
    while process.exists() and "\nState:\tZ" not in process.read_text():
        await anyio.sleep(0.01)


async def test_a_profile_that_adds_to_path_is_heard_and_its_noise_is_not(tmp_path: Path) -> None:
    profile = 'echo welcome; printf "PATH=/wrong"; export PATH=$HOME/tools:$PATH NVM_DIR=/nvm\n'
    found = await login_environment(person(tmp_path, profile))
    assert found["PATH"].startswith(f"{tmp_path}/tools:")
    assert found["NVM_DIR"] == "/nvm"


async def test_what_only_an_interactive_shell_reads_counts(tmp_path: Path) -> None:
    profile = 'case $- in *i*) ;; *) return;; esac\nexport PATH="$PATH:/interactive"\n'
    found = await login_environment(person(tmp_path, profile))
    assert found["PATH"].endswith(":/interactive")


@pytest.mark.parametrize("profile", ["exit 3", "read answer; exit", "exec cat", "exec true", "("])
async def test_a_profile_that_ends_the_shell_tells_nothing_or_all(
    tmp_path: Path, profile: str
) -> None:
    with anyio.fail_after(20):
        found = await login_environment(person(tmp_path, profile + "\n"))
    assert "PATH" in found or found == {}


@pytest.mark.parametrize(
    "profile",
    [
        "touch ~/begun; sleep 600",
        "touch ~/begun; yes",
        "touch ~/begun; (trap '' TERM; cat < $FIFO)",
    ],
)
async def test_a_profile_that_does_not_end_is_ended(
    tmp_path: Path, profile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(login, "LOGIN_SECONDS", 1)
    os.mkfifo(tmp_path / "fifo")
    known = {**person(tmp_path, profile + "\n"), "FIFO": str(tmp_path / "fifo")}
    with anyio.fail_after(20):
        assert await login_environment(known) == {}
    await appears(tmp_path / "begun")


@pytest.mark.parametrize("shell", ["/usr/sbin/nologin", "/nonexistent/shell", "/bin/sh", ""])
async def test_a_shell_that_is_none_or_another_does_no_harm(tmp_path: Path, shell: str) -> None:
    known = {**person(tmp_path, ""), "SHELL": shell}
    found = await login_environment(known)
    assert "PATH" in found or found == {}


@pytest.mark.parametrize("start", ["", "setsid", "setsid nohup"])
@pytest.mark.parametrize("end", ["", "sleep 600"])
async def test_what_a_profile_started_in_the_background_ends_with_the_look(
    tmp_path: Path, start: str, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(login, "LOGIN_SECONDS", 2)
    agent = "echo $$ > ~/pid; mv ~/pid ~/agent; exec sleep 600"
    profile = (
        f"{start} sh -c '{agent}' > /dev/null 2>&1 &\nuntil [ -e ~/agent ]; do :; done\n{end}\n"
    )
    found = await login_environment(person(tmp_path, profile))
    assert ("PATH" in found) is not bool(end)
    assert not [name for name in found if "LOGIN" in name]
    with anyio.fail_after(20):
        await ended(int((tmp_path / "agent").read_text()))


async def test_what_a_killed_server_left_of_its_look_ends_with_the_next(tmp_path: Path) -> None:
    known = person(tmp_path, "(echo $BASHPID > ~/pid; mv ~/pid ~/agent; exec sleep 600)\n")
    look = f"import anyio, {login.__name__} as login; anyio.run(login.login_environment, {known!r})"
    async with await anyio.open_process([sys.executable, "-c", look]) as server:
        await appears(tmp_path / "agent")
        server.kill()
    agent = int((tmp_path / "agent").read_text())

    (tmp_path / ".bashrc").write_text("")
    assert "PATH" in await login_environment(known)

    with anyio.fail_after(20):
        await ended(agent)
