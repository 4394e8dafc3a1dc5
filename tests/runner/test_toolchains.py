"""Which folders a command needs so that the programs on PATH work."""

from pathlib import Path

import pytest

from debug_mcp.runner.environment import SYSTEM_PATH
from debug_mcp.runner.toolchains import MANAGERS, find_toolchains, with_folders


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


def installed(path: Path) -> Path:
    """Make a program of something that was installed with its libraries."""
    (path.parent.parent / "lib").mkdir(parents=True, exist_ok=True)
    return program(path)


def test_the_prefix_of_a_folder_on_path_is_needed(home: Path) -> None:
    installed(home / "tools/go/bin/go")
    found = find_toolchains(f"{home}/tools/go/bin:/usr/bin", home)
    assert found.folders == (home / "tools/go",)
    assert found.path.split(":")[:2] == [f"{home}/tools/go/bin", "/usr/bin"]


def test_a_program_that_is_a_link_brings_the_prefix_of_what_it_links_to(home: Path) -> None:
    real = installed(home / "versions/3.13/bin/python3.13")
    (home / "shims").mkdir()
    (home / "shims/python").symlink_to(real)
    found = find_toolchains(f"{home}/shims", home)
    assert found.folders == (home / "shims", home / "versions/3.13")


def test_a_virtual_environment_brings_its_base_interpreter(home: Path) -> None:
    program(home / "project/.venv/bin/pytest")
    installed(home / "base/bin/python3")
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
    installed(home / "versions/3.13.2/bin/python3.13")
    (home / "versions/3.13.2/bin/python3").symlink_to("python3.13")
    (home / "versions/3.13").symlink_to("3.13.2")
    (home / "shims").mkdir()
    (home / "shims/python").symlink_to("../versions/3.13/bin/python3")
    found = find_toolchains(f"{home}/shims", home)
    assert found.folders == (home / "shims", home / "versions/3.13", home / "versions/3.13.2")


def test_a_base_interpreter_is_needed_by_all_its_names(home: Path) -> None:
    program(home / "project/.venv/bin/pytest")
    installed(home / "versions/3.13.2/bin/python3")
    (home / "versions/3.13").symlink_to("3.13.2")
    (home / "project/.venv/pyvenv.cfg").write_text(f"home = {home}/versions/3.13/bin\n")
    found = find_toolchains(f"{home}/project/.venv/bin", home)
    assert found.folders == (
        home / "project/.venv",
        home / "versions/3.13",
        home / "versions/3.13.2",
    )


def test_a_folder_on_path_that_is_a_link_brings_the_prefix_of_the_real_one(home: Path) -> None:
    installed(home / "sdk/go/bin/go")
    (home / "gobin").symlink_to("sdk/go/bin")
    assert find_toolchains(f"{home}/gobin", home).folders == (home / "gobin", home / "sdk/go")


def test_a_folder_that_cannot_be_looked_at_is_left_out(home: Path) -> None:
    too_long = home / ("x" * 300)
    assert str(too_long) not in find_toolchains(f"{too_long}:/usr/bin", home).path


@pytest.mark.parametrize(
    ("name", "variable"), [(name, variable) for name, variable in MANAGERS.items() if variable]
)
def test_a_version_manager_comes_along_and_is_told_where_it_is(
    home: Path, name: str, variable: str
) -> None:
    program(home / name / "shims/tool")
    (home / name / ".git").mkdir()  # most of them are installed by a clone
    found = find_toolchains("/usr/bin", home)
    assert found.folders == (home / name,)
    assert found.variables == {variable: str(home / name)}


def test_a_version_manager_may_be_elsewhere(home: Path) -> None:
    elsewhere = home.parent / "rust"
    elsewhere.mkdir()
    found = find_toolchains("/usr/bin", home, environment={"RUSTUP_HOME": str(elsewhere)})
    assert found.folders == (elsewhere,)
    assert found.variables == {"RUSTUP_HOME": str(elsewhere)}


def test_a_java_that_is_only_pointed_at_comes_along(home: Path) -> None:
    installed(home / "jdk/bin/java")
    found = find_toolchains("/usr/bin", home, environment={"JAVA_HOME": str(home / "jdk")})
    assert found.folders == (home / "jdk",)
    assert found.variables == {"JAVA_HOME": str(home / "jdk")}


def test_what_lies_beside_the_programs_of_cargo_stays_hidden(home: Path) -> None:
    program(home / ".cargo/bin/cargo")
    (home / ".cargo/credentials.toml").write_text("token = 'hunter2'")
    assert find_toolchains(f"{home}/.cargo/bin", home).folders == (home / ".cargo/bin",)


@pytest.mark.parametrize("mark", [".git", "pyproject.toml", "package.json", ".env"])
def test_a_bin_in_a_project_does_not_show_the_project(home: Path, mark: str) -> None:
    installed(home / "project/bin/run")
    (home / "project" / mark).touch()
    assert find_toolchains(f"{home}/project/bin", home).folders == (home / "project/bin",)


def test_a_project_that_is_itself_on_path_shows_its_programs_alone(home: Path) -> None:
    tool = program(home / "project/tool")
    (home / "project/.git").mkdir()
    (home / "project/.env").write_text("SECRET=hunter2")
    (home / "bin").mkdir()
    (home / "bin/tool").symlink_to(tool)
    found = find_toolchains(f"{home}/bin:{home}/project", home)
    assert found.folders == (home / "bin", tool)


def test_a_virtual_environment_in_a_project_is_no_project(home: Path) -> None:
    installed(home / "project/.venv/bin/pytest")
    (home / "project/.git").mkdir()
    (home / "project/.venv/pyvenv.cfg").touch()
    (home / "project/.venv/.env").touch()
    found = find_toolchains(f"{home}/project/.venv/bin", home)
    assert found.folders == (home / "project/.venv",)


def test_a_script_brings_the_interpreter_that_its_first_line_names(home: Path) -> None:
    installed(home / "tools/app/bin/python3")
    (home / "tools/app/pyvenv.cfg").touch()
    script = program(home / ".local/bin/app")
    script.write_text(f"#!{home}/tools/app/bin/python3 -E\n")
    found = find_toolchains(f"{home}/.local/bin", home)
    assert found.folders == (home / ".local/bin", home / "tools/app")


@pytest.mark.parametrize("first", ["", "#!", "#!relative/python", "#! \n", "\x7fELF", "#!/missing"])
def test_a_first_line_that_names_nothing_is_passed_over(home: Path, first: str) -> None:
    program(home / ".local/bin/app").write_text(first)
    assert find_toolchains(f"{home}/.local/bin", home).folders == (home / ".local/bin",)


def test_a_link_into_a_home_or_a_project_shows_one_file(home: Path) -> None:
    (home / "bin").mkdir()
    for name in ("mine.sh", "project/theirs.sh"):
        (home / "bin" / Path(name).stem).symlink_to(program(home / name))
    (home / "project/.git").mkdir()
    found = find_toolchains(f"{home}/bin", home)
    assert found.folders == (home / "bin", home / "mine.sh", home / "project/theirs.sh")


def test_a_folder_inside_another_is_named_once(home: Path) -> None:
    installed(home / "sdk/bin/a")
    installed(home / "sdk/extra/bin/b")
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


def test_folders_can_be_added_but_for_the_systems_own(home: Path) -> None:
    (home / "python/site-packages").mkdir(parents=True)
    found = find_toolchains("/usr/bin", home)
    more = with_folders(found, [home / "python", home / "python/site-packages", Path("/usr")], home)
    assert more.folders == (home / "python",)
