"""Settings: where they come from, and what is said when one is wrong."""

from pathlib import Path

import pytest

from debug_mcp.config import IsolationPolicy, load
from debug_mcp.errors import InvalidInput


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config.toml"
    monkeypatch.setenv("DEBUG_MCP_CONFIG", str(path))
    return path


def test_the_command_line_counts_before_the_environment_and_that_before_the_file(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text('isolation = "none"\nrunning_commands = 3\nqueued_commands = 4\n')
    monkeypatch.setenv("DEBUG_MCP_RUNNING_COMMANDS", "5")
    monkeypatch.setenv("DEBUG_MCP_ISOLATION", "none")
    settings = load(isolation="require:bwrap", data_dir=None)
    assert settings.isolation is IsolationPolicy.REQUIRE_BWRAP
    assert settings.running_commands == 5
    assert settings.queued_commands == 4


def test_without_a_file_the_defaults_hold(file: Path) -> None:
    assert not file.exists()
    assert load().isolation is IsolationPolicy.AUTO


def test_an_unknown_setting_in_the_file_is_refused_with_the_nearest_one(file: Path) -> None:
    file.write_text("running_comands = 3\n")
    with pytest.raises(InvalidInput, match=r"no setting 'running_comands'.*running_commands"):
        load()


def test_a_value_that_cannot_be_is_refused_by_the_name_of_its_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DEBUG_MCP_ISOLATION", "docker")
    with pytest.raises(InvalidInput, match=r"setting isolation: .*'require:bwrap'"):
        load()


def test_a_file_that_is_no_toml_is_named(file: Path) -> None:
    file.write_text("running_commands = \n")
    with pytest.raises(InvalidInput, match=r"config\.toml cannot be read"):
        load()


def test_a_misspelt_variable_does_not_fail_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEBUG_MCP_ISOLATON", "require:bwrap")
    with pytest.raises(InvalidInput, match=r"DEBUG_MCP_ISOLATON.*there is DEBUG_MCP_ISOLATION$"):
        load()
