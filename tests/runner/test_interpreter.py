"""The person's Python, and the environment of a session on top of it."""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from debug_mcp.runner.interpreter import (
    Interpreter,
    find_interpreter,
    make_environment,
    make_scripts,
)
from tests.wheels import make_wheel

HERE = Path(sys.executable).parent


@pytest.fixture
def session(tmp_path: Path) -> Path:
    """A session's folder with an empty home in it."""
    (tmp_path / "s_test" / "home").mkdir(parents=True)
    return tmp_path / "s_test"


async def found(path: str | Path) -> Interpreter:
    interpreter = await find_interpreter(str(path), {**os.environ, "PATH": str(path)})
    assert interpreter is not None
    return interpreter


def said(path: str, *program: str, **variables: str) -> str:
    environment = {"PATH": f"{path}:/usr/bin:/bin", **variables}
    done = subprocess.run(program, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.anyio
async def test_an_interpreter_tells_what_it_is_and_what_is_installed() -> None:
    interpreter = await found(HERE)
    assert interpreter.version == ".".join(map(str, sys.version_info[:3]))
    assert interpreter.executable.resolve() == Path(sys.executable).resolve()
    assert Path(sys.prefix) in interpreter.folders
    assert Path(sys.base_prefix) in interpreter.folders
    assert interpreter.scripts["pytest"].startswith(("pytest:", "_pytest"))
    assert "pip" in interpreter.scripts


@pytest.mark.anyio
@pytest.mark.parametrize(
    "script", ["exit 1", "echo no json", "echo '{}'", "echo '[1]'", "echo 'null'", "kill -9 $$"]
)
async def test_what_is_no_interpreter_is_passed_over(tmp_path: Path, script: str) -> None:
    pretender = tmp_path / "python3"
    pretender.write_text(f"#!/bin/sh\n{script}\n")
    pretender.chmod(0o755)
    assert await find_interpreter(str(tmp_path), {"PATH": "/usr/bin"}) is None


@pytest.mark.anyio
async def test_where_there_is_none_none_is_found(tmp_path: Path) -> None:
    assert await find_interpreter(str(tmp_path), {}) is None


@pytest.mark.anyio
async def test_the_environment_is_a_virtual_one_that_sees_what_the_person_has(
    session: Path,
) -> None:
    make_environment(await found(HERE), session, session / "home")
    programs = str(session / "home/venv/bin")
    code = "import sys, pytest; print(sys.prefix, sys.base_prefix != sys.prefix)"
    assert said(programs, "python", "-c", code) == f"{session}/home/venv True"
    assert said(programs, "python3", "-I", "-c", code) == f"{session}/home/venv True"


@pytest.mark.anyio
async def test_what_is_installed_in_it_comes_before_the_persons(session: Path) -> None:
    make_environment(await found(HERE), session, session / "home")
    programs = str(session / "home/venv/bin")
    wheel = make_wheel(session, "iniconfig", "ours = True\n")
    install = ("python", "-m", "pip", "install", "-q", "--no-index", "--ignore-installed")
    said(programs, *install, str(wheel), HOME=str(session), PIP_DISABLE_PIP_VERSION_CHECK="1")
    assert said(programs, "python", "-c", "import iniconfig; print(iniconfig.ours)") == "True"
    assert not hasattr(__import__("iniconfig"), "ours")


@pytest.mark.anyio
async def test_an_interpreter_without_pip_gets_the_one_it_was_shipped_with(
    tmp_path: Path, session: Path
) -> None:
    venv.create(tmp_path / "bare", with_pip=False, symlinks=True)
    interpreter = await found(tmp_path / "bare/bin")
    assert "pip" in interpreter.scripts
    make_environment(interpreter, session, session / "home")
    scripts = make_scripts(interpreter, tmp_path / "scripts")
    programs = f"{session}/home/venv/bin:{scripts}"
    assert said(programs, "pip", "--version").startswith("pip ")


@pytest.mark.anyio
async def test_scripts_start_the_python_that_is_first_on_path(
    tmp_path: Path, session: Path
) -> None:
    interpreter = await found(HERE)
    make_environment(interpreter, session, session / "home")
    scripts = make_scripts(interpreter, tmp_path / "scripts")
    assert make_scripts(interpreter, tmp_path / "scripts") == scripts
    assert list((tmp_path / "scripts").iterdir()) == [scripts]
    programs = f"{session}/home/venv/bin:{scripts}"
    (tmp_path / "test_prefix.py").write_text(
        "import sys\ndef test_it():\n    assert sys.prefix.endswith('/home/venv')\n"
    )
    shown = said(programs, "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path))
    assert "1 passed" in shown


def an_interpreter(**scripts: str) -> Interpreter:
    return Interpreter(Path(sys.executable), "3.11.0", (), (), scripts)


def test_it_is_made_once_and_never_through_what_a_command_planted(
    session: Path, tmp_path: Path
) -> None:
    home = session / "home"
    outside = tmp_path / "outside"
    outside.mkdir()
    (home / "venv").symlink_to(outside)
    make_environment(an_interpreter(), session, home)
    assert list(outside.iterdir()) == []
    (home / "venv").unlink()
    make_environment(an_interpreter(), session, home)
    assert list(home.iterdir()) == []
    assert not [left for left in session.iterdir() if left.name.startswith("venv")]


def test_an_environment_that_is_there_is_left_as_it_is(session: Path) -> None:
    (session / "home/venv").mkdir()
    (session / "home/venv/mine").touch()
    make_environment(an_interpreter(), session, session / "home")
    assert [entry.name for entry in (session / "home/venv").iterdir()] == ["mine"]


def test_in_a_session_that_is_gone_none_is_made(session: Path) -> None:
    shutil.rmtree(session)
    with pytest.raises(FileNotFoundError):
        make_environment(an_interpreter(), session, session / "home")


def test_a_change_of_what_is_installed_makes_other_scripts(tmp_path: Path) -> None:
    one = make_scripts(an_interpreter(a="m:a"), tmp_path)
    two = make_scripts(an_interpreter(a="m:a", b="m:b.c"), tmp_path)
    assert one != two
    assert "from m import b\n" in (two / "b").read_text()
    assert "sys.exit(b.c())" in (two / "b").read_text()
    assert os.access(two / "b", os.X_OK)
