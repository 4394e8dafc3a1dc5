"""What may be named, and what git's own words become."""

import pytest

from debug_mcp.errors import InvalidInput, ToolFailed
from debug_mcp.worktrees.git import GitCall, check_ref, git, parse_commit, plain
from tests.worktrees.conftest import host_git


@pytest.mark.parametrize(
    "ref",
    ["main", "v1.0", "feature/one", "fix#12", "größe", "_x", "renovate/@types+node", "a.b", "x@y",
     "refs/heads/main", "0123abc", "x" * 250],
)  # fmt: skip
def test_a_name_that_git_allows_is_taken_as_it_is(ref: str) -> None:
    assert check_ref(ref, "ref") == ref


@pytest.mark.parametrize(
    "ref",
    ["", "-x", "--upload-pack=touch", "a..b", "a...b", "main@{1}", "@", "HEAD", "HEAD~1", "a^",
     "a:b", "a b", "a\tb", "a\nb", "a\0b", "*", "a?", "[a", "a\\b", "/a", "a/", "a//b", ".a",
     "a/.b", "a.", "a.lock", "a.lock/b", "\x7f", "a\u2028b", "x" * 251],
)  # fmt: skip
def test_what_could_be_an_option_a_range_or_an_expression_is_refused(ref: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_ref(ref, "branch")
    assert caught.value.field == "branch"
    assert len(caught.value.message) < 300
    assert "\0" not in caught.value.message


def test_a_commit_id_is_all_that_is_taken_for_one() -> None:
    assert parse_commit(b"a" * 40 + b"\n") == "a" * 40
    for printed in (b"", b"HEAD", b"a" * 39, b"A" * 40, b"a" * 40 + b"\n" + b"b" * 40):
        with pytest.raises(ToolFailed, match="where a commit id was expected"):
            parse_commit(printed)


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("fatal: https://ada:secret@example.org/x.git not found\n",
         "fatal: https://example.org/x.git not found"),
        ("error: one.\nmore of it\n\n  fatal: two\n", "error: one. more of it; fatal: two"),
        ("", ""),
    ],
)  # fmt: skip
def test_what_git_says_becomes_one_line_without_credentials(said: str, line: str) -> None:
    assert plain(said) == line


@pytest.mark.anyio
async def test_a_failure_names_the_command_and_not_its_options() -> None:
    with pytest.raises(ToolFailed, match=r"^git rev-parse failed: fatal: ") as caught:
        await git(host_git, "--git-dir=/nonexistent", "rev-parse", "HEAD")
    assert caught.value.details == {"exit_code": 128}


def test_what_stands_on_the_command_line_comes_before_the_command() -> None:
    command = GitCall(("status", "--short")).command
    assert command[0] == "git"
    assert command[-2:] == ["status", "--short"]
    assert "core.hooksPath=/dev/null" in command[: command.index("status")]
