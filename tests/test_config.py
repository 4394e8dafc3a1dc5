"""Settings: where they come from, and what is said when one is wrong."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from debug_mcp.config import IsolationPolicy, Settings, load
from debug_mcp.errors import InvalidInput
from debug_mcp.models.base import now


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


@pytest.mark.parametrize("value", ["1e999", "nan", "-1", "9" * 400])
def test_no_number_is_so_large_that_it_fails_later(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = [
        name
        for name, field in Settings.model_fields.items()
        if re.search(r"\b(int|float)\b", str(field.annotation))
    ]
    assert len(numbers) > 20
    for name in numbers:
        monkeypatch.setenv(f"DEBUG_MCP_{name.upper()}", value)
        with pytest.raises(InvalidInput, match=f"setting {name}"):
            load()
        monkeypatch.delenv(f"DEBUG_MCP_{name.upper()}")


def test_the_longest_times_still_make_a_date() -> None:
    longest = 36_500
    settings = Settings(retention_days=longest, session_seconds=longest * 24 * 3600)
    assert now() - timedelta(days=settings.retention_days) < now()
    assert now() + timedelta(seconds=settings.session_seconds) > now()
    with pytest.raises(ValidationError):
        Settings(retention_days=longest + 1)


def test_a_file_that_is_no_toml_is_named(file: Path) -> None:
    file.write_text("running_commands = \n")
    with pytest.raises(InvalidInput, match=r"config\.toml cannot be read"):
        load()


def test_a_misspelt_variable_does_not_fail_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEBUG_MCP_ISOLATON", "require:bwrap")
    with pytest.raises(InvalidInput, match=r"DEBUG_MCP_ISOLATON.*there is DEBUG_MCP_ISOLATION$"):
        load()
