"""Which folders a command needs so that the programs on PATH work."""

from pathlib import Path

import pytest

from debug_mcp.runner.environment import SYSTEM_PATH
from debug_mcp.runner.toolchains import find_toolchains


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_the_prefix_of_a_folder_on_path_is_needed(home: Path) -> None:
    program(home / "tools/go/bin/go")
    found = find_toolchains(f"{home}/tools/go/bin:/usr/bin", home)
    assert found.folders == (home / "tools/go",)
    assert found.path.split(":")[:2] == [f"{home}/tools/go/bin", "/usr/bin"]


def test_a_program_that_is_a_link_brings_the_prefix_of_what_it_links_to(home: Path) -> None:
    real = program(home / "versions/3.13/bin/python3.13")
    (home / "shims").mkdir()
    (home / "shims/python").symlink_to(real)
    found = find_toolchains(f"{home}/shims", home)
    assert found.folders == (home / "shims", home / "versions/3.13")


def test_a_virtual_environment_brings_its_base_interpreter(home: Path) -> None:
    program(home / "project/.venv/bin/pytest")
    program(home / "base/bin/python3")
    (home / "project/.venv/pyvenv.cfg").write_text(f"home = {home}/base/bin\nversion = 3.13\n")
    found = find_toolchains(f"{home}/project/.venv/bin", home)
    assert found.folders == (home / "base", home / "project/.venv")


def test_a_whole_home_is_never_handed_out(home: Path) -> None:
    program(home / "bin/mine")
    program(home / ".local/bin/uv")
    found = find_toolchains(f"{home}/bin:{home}/.local/bin:{home}", home)
    assert found.folders == (home / ".local/bin", home / "bin")


def test_neither_is_what_holds_the_home_nor_the_home_by_another_name(home: Path) -> None:
    alias = home.parent / "alias"
    alias.symlink_to(home)
    program(home / "bin/mine")
    program(home.parent / "bin/theirs")
    found = find_toolchains(f"{home.parent}/bin:{alias}/bin:{alias}", home)
    assert found.folders == (alias / "bin", home.parent / "bin", home / "bin")


def test_every_name_on_the_way_to_a_program_is_needed(home: Path) -> None:
    program(home / "versions/3.13.2/bin/python3.13")
    (home / "versions/3.13.2/bin/python3").symlink_to("python3.13")
    (home / "versions/3.13").symlink_to("3.13.2")
    (home / "shims").mkdir()
    (home / "shims/python").symlink_to("../versions/3.13/bin/python3")
    found = find_toolchains(f"{home}/shims", home)
    assert found.folders == (home / "shims", home / "versions/3.13", home / "versions/3.13.2")


def test_a_base_interpreter_is_needed_by_all_its_names(home: Path) -> None:
    program(home / "project/.venv/bin/pytest")
    program(home / "versions/3.13.2/bin/python3")
    (home / "versions/3.13").symlink_to("3.13.2")
    (home / "project/.venv/pyvenv.cfg").write_text(f"home = {home}/versions/3.13/bin\n")
    found = find_toolchains(f"{home}/project/.venv/bin", home)
    assert found.folders == (
        home / "project/.venv",
        home / "versions/3.13",
        home / "versions/3.13.2",
    )


def test_a_folder_on_path_that_is_a_link_brings_the_prefix_of_the_real_one(home: Path) -> None:
    program(home / "sdk/go/bin/go")
    (home / "gobin").symlink_to("sdk/go/bin")
    assert find_toolchains(f"{home}/gobin", home).folders == (home / "gobin", home / "sdk/go")


def test_a_folder_that_cannot_be_looked_at_is_left_out(home: Path) -> None:
    too_long = home / ("x" * 300)
    assert str(too_long) not in find_toolchains(f"{too_long}:/usr/bin", home).path


def test_a_version_managers_own_folder_comes_along(home: Path) -> None:
    program(home / ".cargo/bin/cargo")
    (home / ".rustup").mkdir()
    found = find_toolchains(f"{home}/.cargo/bin", home)
    assert found.folders == (home / ".cargo", home / ".rustup")


def test_a_folder_inside_another_is_named_once(home: Path) -> None:
    program(home / "sdk/bin/a")
    program(home / "sdk/extra/bin/b")
    found = find_toolchains(f"{home}/sdk/bin:{home}/sdk/extra/bin", home)
    assert found.folders == (home / "sdk",)


def test_folders_of_the_system_need_no_binding(home: Path) -> None:
    found = find_toolchains("/usr/local/bin:/usr/bin:/bin", home)
    assert found.folders == ()


def test_what_is_no_absolute_folder_is_left_out_of_path(home: Path) -> None:
    found = find_toolchains(f".:relative:{home}/missing::/usr/bin", home)
    assert found.path.split(":") == ["/usr/bin", *(p for p in SYSTEM_PATH if p != "/usr/bin")]


def test_folders_from_the_settings_come_along(home: Path) -> None:
    (home / "extra").mkdir()
    assert find_toolchains("/usr/bin", home, (home / "extra",)).folders == (home / "extra",)


def test_the_shell_is_bash_where_there_is_one(home: Path) -> None:
    assert find_toolchains("/usr/bin", home).shell == "bash"
