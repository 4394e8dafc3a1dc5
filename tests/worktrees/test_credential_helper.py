"""The token of a host goes to git through a pipe, for that host alone."""

import subprocess
import sys
from pathlib import Path

import pytest

from debug_mcp.worktrees import credential_helper
from debug_mcp.worktrees.credential_helper import answer

CONFIG = """
[credentials."example.org"]
token = "s3cret"
[credentials."git.example.org"]
token = "other"
username = "ada"
[credentials."keys.example.org"]
ssh_key = "/key"
"""


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("example.org", "username=oauth2\npassword=s3cret\n"),
        ("example.org:8443", "username=oauth2\npassword=s3cret\n"),
        ("git.example.org", "username=ada\npassword=other\n"),
        ("keys.example.org", ""),
        ("evil.example.org", ""),
        ("example.org.evil", ""),
    ],
)
def test_a_host_gets_its_own_token(host: str, said: str) -> None:
    assert answer(f"protocol=https\nhost={host}\n\n", CONFIG) == said


def test_a_token_is_never_sent_in_the_clear() -> None:
    assert answer("protocol=http\nhost=example.org\n\n", CONFIG) == ""


@pytest.mark.parametrize(("verb", "said"), [("get", "s3cret"), ("store", ""), ("erase", "")])
def test_git_starts_it_and_only_get_is_answered(tmp_path: Path, verb: str, said: str) -> None:
    config = tmp_path / "config.toml"
    config.write_text(CONFIG)
    done = subprocess.run(
        [sys.executable, "-I", credential_helper.__file__, str(config), verb],
        input="protocol=https\nhost=example.org\n\n", capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert said in done.stdout
    assert bool(done.stdout) == bool(said)
